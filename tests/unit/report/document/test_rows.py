"""Claims about what stands below an opened row, and which caveats stand beside which rows."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from segbench.report.blocks import Curve, Table
from segbench.report.document.rows import row_facts
from segbench.report.document.sections import notes as notes_of
from segbench.report.ranking.notes import of_table
from segbench.report.ranking.ranking import rank
from segbench.report.ranking.tables import tables_of
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.store import Store


@pytest.fixture
def facts(results):
    def facts(curves=None):
        ranking = rank(results)
        (table,) = tables_of(ranking.board)
        notes = of_table(ranking.notes, table.protocol, table.test_data)
        found = row_facts(table, ranking.runs, notes, curves=curves, pictures=None)
        return dict(zip(table.scored["model"], found, strict=True)), notes

    return facts


def told(facts):
    (table,) = [block for block in facts.details if isinstance(block, Table) and block.name == "row-facts"]
    return {name.text: value.text for name, value in table.rows}


def test_a_row_knows_its_family_options_paper_cost_and_folders(add, facts):
    for seed in (0, 1):
        add("net", seed, name="segnet", options={"width": 0.5, "norm": "batch"}, training_seconds=3.0)
    found = told(facts()[0]["net"])
    assert facts()[0]["net"].family == "SegNet"
    assert found["Options"] == "width=0.5, norm=batch"
    assert "Badrinarayanan" in found["Citation"]
    assert found["Cost"] == "4 s in 2 runs, 3 s of training each"
    assert len(found["Runs"].split(", ")) == 2
    assert "Repeat" not in found, "without a stored suite there is no command"


def test_the_command_does_the_runs_of_this_row_and_no_others(add, results, facts):
    mine, other = add("my net", 0), add("other", hits=50)
    Store(results, "toy").write_suite("name: toy\n", {})
    command = shlex.split(told(facts()[0]["my net"])["Repeat"])
    assert command[:3] == ["segbench", "run", "results/toy/suite.yaml"]
    assert command[command.index("--only") + 1] == mine.name
    assert other.name not in " ".join(command)


def test_classes_are_drawn_as_they_score_and_curves_refer_to_the_figure(add, facts):
    add("net", hits=80)
    found = facts("learning-curves-x")[0]["net"]
    (classes,) = [block for block in found.details if isinstance(block, Table) and block.name == "row-classes"]
    assert [cell.bar for _, cell in classes.rows] == [(0.0, pytest.approx(2 / 3), pytest.approx(2 / 3))] * 3
    assert Curve("net", "learning-curves-x") in found.details
    assert not [block for block in facts()[0]["net"].details if isinstance(block, Curve)]


def test_a_caveat_about_one_network_stands_beside_its_row_and_others_below_the_table(add, facts):
    never = np.array([[[50, 0, 0], [0, 50, 0], [50, 0, 0]]])
    add("blind", matrices=ImageMatrices(("i",), never))
    add("fine", matrices=ImageMatrices(("i",), np.eye(3, dtype=np.int64)[None] * 50), runs_at_once=2)
    rows, notes = facts()
    assert len(rows["blind"].notes) == 1
    assert rows["blind"].notes[0].startswith("blind never predicts classes that test labels hold: car.")
    assert rows["fine"].notes == ()
    (block,) = notes_of(notes)
    assert block.beside == rows["blind"].notes[:1] or block.beside[0].lower() == rows["blind"].notes[0].lower()
    assert any("shared a device" in item for item in block.items)
    assert not any("never predicts" in item for item in block.items)
