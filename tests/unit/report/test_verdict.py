"""What a table says first, and that nothing is explained which a narrow terminal leaves out."""

import io

import pytest
from rich.console import Console

from segbench.report.figures.tradeoffs import accuracy_throughput
from segbench.report.formats.tables import rich_tables, titles_shown
from segbench.report.ranking.notes import MEASURED_SPEED, RUN_SPEED, Note, about_columns
from segbench.report.ranking.ranking import rank
from segbench.report.ranking.tables import tables_of
from segbench.report.verdict import verdicts_of


@pytest.fixture
def ranking(train, results):
    train("best", 90)
    train("other", 60)
    return rank(results)


def test_the_verdict_names_the_winner_that_the_table_has_first(ranking):
    (verdict,) = verdicts_of(ranking)
    assert verdict.winner == ranking.board["model"].iloc[0] == "best"
    assert verdict.text.startswith("best is first with a mean IoU of")


def test_every_table_has_a_verdict_of_its_own(train, results, add):
    train("best", 90)
    add("alone", recipe={"train": {"epochs": 7}})
    verdicts = verdicts_of(rank(results))
    assert {verdict.winner for verdict in verdicts} == {"best", "alone"}
    assert all(verdict.text.startswith("Protocol ") for verdict in verdicts)


def test_speed_measured_of_one_table_is_the_only_speed_of_all(train, results, add, measure):
    train("measured", 90)
    add("not measured", recipe={"train": {"epochs": 7}}, options={"width": 2.0}, speed=12.0)
    board = rank(results).board
    runs_own = {"test img/s", "train img/s"}
    assert titles_shown(board, width=400) & runs_own
    measure("measured", 0.01)
    board = rank(results).board
    assert "img/s" in titles_shown(board, width=400)
    assert not titles_shown(board, width=400) & runs_own
    drawn = {table.scored["model"].iloc[0]: accuracy_throughput(table.rows) for table in tables_of(board)}
    assert drawn["measured"] is not None
    assert drawn["not measured"] is None


def shown(board, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(rich_tables(board, width=width))
    return " ".join(console.file.getvalue().split())


@pytest.mark.slow(reason="shows tables at every width")
@pytest.mark.parametrize("width", [24, 40, 60, 80, 120, 300])
def test_a_column_is_explained_exactly_where_it_is_shown(ranking, width):
    text, titles = shown(ranking.board, width), titles_shown(ranking.board, width=width)
    assert ("Two rows share a letter" in text) == ("group" in titles)
    assert ("95 % intervals over trainings" in text) == ("95 % interval" in titles)


def test_a_caveat_about_columns_is_said_to_who_sees_one_of_them():
    (sentence,) = about_columns(RUN_SPEED, ["shared"])
    caveat = Note.of("Protocol 1", sentence)
    assert caveat == "Protocol 1: shared"
    assert caveat.concerns({"test img/s", "mIoU"})
    assert not caveat.concerns(set(MEASURED_SPEED))
    assert Note.of("", "about rows").concerns(set())
