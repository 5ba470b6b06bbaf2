from dataclasses import replace
from pathlib import Path

import contract_samples as samples
import pytest

from organincrement.contract.errors import ContractError
from organincrement.contract.plan import input_path, moved_plan, relative_input


def test_inputs_are_found_relative_to_the_plan_whatever_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    plan = samples.plan()
    assert input_path(tmp_path / "jobs" / "plan.json", plan.inputs[0]) == tmp_path / "head-neck-4.oimodel"


def test_a_plan_copied_into_its_job_names_the_same_inputs(tmp_path: Path) -> None:
    old, new = tmp_path / "plans" / "plan.json", tmp_path / "jobs" / "one" / "plan.json"
    moved = moved_plan(samples.plan(), old, new)
    assert moved.inputs[0].path == "../../head-neck-4.oimodel"
    assert [input_path(new, i) for i in moved.inputs] == [input_path(old, i) for i in samples.plan().inputs]
    assert replace(moved, inputs=samples.plan().inputs) == samples.plan()


def test_a_plan_may_lie_in_its_dataset(tmp_path: Path) -> None:
    dataset = replace(samples.plan().inputs[1], path=relative_input(tmp_path / "plan.json", tmp_path))
    assert dataset.path == "."
    assert input_path(tmp_path / "plan.json", dataset) == tmp_path


@pytest.mark.parametrize("path", ["/data/site-b", "C:\\data", "D:/data", ""])
def test_an_absolute_input_is_refused(path: str) -> None:
    with pytest.raises(ContractError, match="write it relative"):
        replace(samples.plan().inputs[0], path=path)
