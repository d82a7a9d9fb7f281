"""Claims about tables: they fit, they escape, they round."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from stored import HOSTILE, matrices

from segbench.api.leaderboard import leaderboard
from segbench.report.formats.columns import COLUMNS
from segbench.report.formats.leaderboard import to_markdown
from segbench.report.formats.tables import rich_tables, to_csv, to_json
from segbench.report.runs.load import load_results
from segbench.report.text import escape_markdown, printable
from segbench.results.record import Outcome, Status
from segbench.results.speed.record import Task


@pytest.fixture
def board(results):
    return lambda: leaderboard(load_results(results))


def shown(board, width=80):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(rich_tables(board, width=width))
    return console.file.getvalue()


def cells(line):
    """Split a row of a Markdown table at the bars that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_terminal_table_fits_80_columns_and_cuts_nothing_off(add, board):
    for number, name in enumerate(("unet", "fc_densenet103", "a_network_with_a_really_long_name_of_its_own")):
        for seed in (0, 1):
            add(name, seed, 50 + 9 * number + seed, speed=1234.0 * (number + 1))
    text = shown(board())
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    for word in ("mIoU", "test img/s", "n = 2 seeds each", "±", "more columns in a wider terminal"):
        assert word in text


def test_a_wide_terminal_shows_every_column(add, measure, board):
    for label, seed in (("unet", 0), ("other", 0), ("other", 1)):
        add(label, seed, matrices=matrices(80, images=12))
    measure()
    measure(task=Task.TRAINING)
    scores = dict.fromkeys(("boundary_f1", "boundary_iou", "calibration_error"), 0.5)
    published = {"published_mean_iou": 0.6, "published_source": "Somebody 2017", "tuned": "lr=0.1"}
    published |= {"published_convention": "void left out", "predicts": "never car", "environment_differs": "threads"}
    memory = {"inference_memory_bytes": 1000, "training_memory_bytes": 2000}
    text = shown(board().assign(joules_per_image=0.25, **memory, **scores, **published), width=500)
    own = ("test img/s", "train img/s")
    assert all(column.title in text for column in COLUMNS if column.title not in own)
    assert not any(title in text for title in own), "one speed only"
    assert "more column" not in text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_tables_fit_any_width(hostile, board, width):
    assert max(cell_len(line) for line in shown(board(), width).splitlines()) <= width


def test_the_terminal_shows_names_literally(hostile, board):
    text = shown(board(), width=300)
    for label in HOSTILE:
        assert printable(label) in text
    assert "[red] more\\x1b[0m" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_spread_is_shown_only_with_several_seeds(add, board):
    add("a", 0, 80)
    assert "0.667" in to_markdown(board())
    assert "±" not in to_markdown(board())
    add("a", 1, 60)
    assert "0.548 ± 0.168" in to_markdown(board())  # of 80/120 and 60/140


def test_markdown_keeps_every_row_in_its_columns(hostile, board):
    rows = [line for line in to_markdown(board()).splitlines() if line.startswith("|")]
    ranked = [cells(line) for line in rows if len(cells(line)) == len(cells(rows[0]))]
    assert len(ranked) == 2 + len(HOSTILE)
    assert {row[1] for row in ranked[2:]} == {escape_markdown(label) for label in HOSTILE}
    others = [cells(line) for line in rows if len(cells(line)) == 3]
    assert len(ranked) + len(others) == len(rows)
    assert "<script" not in to_markdown(board())


def test_markdown_leaves_out_columns_that_no_row_fills(add, measure, board):
    add()
    assert "img/s | batch" not in to_markdown(board())
    measure()
    assert "| img/s | batch |" in to_markdown(board())


def test_measured_speed_fits_80_columns(add, measure, board):
    for label, width in (("unet", 1.0), ("fc_densenet103", 0.5)):
        add(label, options={"width": width})
        measure(label, 0.1, 0.12, options={"width": width})
    text = shown(board())
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert all(word in text for word in ("img/s", "p50 ms", "9.09 ± 0.83"))


