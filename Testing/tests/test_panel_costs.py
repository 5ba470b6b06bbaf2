"""The panels with much to show: in a process of their own, by its processor time, which others do not add to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from train_world import ENVIRONMENT

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    command = [sys.executable, str(HERE / "panel_costs.py"), str(tmp_path_factory.mktemp("costs"))]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_each_module_opens_within_a_second_and_again_in_a_moment(costs):
    assert costs["opened"].keys() == {"first", "again"} and not costs["torch"]
    assert max(costs["opened"]["first"].values()) < 1.0
    assert max(costs["opened"]["again"].values()) < 0.5


@pytest.mark.slow
def test_a_table_of_ten_thousand_cases_is_filled_sorted_filtered_and_scrolled(costs):
    table = costs["table"]
    assert table["filled"] < 1.5
    assert max(table["one decided"], table["other order"], table["filtered"]) < 0.6
    assert table["longest page"] < 0.03


@pytest.mark.slow
def test_a_log_of_fifty_megabytes_is_shown_at_once_and_read_within_a_second(costs):
    log = costs["log"]
    assert log["bytes"] >= 50_000_000
    assert log["first look"] < 0.1
    assert log["all of it"] < 1.5
    assert log["state by the command"] < 0.6
