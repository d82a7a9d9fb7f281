"""Claims about worst cases and published figures."""

from __future__ import annotations

import numpy as np
import pytest
from stored import CLASSES

from segbench.api.leaderboard import leaderboard
from segbench.report.document.sections import published
from segbench.report.document.worst_images import image_scores, worst_cases
from segbench.report.formats.html import to_fragment
from segbench.report.formats.leaderboard import board_blocks, to_markdown
from segbench.report.formats.markdown import render_markdown
from segbench.report.formats.tables import to_csv, to_json
from segbench.report.ranking.published import NOT_STATED, PUBLISHED, VOID_LEFT_OUT, published_of
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.record import Outcome, Status


def images(*hits):
    """Images of 100 pixels a class, so many of them right; 0 labelled pixels where hits is None."""
    one, other = np.eye(3, dtype=np.int64), np.roll(np.eye(3, dtype=np.int64), 1, axis=1)
    parts = [one * 0 if right is None else right * one + (100 - right) * other for right in hits]
    return ImageMatrices(tuple(f"i{index}" for index in range(len(hits))), np.stack(parts))


@pytest.fixture
def read(results):
    def read():
        runs = load_results(results)
        return leaderboard(runs), runs

    return read


def test_images_are_ordered_by_the_mean_over_networks_of_their_own_scores(add, read):
    add("a", matrices=images(90, 20, 60, None))
    add("b", matrices=images(30, 50, 90, None))
    scores = image_scores(*read())
    assert list(scores.index) == ["i1", "i0", "i2"]
    assert scores.loc["i1"].to_dict() == pytest.approx({"a": 20 / 180, "b": 50 / 150})


def test_seeds_are_averaged(add, read):
    add("a", 0, matrices=images(90, 20))
    add("a", 1, matrices=images(50, 20))
    assert image_scores(*read()).loc["i0", "a"] == pytest.approx((90 / 110 + 50 / 150) / 2)


def test_the_table_names_who_does_best_and_worst(add, read):
    add("a", matrices=images(90, 20))
    add("b", matrices=images(30, 50))
    text = render_markdown(worst_cases(*read()))
    assert "| i1 | 0.222 | b (0.333) | a (0.111) |" in text
    assert "2 hardest of 2 test images" in text


def test_nothing_completed_has_no_worst_case(add, read):
    add("a", outcome=Outcome(status=Status.FAILED, reason="x"))
    assert worst_cases(*read()) == []


CAMVID = {"dataset": {"name": "camvid"}, "train": {"epochs": 2, "select": "last"}}


def test_published_figures_stand_beside_ours_with_their_paper(add, read):
    names = tuple(f"class{index}" for index in range(11))
    counted = ImageMatrices(("i",), np.eye(11, dtype=np.int64)[None] * 9)
    add("SegNet", name="segnet", recipe=CAMVID, classes=names, matrices=counted)
    board, runs = read()
    assert board["published_mean_iou"].tolist() == [0.464]
    assert board["published_source"].tolist() == ["Jégou 2017"]
    assert board["published_convention"].tolist() == ["convention not stated"]
    text = render_markdown(published(board, runs))
    assert "| SegNet | 1.000 | unknown | 0.464 |  | convention not stated | Jégou 2017 |" in text
    assert "| SegNet | 1.000 | unknown | 0.601 | 0.904 | void left out | Badrinarayanan 2017 |" in text


def test_a_published_figure_stands_beside_ours_with_void_as_error_and_its_convention_in_every_form(add, results):
    names = tuple(f"class{index}" for index in range(11))
    void = np.full((1, 11), 3)
    counted = ImageMatrices(("i",), np.eye(11, dtype=np.int64)[None] * 9, void)
    add("SegNet", name="segnet", recipe=CAMVID, classes=names, matrices=counted)
    runs = load_results(results)
    board = leaderboard(runs)
    assert "| SegNet | 1.000 | 0.750 | 0.464 |" in render_markdown(published(board, runs))
    for text in (to_markdown(board), to_fragment(board_blocks(board)), to_csv(board), to_json(board)):
        assert "convention not stated" in text
    for word in ("published_convention", "Jégou 2017"):
        assert word in to_csv(board)


def test_other_data_other_classes_and_other_networks_have_none(add, read):
    assert published_of("segnet", {"dataset": {"name": "scenes"}}, ("a",) * 11) == []
    assert published_of("segnet", CAMVID, CLASSES) == []
    assert published_of("unet", CAMVID, ("a",) * 11) == []
    assert published_of(None, CAMVID, ("a",) * 11) == []
    add("a")
    board, runs = read()
    assert published(board, runs) == []
    assert board["published_mean_iou"].isna().all()


def test_published_figures_are_fractions_of_networks_and_data_that_exist():
    from segbench.registry import DATASETS, MODELS

    for one in PUBLISHED:
        assert 0 < one.mean_iou < (one.pixel_accuracy or 1) <= 1
        assert one.factory in MODELS.entries()
        assert one.dataset in DATASETS.entries()
        assert one.convention in (VOID_LEFT_OUT, NOT_STATED)
