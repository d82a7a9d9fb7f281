"""Finished runs whose labels or images have changed since are told, before anything is run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tiny import document
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.config.load import load_suite
from segbench.config.plan import plan
from segbench.engine.suite.changed_data import runs_on_changed_data
from segbench.engine.suite.run_suite import run_suite
from segbench.results.record import Status


@pytest.fixture
def suite(tmp_path):
    """A suite on a folder of small images."""
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
            for name in "abcd":
                shape = (32, 32, 3) if kind == "images" else (32, 32)
                pixels = np.full(shape, ord(name) % 2, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / kind / split / f"{name}.png")
    data = {"name": "folder", "root": str(tmp_path / "data"), "classes": ["one", "other"]}
    given = document(models=["cnn"]) | {"name": "tiny"}
    given["dataset"] = data
    given["train"] = given["train"] | {"epochs": 1}
    file = tmp_path / "suite.yaml"
    file.write_text(json.dumps(given))
    return file


@pytest.fixture
def stored(suite, tmp_path):
    """The suite's only run, completed."""
    checked = load_suite(suite)
    (record,) = run_suite(checked, results=tmp_path / "results", in_process=True).records
    assert record.outcome.status is Status.COMPLETED
    return plan(checked)[0], record


def relabel(suite):
    Image.fromarray(np.ones((32, 32), np.uint8)).save(suite.parent / "data" / "masks" / "test" / "b.png")


def test_a_run_whose_labels_changed_is_named(suite, stored):
    run, record = stored
    assert runs_on_changed_data([run], {run.id: record}) == frozenset()
    relabel(suite)
    assert runs_on_changed_data([run], {run.id: record}) == {run.id}
    assert runs_on_changed_data([run], {}) == frozenset()


def test_of_data_that_is_not_here_nothing_is_said(suite, stored):
    run, record = stored
    (suite.parent / "data").rename(suite.parent / "away")
    assert runs_on_changed_data([run], {run.id: record}) == frozenset()


def test_the_plan_says_so(suite, stored, tmp_path):
    before = CliRunner().invoke(app, ["plan", str(suite), "--results", str(tmp_path / "results"), "--json"])
    relabel(suite)
    after = CliRunner().invoke(app, ["plan", str(suite), "--results", str(tmp_path / "results"), "--json"])
    status = [json.loads(done.stdout)["runs"][0]["status"] for done in (before, after)]
    assert status == ["done", "to do again (the data has changed)"]
