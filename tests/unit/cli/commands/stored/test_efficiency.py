"""Scores from fewer images on the terminal and as JSON: what is needed, what crosses, and what is refused."""

from __future__ import annotations

import pytest
from short_of import NOT_KNOWN
from stored import some_images, write_run

STEADY, STEEP = {50: 70, 400: 84}, {50: 50, 400: 95}


def network(root, label, hits, *, seeds=3, images=30, **changes):
    """Store a network with about these hits of 100 by number of training images."""
    for trained, right in hits.items():
        recipe = {"dataset": {"name": "scenes", "fraction": trained / 400}, "train": {"steps": 100}}
        for seed in range(seeds):
            matrices = some_images(right + seed, images=images, seed=seed)
            write_run(root, label, seed, recipe=recipe, matrices=matrices, train_images=trained, **changes)


@pytest.fixture
def stored(tmp_path):
    """Two networks whose order turns round."""
    network(tmp_path, "steady", STEADY)
    network(tmp_path, "steep", STEEP, name="segnet")
    return tmp_path / "toy"


def test_scores_needed_images_and_crossings_are_shown_in_80_columns(stored, segbench):
    answer = segbench("efficiency", stored, "--score", "0.6")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "Scenes · 100 steps: mean IoU by training images"
    assert lines[1].split() == ["model", "50", "400"]
    assert [line.split()[0] for line in lines[3:5]] == ["steep", "steady"]
    assert "for 0.6" in answer.out
    assert "- steady leads up to" in answer.out
    assert "told apart at 50 and at 400." in answer.out
    assert "Fewer images change the ranking." in answer.out
    assert max(len(line) for line in lines if not line.startswith(("-", "Fewer"))) <= 80  # sentences break on terminals
    assert "95 % intervals over trainings and test images" in answer.err


def test_json_holds_the_same_and_null_where_an_interval_is_open(stored, segbench):
    (table,) = segbench("efficiency", stored, "--score", "0.6", "--score", "0.99", "--json").json
    rows = {row["label"]: row for row in table["rows"]}
    assert table["sizes"] == [50, 400]
    assert [need["score"] for need in rows["steep"]["needs"]] == [0.6, 0.99]
    reached, never = rows["steep"]["needs"]
    assert 50 < reached["interval"]["low"] < reached["images"] < reached["interval"]["high"] < 400
    assert (never["images"], never["interval"]) == (None, {"low": 400, "high": None})
    (pair,) = table["pairs"]
    assert pair["order"] == "turns"
    assert pair["crossings"][0]["sides"] == [50, 400]
    assert set(pair["p_values"]) == {"50", "400"}


def test_the_score_of_one_class_can_be_asked_for(stored, segbench):
    answer = segbench("efficiency", stored, "--class", "sky")
    assert "Scenes · 100 steps: IoU of sky by training images" in answer.out
    wrong = segbench("efficiency", stored, "--class", "skyy")
    assert wrong.code == 2
    assert "did you mean 'sky'" in wrong.err


def test_a_suite_that_varies_no_fraction_is_told_how(tmp_path, segbench):
    network(tmp_path, "unet", {400: 80})
    answer = segbench("efficiency", tmp_path / "toy")
    assert answer.code == 2
    assert "grid: {dataset.fraction: [1.0, 0.5, 0.25, 0.125]}" in answer.err


def test_names_that_a_terminal_would_obey_are_spelled_out(tmp_path, segbench):
    network(tmp_path, "two\nlines\x1b[31m", STEADY)
    network(tmp_path, "[red]x[/red]", STEEP, name="segnet")
    answer = segbench("efficiency", tmp_path / "toy")
    assert answer.code == 0
    assert "\x1b[31m" not in answer.out
    assert "[red]x[/red]" in answer.out


@pytest.mark.parametrize(("changes", "reason"), NOT_KNOWN)
def test_what_is_not_known_is_shown_with_its_reason(tmp_path, segbench, changes, reason):
    for label, hits in (("tuned", STEADY), ("plain", STEEP)):
        tuned = label == "tuned"
        network(tmp_path, label, hits, name="unet", pretrained=tuned, options={"pretrained": tuned}, **changes)
    out = segbench("efficiency", tmp_path / "toy", "--score", "0.6").out
    assert f"Training images that are needed ({reason})" in out
    assert f"tuned less plain ({reason})" in out
    assert f"Pretraining ({reason}): tuned less plain is +" in out


def test_networks_without_common_numbers_of_images_have_no_table_of_gains(tmp_path, segbench):
    network(tmp_path, "tuned", {50: 80, 100: 84}, name="unet", pretrained=True, options={"pretrained": True})
    network(tmp_path, "plain", {200: 80, 400: 84}, name="unet", options={"pretrained": False})
    answer = segbench("efficiency", tmp_path / "toy")
    assert answer.code == 0
    assert "tuned less plain" not in answer.out
    assert "tuned and plain have no number of images in common" in answer.out
