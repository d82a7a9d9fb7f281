"""Claims about environments: rows that were not computed alike are marked and named, and keep their rank."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from stored import COMPUTED, VERSIONS

from segbench.api.leaderboard import leaderboard
from segbench.report.formats.latex import to_latex
from segbench.report.formats.leaderboard import to_markdown
from segbench.report.formats.tables import to_csv, to_json
from segbench.report.ranking.caveats import caveats
from segbench.report.runs.environments import differing_facts, facts_of
from segbench.report.runs.load import load_results


def environment(**changes):
    """The environment of ``write_run`` with facts changed; of versions only those that are given."""
    versions = {**VERSIONS, **changes.pop("versions", {})}
    return {"processor": "Example CPU", "device": "cpu", "versions": versions, **COMPUTED, **changes}


@pytest.fixture
def runs(results):
    return lambda: load_results(results)


def marks(runs):
    board = leaderboard(runs)
    return dict(
        zip(board["model"], zip(board["same_environment"], board["environment_differs"], strict=True), strict=True)
    )


GPU = {"name": "GPU"}
CHANGES = {
    "threads": {"threads": 2},
    "CPU capability": {"cpu_capability": "AVX512"},
    "device": {"processor": "Other CPU"},
    "precision": {"precision": "bf16"},
    "torch": {"versions": {"torch": "2.7"}},
    "torchvision": {"versions": {"torchvision": "0.22"}},
    "timm": {"versions": {"timm": None}},
    "NumPy": {"versions": {"numpy": "2.1"}},
    "Pillow": {"versions": {"pillow": "11.0"}},
}


@pytest.mark.slow(reason="writes a report with all its figures")
@pytest.mark.parametrize("fact", CHANGES)
def test_a_row_that_differs_in_one_fact_from_most_is_marked_with_it_and_keeps_its_rank(add, runs, fact):
    for seed in (0, 1):
        add("a", seed, hits=90)
        add("b", seed, hits=80, environment=environment(**CHANGES[fact]))
        add("c", seed, hits=70)
    assert marks(runs()) == {"a": (True, None), "b": (False, fact), "c": (True, None)}
    assert leaderboard(runs())["rank"].tolist() == [1, 2, 3]


def test_a_note_names_both_values_and_the_rows_of_the_rarer_one(add, runs):
    for name in "abc":
        add(name)
    add("d", environment=environment(threads=2))
    add("e", environment=environment(threads=4, versions={"torch": "2.7"}))
    (note,) = [note for note in caveats(runs()) if "computed alike" in note]
    assert note.endswith(
        "not all rows were computed alike, and scores depend on it: threads 1 | 2: d | 4: e; torch 2.6 | 2.7: e."
    )


def test_versions_of_cuda_count_on_cuda_alone(add, runs):
    on_gpu = {"device": "cuda:0", "accelerator": GPU, "cuda": "12.4"}
    add("a", environment=environment(**on_gpu, cudnn=90100))
    add("b", environment=environment(**on_gpu, cudnn=90200))
    add("c", environment=environment(**on_gpu, cudnn=90100))
    assert marks(runs())["b"] == (False, "cuDNN")
    assert "cuDNN" not in facts_of(runs().assign(environment=[environment()] * 3))[0]


def test_runs_are_compared_seed_by_seed_with_most(add, runs):
    for name in "abc":
        add(name, 0)
        add(name, 1, environment=environment(threads=2 if name == "c" else 1))
    assert marks(runs()) == {"a": (True, None), "b": (True, None), "c": (False, "threads")}
    found = differing_facts(runs())
    assert sorted(found) == [(), (), (), (), (), ("threads",)]


def test_a_network_whose_own_seeds_differ_is_marked_though_each_seed_is_as_most(add, runs):
    for name in "ab":
        for seed in (0, 1):
            add(name, seed, environment=environment(threads=1 + seed))
    add("c", 0)
    assert marks(runs()) == {"a": (False, "threads"), "b": (False, "threads"), "c": (True, None)}
    (note,) = [note for note in caveats(runs()) if "computed alike" in note]
    assert "threads 1 | 2: a seed 1, b seed 1." in note


def test_where_no_value_has_a_majority_no_row_is_called_the_same(add, runs):
    add("a", environment=environment(threads=1))
    add("b", environment=environment(threads=2))
    assert marks(runs()) == {"a": (False, "threads"), "b": (False, "threads")}


def test_what_is_not_recorded_is_no_difference_and_is_said(add, runs):
    add("a")
    add("b")
    lacking = environment()
    del lacking["threads"], lacking["versions"]["pillow"]
    add("c", environment=lacking)
    assert marks(runs())["c"] == (True, None)
    (note,) = [note for note in caveats(runs()) if "not recorded" in note]
    assert note.endswith("not recorded, so that rows may differ in it unseen: threads (of 1 run), Pillow (of 1 run).")


def test_of_environments_of_which_nothing_is_known_nothing_is_claimed(add, runs):
    add("a", environment={})
    add("b", environment={})
    assert [same is pd.NA for same, _ in marks(runs()).values()] == [True, True]
    (note,) = caveats(runs())
    assert "not recorded, so that rows may differ in it unseen: threads, CPU capability, device, precision" in note


def test_the_precision_of_an_earlier_record_is_that_of_its_recipe(add, runs):
    recipe = {"train": {"precision": "bf16", "epochs": 1}, "evaluate": {"precision": "fp32"}}
    older = environment()
    del older["precision"]
    add("a", recipe=recipe, environment=older)
    assert facts_of(runs())[0]["precision"] == "bf16, evaluated in fp32"


def test_a_run_that_went_on_elsewhere_is_not_as_one_that_did_not(add, runs):
    add("a")
    add("b", environment=environment(earlier_threads=[4]))
    add("c", environment=environment(earlier_cpu_capabilities=["AVX512"]))
    assert marks(runs()) == {"a": (True, None), "b": (False, "threads"), "c": (False, "CPU capability")}
    assert facts_of(runs())[1]["threads"] == "4, then 1"


def test_every_form_of_the_leaderboard_tells_what_differs(add, runs):
    for name in "abc":
        add(name, environment=environment(threads=2 if name == "b" else 1))
    board = leaderboard(runs())
    for text in (to_markdown(board), to_latex(board), board._repr_html_()):
        assert "differs in" in text
        assert "threads" in text
    rows = {row["model"]: row for row in json.loads(to_json(board))["rows"]}
    assert (rows["b"]["same_environment"], rows["b"]["environment_differs"]) == (False, "threads")
    assert (rows["a"]["same_environment"], rows["a"]["environment_differs"]) == (True, None)
    cells = {row["model"]: row for row in csv.DictReader(io.StringIO(to_csv(board)))}
    assert (cells["b"]["same_environment"], cells["b"]["environment_differs"]) == ("False", "threads")


def test_where_all_rows_were_computed_alike_there_is_no_such_column(add, runs):
    add("a")
    add("b")
    board = leaderboard(runs())
    assert "differs in" not in to_markdown(board)
    assert caveats(runs()) == []
