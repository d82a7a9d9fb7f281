"""data check and run show one list of problems and notes, which is stored and reported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny import document
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.results.record import RunRecord


@pytest.fixture
def file(tmp_path):
    """A suite of four training and two test images, whose class "rare" is in test alone."""
    draw = np.random.default_rng(0)
    for split, count in {"train": 4, "test": 2}.items():
        for kind in ("images", "masks"):
            (tmp_path / kind / split).mkdir(parents=True)
        for index in range(count):
            label = draw.integers(0, 2, (16, 16), np.uint8)
            label[:2] = 2 if split == "test" else 0
            Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / f"images/{split}/{index}.png")
            Image.fromarray(label).save(tmp_path / f"masks/{split}/{index}.png")
    suite = document(models=["cnn"], train={"epochs": 1, "batch_size": 2})
    suite["dataset"] = {"name": "folder", "root": str(tmp_path), "classes": ["ground", "thing", "rare"]}
    place = tmp_path / "noted.yaml"
    place.write_text(yaml.safe_dump(suite))
    return place


def segbench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run(file, *arguments):
    places = ("--results", file.parent / "results", "--reports", file.parent / "reports")
    return segbench("run", file, *places, "--in-process", "--no-estimate", *arguments)


def told(answer, what):
    return sorted({line.strip() for line in answer.stderr.splitlines() if line.startswith(what)})


def record_in(file):
    (stored,) = file.parent.glob("results/*/*/run.json")
    return RunRecord.model_validate_json(stored.read_text())


def spoil(file):
    """Make the first test image a copy of a training image under another name and in another format."""
    copy = file.parent / "images/test/0.png"
    Image.open(file.parent / "images/train/3.png").save(copy.with_suffix(".bmp"))
    copy.unlink()


@pytest.mark.slow(reason="trains networks")
def test_notes_are_the_same_everywhere_and_outlast_the_run(file):
    (note,) = told(segbench("data", "check", file), "note: ")
    assert "no label is of the class rare" in note
    first = run(file)
    assert first.exit_code == 0, first.stderr
    assert note in told(first, "note: ")
    stored = record_in(file)
    assert stored.data is not None
    assert stored.data.notes == (note.removeprefix("note: "),)
    checks = json.loads((file.parent / "results/tiny/data.json").read_text())
    assert [split["notes"] for split in checks.values() if "notes" in split] == [[note.removeprefix("note: train: ")]]
    for page in ("index.html", "leaderboard.md"):
        assert "no label is of the class rare" in (file.parent / "reports/tiny" / page).read_text()
    assert note in told(run(file, "--no-report"), "note: ")  # of the stored check: nothing is read again


def test_problems_are_the_same_in_both_and_what_is_allowed_is_not_trained_again(file):
    spoil(file)
    checked, refused = segbench("data", "check", file), run(file)
    assert checked.exit_code == refused.exit_code == 2
    (problem,) = told(checked, "problem: ")
    assert problem.removeprefix("problem: ") in refused.stderr
    assert not (file.parent / "results").exists() or not list((file.parent / "results").glob("*/*/run.json"))
    allowed = run(file, "--no-report", "--set", "dataset.allow=[same-picture]")
    assert allowed.exit_code == 0, allowed.stderr
    again = run(file, "--no-report", "--set", "dataset.allow=[same-picture, void]")
    assert "0 runs done, 1 was done before" in again.stderr
    assert "show a picture that train has as well" in again.stderr
