"""Slicer's own Python files may take the place of the harness's."""

import os
from importlib import import_module

import pytest
import slicer


def test_a_folder_without_slicers_python_files_is_refused_in_words(tmp_path):
    with pytest.raises(RuntimeError, match=r"SLICER_PYTHON_DIR=.*has no ScriptedLoadableModule\.py.*or unset it"):
        import_module("harness.boot")._upstream_python_layer(tmp_path)


def test_the_layer_is_the_one_that_was_asked_for():
    folder = os.environ.get("SLICER_PYTHON_DIR")
    for name in ("ScriptedLoadableModule", "parameterNodeWrapper", "i18n", "packaging"):
        file = getattr(slicer, name).__file__
        assert file.startswith(os.path.abspath(folder)) if folder else "harness" in file  # noqa: PTH100
