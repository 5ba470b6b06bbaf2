"""What the tests need from the system is installed or named."""

import sys

import pytest

import system_libraries


def test_nothing_is_missing_where_the_tests_run():
    assert system_libraries.missing() == []
    assert system_libraries.main() == 0


def test_a_missing_library_is_named_with_its_package(monkeypatch, capsys):
    if not sys.platform.startswith("linux"):
        pytest.skip("Qt brings everything here")
    monkeypatch.setitem(system_libraries.LIBRARIES, "libnot_there.so.9", "libnot-there9")
    monkeypatch.setattr(system_libraries.os, "geteuid", lambda: 1000)
    assert system_libraries.main() == 1
    assert "sudo apt-get install -y --no-install-recommends libnot-there9" in capsys.readouterr().out
