"""Claims about the top of a report: what was compared, in words, and its facts."""

from __future__ import annotations

import numpy as np
import pytest

from segbench.report.blocks import Facts, Heading, Paragraph
from segbench.report.document.top import title, top
from segbench.report.ranking.notes import Note
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.record import Outcome, Status

CAMVID = {
    "dataset": {"name": "camvid"},
    "train": {"epochs": 13, "batch_size": 4, "optimizer": {"name": "adamw", "lr": 0.001}},
}


@pytest.mark.parametrize(
    ("recipes", "seeds", "words"),
    [
        ([CAMVID], 3, "CamVid · 13 epochs · 3 seeds"),
        ([{"dataset": {"name": "voc2012"}, "train": {"steps": 200}}], 1, "PASCAL VOC 2012 · 200 steps · 1 seed"),
        ([{"dataset": {"name": "camvid"}, "train": None}], 1, "CamVid · evaluated as loaded · 1 seed"),
        ([CAMVID, CAMVID | {"train": {"epochs": 20}}], 1, "CamVid · 13 epochs | 20 epochs · 1 seed"),
        ([CAMVID, CAMVID | {"dataset": {"name": "mine"}}], 1, "CamVid + mine · 13 epochs · 1 seed"),
        ([{"train": {"epochs": 2}}], 1, "Leaderboard: toy"),
    ],
)
def test_the_title_says_what_was_compared(add, results, recipes, seeds, words):
    for recipe in recipes:
        for seed in range(seeds):
            add("a", seed, recipe=recipe)
    assert title(load_results(results)) == words


def test_the_facts_are_those_of_the_records(add, results):
    add("a", recipe=CAMVID)
    add("b", recipe=CAMVID, hits=50)
    add("c", recipe=CAMVID, outcome=Outcome(status=Status.FAILED, reason="x"))
    heading, facts, answer = top(load_results(results), ["a wins."], [Note.of("", "x"), Note.about(["b"], "y")])
    assert isinstance(heading, Heading)
    assert heading.level == 1
    assert answer == Paragraph.of("a wins.", lead=True)
    assert isinstance(facts, Facts)
    found = dict(facts.items)
    assert found["Networks"] == "2"
    assert found["Data"] == "CamVid (3 classes)"
    assert found["Images"] == "8 train, 2 test"
    assert found["Test size"] == "32x48"
    assert found["Training"] == "13 epochs, adamw, lr 0.001, batch 4"
    assert found["Runs"] == "2 completed, 1 failed"
    assert found["Device"] == "Example CPU, 1 thread"
    assert found["Time of all runs"] == "4 s"
    assert facts.words == {"Time of all runs": "added up over runs"}
    assert found["Date"] == "1 Jan 2026"
    assert found["Caveats"] == "2, at the rows and below the ranking"
    assert len(found["Protocol"]) == 8


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ([], "none"),
        ([Note.of("", "x")], "1, below the ranking"),
        ([Note.about(["a"], "x")], "1, at the rows and below the ranking"),
    ],
)
def test_the_number_of_caveats_says_where_they_stand(add, results, notes, said):
    add("a", recipe=CAMVID)
    _, facts = top(load_results(results), [], notes)
    assert dict(facts.items)["Caveats"] == said


def test_nothing_but_unreadable_runs_still_has_a_top(add, results):
    (add() / "run.json").write_text("{")
    heading, facts = top(load_results(results), [], [])
    assert heading.text == "Leaderboard: toy"
    assert dict(facts.items)["Runs"] == "0 completed, 1 damaged"


@pytest.mark.parametrize(
    ("voids", "steps", "shown"),
    [
        ([0, 0], [], "32x48 and others"),
        ([0, 20], [], "32x48"),  # 60 labelled pixels and none of void, 40 and 20: as large
        (None, [], "32x48"),
        ([0, 0], [{"name": "resize", "scale": 0.5}, "normalize"], "32x48 and others"),
        ([0, 0], [{"name": "resize", "size": [32, 48]}], "32x48"),
    ],
)
def test_test_images_of_several_sizes_are_not_shown_as_of_one(add, results, voids, steps, shown):
    labelled = np.stack([20 * np.eye(3, dtype=np.int64), np.diag([20, 20, 0])])
    void = None if voids is None else np.array([[count, 0, 0] for count in voids], np.int64)
    add("a", recipe=CAMVID | {"transforms": {"test": steps}}, matrices=ImageMatrices(("x", "y"), labelled, void))
    _, facts, _ = top(load_results(results), ["a."], [])
    assert dict(facts.items)["Test size"] == shown
