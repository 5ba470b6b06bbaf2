"""Pickles are read as data: what they hold arrives, what they want done does not happen.

Times are of the processor, so that other programs on the computer do not count.
"""

import collections
import pickle
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from models.hostile_pickles import bombs, commands

from organincrement.models.errors import ModelError
from organincrement.models.pickled_data import Made, Named, read_pickled

_VALUES = {
    "numbers": [0, 255, 65535, -3, 10**30, 2.5, float("inf"), True, False, None, 3 + 4j],
    "text": ["é", "", "日本", b"bytes", bytearray(b"array")],
    "nested": ((1, (2, 3)), [], {}, {"a": {"b": (None,)}}),
    "sets": ({1, 2}, frozenset([3])),
    "classes": (collections.OrderedDict(a=1, b=2), collections.defaultdict(list, {1: [2]}), collections.Counter("aab")),
    "scalars": [np.float64(2.5), np.float32(1.5), np.int64(7), np.bool_(True), np.str_("x")],
    (1, "tuple"): 5,
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_arrive_as_they_were_at_every_protocol(protocol):
    assert read_pickled(pickle.dumps(_VALUES, protocol), "plain") == _VALUES


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_arrays_arrive_as_arrays(protocol):
    arrays = {
        "row": np.arange(6, dtype=np.int16).reshape(2, 3),
        "column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(4, dtype=">i4"),
        "text": np.array(["ab", "c"]),
        "none": np.zeros((0, 3), np.float32),
        "truth": np.array([True, False]),
    }
    found = read_pickled(pickle.dumps(arrays, protocol), "arrays")
    for name, wanted in arrays.items():
        assert found[name].dtype == wanted.dtype and found[name].shape == wanted.shape
        assert (found[name] == wanted).all()


def test_older_module_names_of_numpy_are_known():
    data = pickle.dumps([np.float64(2.5), np.arange(3.0)], 2)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != data
    number, array = read_pickled(old, "old")
    assert number == 2.5 and array.tolist() == [0, 1, 2]


def test_one_object_at_two_places_stays_one():
    shared = np.arange(3)
    found = read_pickled(pickle.dumps([shared, {"again": shared}], 4), "shared")
    assert found[0] is found[1]["again"]


def test_other_classes_become_words():
    found = read_pickled(pickle.dumps({"class": PurePosixPath, "path": PurePosixPath("a/b")}, 2), "words")
    assert found["class"] == Named("pathlib", "PurePosixPath")
    assert isinstance(found["path"], Made) and found["path"].what == found["class"] and found["path"].args == ("a", "b")


@pytest.mark.parametrize("attack", sorted(commands(Path("x"))))
def test_a_pickle_that_runs_commands_runs_none(attack, tmp_path):
    marker = tmp_path / "marker"
    try:
        found = read_pickled(commands(marker)[attack], "attack")
    except ModelError as error:
        assert str(error).startswith("attack: ") and "\n" not in str(error)
    else:
        assert isinstance(found, Made) and attack in ("code-object", "build-setstate")
    assert not marker.exists()


def test_a_command_is_named_in_the_refusal():
    with pytest.raises(ModelError, match=r"asks to run 'posix\.system', which no model needs; nothing was run"):
        read_pickled(commands(Path("x"))["stack-global"], "attack")


@pytest.mark.parametrize("bomb", sorted(bombs()))
def test_a_bomb_is_refused_in_time(bomb):
    data = bombs()[bomb]
    start = time.process_time()
    with pytest.raises(ModelError) as refusal:
        read_pickled(data, "bomb.pkl")
    assert str(refusal.value).startswith("bomb.pkl: ") and "\n" not in str(refusal.value)
    assert time.process_time() - start < 5


def test_a_pickle_cut_off_anywhere_is_refused():
    data = pickle.dumps(_VALUES, 4)
    for tenth in range(10):
        with pytest.raises(ModelError, match="get the file again"):
            read_pickled(data[: len(data) * tenth // 10], "cut")


_ALL_BOMBS = """
import resource, sys
sys.path.insert(0, "tests")
from models.hostile_pickles import bombs
from organincrement.models.errors import ModelError
from organincrement.models.pickled_data import read_pickled
all_bombs = bombs()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for bomb in all_bombs.values():
    try:
        read_pickled(bomb, "bomb")
    except ModelError:
        continue
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_bombs_take_less_than_half_a_gigabyte():
    python = Path(__file__).parents[2]
    command = [sys.executable, "-c", _ALL_BOMBS]
    answer = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=python)
    assert int(answer.stdout) < 2**29


def test_many_short_lines_before_much_text_are_read_in_time():
    start = time.process_time()
    assert read_pickled(b"(" + b"I1\n0" * 100_000 + b"l.", "lines") == []
    assert time.process_time() - start < 5
