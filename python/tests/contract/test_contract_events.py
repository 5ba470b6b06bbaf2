import json
from pathlib import Path

import contract_samples as samples
import pytest

from organincrement.contract.errors import ContractError
from organincrement.contract.events import EventTail, EventWriter, Started, Step, read_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write_run(path: Path, steps: range, resumed_from: int | None = None) -> EventWriter:
    writer = EventWriter(path)
    writer.write("started", **samples.started(resumed_from=resumed_from))
    for number in steps:
        writer.write("step", **samples.step(number))
    return writer


def test_every_event_type_is_written_and_read_back_in_order(path: Path) -> None:
    writer = write_run(path, range(1))
    written = [
        writer.write("validated", step=1, dice={"mandible": 0.5}, agreement={"brainstem": None}, best=True),
        writer.write("checkpointed", step=1, file="checkpoint/1.pt", sha256=samples.SHA),
        writer.write("warned", code="slow", message="data is slow"),
        writer.write("paused", step=1),
        writer.write("cancelled", step=1),
        writer.write("failed", code="diverged", message="loss is NaN", what_to_do="look at case pt_1"),
        writer.write("finished", package="student", metrics={"dice": 0.5}, seconds=1.5),
    ]
    events = read_events(path)
    assert events[2:] == written
    assert [event.seq for event in events] == list(range(9))
    keys = list(json.loads(path.read_text(encoding="utf-8").splitlines()[1]))
    assert keys[:5] == ["seq", "t", "type", "phase", "step"]


def test_a_new_writer_goes_on_where_the_last_whole_line_ends(path: Path) -> None:
    write_run(path, range(2))
    with path.open("ab") as file:
        file.write(b'{"seq": 3, "t": "2026')
    assert len(read_events(path)) == 3
    EventWriter(path).write("paused", step=1)
    assert [event.seq for event in read_events(path)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("event_type", "fields", "says"),
    [
        ("stepped", {}, "no event type 'stepped'"),
        ("paused", {}, "paused: step: is missing"),
        ("paused", {"step": 1, "why": "x"}, "paused: why: is an unknown key"),
        ("failed", {"code": "bad", "message": "", "what_to_do": ""}, "failed: code: expected one of"),
        ("step", samples.step(1) | {"losses": {"a": float("nan")}}, "losses.a: nan is not JSON"),
    ],
)
def test_a_wrong_event_is_refused_and_takes_no_number(
    path: Path, event_type: str, fields: dict[str, object], says: str
) -> None:
    writer = write_run(path, range(0))
    with pytest.raises(ContractError, match=says):
        writer.write(event_type, **fields)
    assert writer.write("paused", step=0).seq == 1


def test_a_tail_waits_for_the_rest_of_a_half_line_and_reads_each_line_once(path: Path) -> None:
    tail = EventTail(path)
    assert tail.poll() == []
    write_run(path, range(1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert [event.type for event in tail.poll()] == ["started"]
    assert tail.poll() == []
    path.write_bytes(whole)
    assert [event.type for event in tail.poll()] == ["step"]
    assert tail.poll() == []
    assert tail.problems == []


def test_a_tail_survives_the_cut_of_a_half_line_by_a_resumed_job(path: Path) -> None:
    tail = EventTail(path)
    write_run(path, range(2))
    with path.open("ab") as file:
        file.write(b'{"seq": 3, "t": "2026-11-21T00:00:00Z", "type": "step", "phase": "tra')
    assert len(tail.poll()) == 3
    write_run(path, range(1, 2), resumed_from=0)
    assert [(event.seq, event.type) for event in tail.poll()] == [(3, "started"), (4, "step")]
    assert tail.problems == []


def test_a_gap_and_a_damaged_line_are_reported_and_the_rest_is_read(path: Path) -> None:
    write_run(path, range(3))
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], "{}\n", lines[3]]), encoding="utf-8")
    problems: list[str] = []
    assert [event.seq for event in read_events(path, problems)] == [0, 3]
    assert "line 2: type: None is no event type" in problems[0]
    assert "line 3: seq goes from 0 to 3" in problems[1]
    with pytest.raises(ContractError, match="line 2"):
        read_events(path)


def test_steps_after_the_checkpoint_of_a_resumed_job_are_void(path: Path) -> None:
    write_run(path, range(0, 6)).write("warned", code="slow", message="")
    writer = write_run(path, range(4, 5), resumed_from=3)
    events = read_events(path)
    assert [event.step for event in events if isinstance(event, Step)] == [0, 1, 2, 3, 4]
    assert [event.type for event in events].count("warned") == 1
    assert [event.resumed_from for event in events if isinstance(event, Started)] == [None, 3]
    assert writer.write("paused", step=4).seq == 10


def test_a_job_started_again_from_nothing_voids_all_earlier_steps(path: Path) -> None:
    write_run(path, range(0, 3))
    write_run(path, range(0, 1))
    assert [event.step for event in read_events(path) if isinstance(event, Step)] == [0]
