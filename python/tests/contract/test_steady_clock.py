"""A computer's clock that is set back: times of events and heartbeats go on growing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import contract_samples as samples
import pytest

from organincrement.contract import clock, process
from organincrement.contract.clock import SteadyClock
from organincrement.contract.errors import ContractError
from organincrement.contract.events import EventWriter, read_events
from organincrement.contract.files import utc_now
from organincrement.contract.process import claimed, this_process

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


class Computer:
    """A clock on the wall, which may be set, and one that counts seconds since the start."""

    def __init__(self) -> None:
        self.wall, self.counter_s = START, 100.0

    def passes(self, seconds: float, set_by: float = 0.0) -> None:
        self.counter_s += seconds
        self.wall += timedelta(seconds=seconds + set_by)

    def clock(self, not_before: str | None = None) -> SteadyClock:
        def now() -> str:
            return self.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")

        return SteadyClock(not_before, now=now, monotonic_s=lambda: self.counter_s)


def test_while_the_clock_goes_forward_it_is_believed() -> None:
    computer = Computer()
    steady = computer.clock()
    assert steady() == "2026-11-21T08:00:00.000Z"
    computer.passes(2.5)
    assert steady() == "2026-11-21T08:00:02.500Z"
    computer.passes(1, set_by=3600)
    assert steady() == "2026-11-21T09:00:03.500Z"


def test_a_clock_that_is_set_back_does_not_take_time_along() -> None:
    computer = Computer()
    steady = computer.clock()
    first = steady()
    computer.passes(4, set_by=-3600)
    second = steady()
    computer.passes(3)
    third = steady()
    assert [first, second, third] == [f"2026-11-21T08:00:{s}.000Z" for s in ("00", "04", "07")]
    computer.passes(3600)
    assert steady() == "2026-11-21T09:00:07.000Z"
    computer.passes(1, set_by=10)
    assert steady() > "2026-11-21T09:00:07.000Z"


def test_a_later_process_does_not_start_before_an_earlier_one_ended() -> None:
    assert Computer().clock("2026-11-21T12:00:00.000Z")() == "2026-11-21T12:00:00.000Z"


def test_events_are_in_order_of_time_over_a_clock_that_goes_back(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "events.jsonl"
    wall = iter(f"2026-11-21T{hour:02d}:00:00.000Z" for hour in (9, 10, 8, 7, 11, 6))
    monkeypatch.setattr(clock, "utc_now", lambda: next(wall))
    monkeypatch.setattr(SteadyClock.__init__, "__defaults__", (None, clock.utc_now, clock.time.monotonic))
    writer = EventWriter(path)
    writer.write("started", **samples.started())
    for number in range(4):
        writer.write("step", **samples.step(number))
    EventWriter(path).write("paused", step=3)
    times = [event.t for event in read_events(path)]
    assert times == sorted(times) and times[4][:13] == "2026-11-21T11" and times[5] >= times[4]


def _of_another_host(seconds_ahead: float) -> process.ProcessRecord:
    beat = (datetime.now(UTC) + timedelta(seconds=seconds_ahead)).isoformat(timespec="milliseconds")
    return replace(this_process(), host="another-host", heartbeat=beat.replace("+00:00", "Z"))


def test_a_dead_process_whose_heartbeat_lies_in_the_future_is_found_out(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process, "_SEVERAL_BEATS_S", 0.3)
    path = tmp_path / "process.json"
    process.codec.write(_of_another_host(86400), path)
    with claimed(path) as record:
        assert record.host != "another-host"


def test_a_living_process_whose_heartbeat_lies_in_the_future_keeps_its_job(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process, "_SEVERAL_BEATS_S", 5.0)
    path = tmp_path / "process.json"
    process.codec.write(_of_another_host(86400), path)
    look = process.read_record
    beats = iter(range(1, 100))

    def beating(at: Path):
        process.codec.write(_of_another_host(86400 + 2 * next(beats)), at)
        return look(at)

    monkeypatch.setattr(process, "read_record", beating)
    with pytest.raises(ContractError, match="is writing this job"), claimed(path):
        pass


def test_now_is_a_time_that_a_steady_clock_can_go_on_from() -> None:
    now = utc_now()
    assert SteadyClock(now)() >= now
