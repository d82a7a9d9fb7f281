"""Claims about tables of which runs are missing."""

from __future__ import annotations

import json
import shutil

import pytest

from segbench.report.ranking.ranking import rank

KEYS = ("id", "protocol_id", "seed")


@pytest.fixture
def plan(add):
    """Store runs and write the plan that has them all; return the folders of the runs."""

    def written(*runs):
        folders = {run: add(*run) for run in runs}
        records = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders.values()]
        planned = [
            {key: record[key] for key in ("id", "protocol_id", "seed")}
            | {"model": {"name": "x", "label": record["label"]}}
            for record in records
        ]
        for folder in folders.values():
            (folder.parent / "suite.lock.json").write_text(json.dumps({"runs": planned}), encoding="utf-8")
        return folders

    return written


def missing(*folders):
    return [note.sentence for note in rank(*folders).notes if "not stored" in note]


def test_runs_that_are_not_there_are_told_with_their_seeds(plan, results):
    folders = plan(("a", 0), ("a", 1), ("b", 0), ("b", 1))
    assert missing(results) == []
    for run in (("a", 1), ("b", 0), ("b", 1)):
        shutil.rmtree(folders[run])
    assert missing(results) == ["3 of the 4 planned runs are not stored: a (seed 1), b (seeds 0, 1)."]


def test_runs_that_lie_in_another_folder_are_not_missing(plan, results, tmp_path):
    folders = plan(("a", 0), ("a", 1))
    suite = folders["a", 0].parent
    other = tmp_path / "other" / suite.name
    shutil.copytree(suite, other)
    shutil.rmtree(folders["a", 0])
    shutil.rmtree(other / folders["a", 1].name)
    assert missing(suite) == ["1 of the 2 planned runs is not stored: a (seed 0)."]
    assert missing(suite, other) == []


def test_a_run_in_a_folder_of_another_name_is_not_missing(plan, results):
    folder = plan(("a", 0), ("a", 1))["a", 0]
    folder.rename(folder.with_name("renamed"))
    assert missing(results) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"runs": [{}]}', '{"runs": [1]}', '{"runs": null}'])
def test_a_plan_that_cannot_be_read_says_nothing(plan, results, text):
    folder = plan(("a", 0))["a", 0]
    (folder.parent / "suite.lock.json").write_text(text, encoding="utf-8")
    assert missing(results) == []
