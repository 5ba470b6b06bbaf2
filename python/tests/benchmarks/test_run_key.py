"""A finished run stays the one that is asked for when settings are added that change nothing."""

from dataclasses import replace

from benchmarks.run_key import digest, recipe_facts, setting_facts
from organincrement.methods.recipes import FROM_TEACHER


def test_a_setting_that_came_later_counts_only_where_it_changes_something():
    before = {"dice_weight": 1.0}
    assert setting_facts({**before, "norm": "instance", "dimensions": "3"}) == before
    assert setting_facts({**before, "norm": "batch"}) == {**before, "norm": "batch"}


def test_a_recipe_without_a_patch_is_what_it_was_before_there_was_one():
    assert "patch" not in recipe_facts(FROM_TEACHER)
    assert recipe_facts(replace(FROM_TEACHER, patch=(1, 8, 8)))["patch"] == (1, 8, 8)


def test_the_digest_does_not_depend_on_the_order_of_the_facts():
    assert digest({"a": 1, "b": None}) == digest({"b": None, "a": 1}) != digest({"a": 1, "b": 0})
