import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from organincrement.contract import files
from organincrement.contract.errors import ContractError

ENGINE = str(Path(__file__).parents[2])


def _python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {ENGINE!r})\n{code}", *map(str, arguments)]


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    code = (
        "from organincrement.contract.files import write_atomic\n"
        "import itertools, json\n"
        "for i in itertools.count():\n"
        "    write_atomic(sys.argv[1], json.dumps([i] * 20000)); print(i, flush=True)\n"
    )
    with subprocess.Popen(_python(code, path), stdout=subprocess.PIPE, encoding="utf-8") as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 15:
            assert len(set(json.loads(path.read_text(encoding="utf-8")))) == 1
        writer.kill()
    numbers = json.loads(path.read_text(encoding="utf-8"))
    assert len(numbers) == 20000
    assert len(set(numbers)) == 1


def test_a_write_that_fails_keeps_the_old_content_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        files.write_atomic(target, b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_written_files_are_readable_by_others_as_the_umask_says(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "case.json", "{}")
    (tmp_path / "plain").touch()
    assert (tmp_path / "case.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_of_files_at_and_above_a_folder_the_nearest_is_found(tmp_path: Path) -> None:
    deep = tmp_path / "outer" / "inner" / "not yet there"
    deep.parent.mkdir(parents=True)
    assert files.found_at_or_above(deep, ["mark.json"]) is None
    (tmp_path / "outer" / "mark.json").touch()
    assert files.found_at_or_above(deep, ["other.json", "mark.json"]) == tmp_path / "outer" / "mark.json"
    (tmp_path / "outer" / "inner" / "other.json").touch()
    assert files.found_at_or_above(deep, ["mark.json", "other.json"]) == deep.parent / "other.json"
    assert files.found_at_or_above(deep.parent, ["other.json"]) == deep.parent / "other.json"
    (tmp_path / "link").symlink_to(deep.parent)
    assert files.found_at_or_above(tmp_path / "link" / "job", ["mark.json"]) == tmp_path / "outer" / "mark.json"


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    files.append_line(path, "first")
    code = (
        "import resource, signal\n"
        "from organincrement.contract.files import append_line\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: append_line(sys.argv[1], 'x' * 5000)\n"
        "except OSError: print('full')\n"
    )
    done = subprocess.run(_python(code, path), capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "full\n"
    assert path.read_bytes() == b"first\n"


@pytest.mark.parametrize("whole", [b"", b"one\n", b"one\n" + b"y" * 200_000 + b"\n"])
def test_a_half_written_last_line_is_cut_off(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(whole + b'{"seq": 7, "ha')
    last = files.truncate_half_line(path)
    assert path.read_bytes() == whole
    assert last == (whole.splitlines()[-1] if whole else None)
    files.append_line(path, "two")
    assert path.read_bytes() == whole + b"two\n"


@pytest.mark.parametrize(
    "relative",
    ["/etc/passwd", "../x", "a/../../x", "a\\b", "C:/x", "C:x", "a:b", "", ".", "a//b", "a/./b", "a\0b", "link/x"],
)
def test_a_path_that_leaves_its_folder_is_refused_in_one_line(tmp_path: Path, relative: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    with pytest.raises(ContractError) as caught:
        files.resolve_inside(tmp_path / "data", relative)
    assert str(tmp_path / "data") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_inside_its_folder_is_allowed_even_through_a_link_that_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert files.resolve_inside(tmp_path, "b/scan 1.nii.gz") == tmp_path / "b" / "scan 1.nii.gz"


def test_pipes_folders_missing_and_oversized_files_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"12345")
    for name, says in (("pipe", "regular"), (".", "regular"), ("none", "cannot be read"), ("big", "limit of 4")):
        with pytest.raises(ContractError, match=says):
            files.read_bytes(tmp_path / name, 4)
    with pytest.raises(ContractError, match="regular"):
        files.sha256_file(tmp_path / "pipe")


def test_a_lock_is_refused_while_held_and_free_when_its_process_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "from organincrement.contract.files import locked\nfrom pathlib import Path\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(_python(code, lock), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ContractError, match="another program"), files.locked(lock, timeout_s=0.05):
            pass
        holder.kill()
    with files.locked(lock, timeout_s=0.05):
        assert lock.exists()


def test_threads_take_turns_under_a_lock(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0", encoding="utf-8")

    def count() -> None:
        for _ in range(10):
            with files.locked(tmp_path / "lock"):
                counter.write_text(str(int(counter.read_text(encoding="utf-8")) + 1), encoding="utf-8")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text(encoding="utf-8") == "40"
