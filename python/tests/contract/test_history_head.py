"""The head of a history, and reading only what is new of a history."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from organincrement.contract import history_check
from organincrement.contract.errors import ContractError
from organincrement.contract.history import (
    LastSteps,
    Pinned,
    append_entry,
    head_path,
    lines_of,
    read_head,
    steps_between,
)

HASH = "0" * 64


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    for case in ("a", "b", "c"):
        append_entry(path, who="", case=case, from_="draft", to="submitted", comment="", pinned=Pinned())
    return path


def approve(history: Path, case: str, label_sha256: str = HASH) -> None:
    append_entry(
        history,
        who="",
        case=case,
        from_="submitted",
        to="approved",
        comment="",
        pinned=Pinned(label_sha256=label_sha256),
    )


def test_the_head_counts_the_lines_and_keeps_the_label_of_each_approval(history: Path) -> None:
    approve(history, "b")
    head = read_head(history)
    assert head is not None and head.lines == 4 and head.labels == {"b": HASH}
    append_entry(history, who="", case="b", from_="approved", to="submitted", comment="", pinned=Pinned())
    head = read_head(history)
    assert head is not None and head.lines == 5 and head.labels == {}


def test_only_lines_that_are_new_are_read(history: Path) -> None:
    steps = LastSteps(history)
    assert steps.of("a") == ("draft", "submitted") and steps.of("z") is None
    content = history.read_bytes()
    first = content.index(b"\n")
    history.write_bytes(b" " * first + content[first:])  # Reading this line again would be refused.
    approve(history, "c")
    assert steps.of("c") == ("submitted", "approved") and steps.of("a") == ("draft", "submitted")
    with pytest.raises(ContractError):
        LastSteps(history).of("a")


def test_a_history_that_was_replaced_or_shortened_is_read_anew(history: Path) -> None:
    steps = LastSteps(history)
    assert steps.of("c") is not None
    lines = history.read_bytes().splitlines(keepends=True)
    history.write_bytes(b"".join(lines[:1]))
    assert steps.of("c") is None and steps.of("a") == ("draft", "submitted")
    history.unlink()
    assert steps.of("a") is None


def test_a_step_is_refused_when_the_end_of_the_history_is_gone_or_edited(history: Path) -> None:
    content = history.read_bytes()
    for damaged in (
        content[: content.rindex(b'{"seq": 2')],
        content.replace(b'"case": "c"', b'"case": "x"'),
        b"",
    ):
        history.write_bytes(damaged)
        with pytest.raises(ContractError, match=r"does not end as history\.head says.*; run"):
            approve(history, "a")
        assert history.read_bytes() == damaged
    head_path(history).unlink()
    history.write_bytes(content)
    approve(history, "a")


def test_the_way_from_where_a_history_ends_is_by_steps_that_the_contract_knows() -> None:
    assert steps_between("draft", "submitted") == [("draft", "submitted")]
    assert steps_between("approved", "flagged") == [("approved", "submitted"), ("submitted", "flagged")]
    assert steps_between("flagged", "flagged") == []


def test_a_step_recorded_while_the_history_is_being_read_is_no_fault(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    def read_and_then_somebody_writes(path: Path) -> Iterator[bytes]:
        nonlocal reads
        reads += 1
        lines = list(lines_of(path))
        if reads <= 3:
            approve(path, "abc"[reads - 1])
        return iter(lines)

    monkeypatch.setattr(history_check, "lines_of", read_and_then_somebody_writes)
    assert history_check.check_history(history, dict.fromkeys("abc", "approved")) == []
    assert reads == 4


def test_lines_that_are_gone_are_told_while_nobody_writes(history: Path) -> None:
    lines = history.read_bytes().splitlines(keepends=True)
    history.write_bytes(b"".join(lines[:2]))
    faults = history_check.check_history(history, {"a": "submitted", "b": "submitted", "c": "draft"})
    assert len(faults) == 1 and "the last 1 are gone" in faults[0]