def test_failures_are_shown_with_their_reason(add, board):
    add("ok")
    add("bad", outcome=Outcome(status=Status.FAILED, reason="out of | memory"))
    assert "| bad | failed | seed 0: out of \\| memory |" in to_markdown(board())
    assert "out of | memory" in shown(board())


def test_a_protocol_in_which_nothing_completed_has_no_ranked_table(add, board):
    add("bad", outcome=Outcome(status=Status.SKIPPED, reason="too small"))
    assert "mIoU" not in to_markdown(board())
    assert "mIoU" not in shown(board())
    assert "too small" in shown(board())


def test_unreadable_runs_stand_under_a_heading_of_their_own(add, board):
    add("ok")
    (add("bad") / "run.json").write_text("")
    assert "### Runs that cannot be read" in to_markdown(board())


def test_several_protocols_are_several_tables(add, board):
    add("a")
    add("a", recipe={"train": {"epochs": 7}})
    assert len(re.findall(r"^### Protocol [0-9a-f]{8} ", to_markdown(board()), flags=re.MULTILINE)) == 2
    assert shown(board()).count("mIoU") == 2


def test_other_test_data_is_a_table_of_its_own_that_says_why(add, board):
    add("a", test_digest="0123456789")
    add("b", test_digest="abcdefghij")
    for text in (to_markdown(board()), shown(board(), width=160)):
        assert len(re.findall(r"Protocol [0-9a-f]{8} · test data 01234567 · 1 network", text)) == 1
        assert "Same protocol, other test data: not ranked together with test data abcdefgh." in text
        assert "Same protocol, other test data: not ranked together with test data 01234567." in text


def test_one_table_of_a_protocol_does_not_speak_of_test_data(add, board):
    add("a")
    add("b", recipe={"train": {"epochs": 7}}, test_digest="other")
    assert "test data" not in to_markdown(board())


def test_csv_comes_back_with_names_and_full_precision(hostile, board):
    rows = board()
    again = list(csv.DictReader(io.StringIO(to_csv(rows), newline="")))
    assert [row["model"].removeprefix("'") for row in again] == list(rows["model"])
    assert [float(row["mean_iou"]) for row in again if row["mean_iou"]] == list(rows["mean_iou"].dropna())


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_csv_holds_no_formulas(add, board, name):
    add(name, hits=80)
    add("failed", outcome=Outcome(status=Status.FAILED, reason="-inf"))
    first, second = csv.DictReader(io.StringIO(to_csv(board().assign(test_loss=-0.5)), newline=""))
    assert first["model"] == f"'{name}"
    assert first["test_loss"] == "-0.5", "numbers stay numbers"
    assert second["reason"] == "seed 0: -inf"


def test_json_is_strict_and_complete(hostile, board):
    rows = board()
    document = json.loads(to_json(rows, suite="x"), parse_constant=pytest.fail)
    assert document["suite"] == "x"
    assert document["schema_version"] == 2
    assert len(document["rows"]) == len(rows)
    first = document["rows"][0]
    assert first["mean_iou"] == rows["mean_iou"][0]
    assert first["rank"] == 1
    assert first["same_data"] is True
    assert document["rows"][-1]["mean_iou"] is None


def test_infinity_is_a_word_in_json(add, board):
    add()
    rows = board().assign(test_loss=float("inf"))
    assert json.loads(to_json(rows))["rows"][0]["test_loss"] == "inf"


def test_no_runs_are_said_to_be_none(results, tmp_path):
    empty = leaderboard(load_results(tmp_path))
    assert shown(empty) == "no runs\n"
    assert to_markdown(empty) == "No runs.\n"
    assert json.loads(to_json(empty))["rows"] == []


@pytest.mark.slow(reason="shows tables at every width")
def test_a_narrow_terminal_tells_the_group_before_what_is_never_predicted(add, board):
    add("a", 0)
    add("b", 0, 70)
    groups = board().assign(group="a", predicts="road only")
    told = [{word for word in ("group", "predicts") if word in shown(groups, width)} for width in range(24, 90, 2)]
    assert {"predicts"} not in told
    assert {"group"} in told
    assert {"group", "predicts"} in told
