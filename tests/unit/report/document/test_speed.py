"""Claims about the section on speed: every case that was measured, and on which machine."""

from __future__ import annotations

import pytest
from speed_cases import changed_fingerprint

from segbench.report.blocks import Table
from segbench.report.document.speed import speed_section
from segbench.report.runs.load import load_results


@pytest.fixture
def table(results):
    def table():
        (found,) = [block for block in speed_section(load_results(results)) if isinstance(block, Table)]
        assert {len(row) for row in found.rows} == {len(found.titles)} == {len(found.right)}
        return found

    return table


def column(table, title):
    place = table.titles.index(title)
    return [row[place].text for row in table.rows]


def test_cases_of_one_machine_need_no_column_for_it(add, measure, table):
    add("a")
    measure("a", 0.1)
    assert "machine" not in table().titles
    assert column(table(), "img/s") == ["10.0"]


def test_of_two_machines_each_row_says_which_it_is_of(add, measure, table):
    add("a")
    measure("a", 0.1, environment=changed_fingerprint("accelerator.name", "Quick GPU"))
    measure("a", 1.0, environment=changed_fingerprint("accelerator.name", "Slow GPU"))
    rows = dict(zip(column(table(), "machine"), column(table(), "img/s"), strict=True))
    assert rows == {"Quick GPU": "10.0", "Slow GPU": "1.00"}


def test_a_row_says_whether_weights_were_cast_or_autocast(add, measure, table):
    add("a")
    for changes in ({}, {"precision": "bf16"}, {"precision": "bf16", "casting": "weights"}):
        measure("a", 0.1, **changes)
    numbers = {text.split(", ")[1] for text in column(table(), "how")}
    assert numbers == {"fp32", "bf16 autocast", "bf16 weights"}


def test_machines_of_one_name_are_told_apart_by_what_differs(add, measure, table):
    add("a")
    for version in ("2.6", "2.7"):
        measure("a", 0.1, environment=changed_fingerprint("versions.torch", version))
    assert column(table(), "machine") == ["some name (versions.torch 2.6)", "some name (versions.torch 2.7)"]


def test_columns_without_any_content_are_left_out(add, measure, table):
    add("a")
    measure("a", 0.1)
    assert not {"J/img", "loading/training", "note"} & set(table().titles)
    measure("a", 0.1, task="training")
    measure("a", 0.05, task="loading", model={}, recipe={"dataset": {"name": "scenes"}})
    assert column(table(), "loading/training") == ["", "", "2.00"]


def test_nothing_measured_has_no_section(add, results):
    add("a")
    assert speed_section(load_results(results)) == []


def test_a_case_is_told_by_what_it_has(add, measure, table):
    add("a")
    measure("a", 0.1)
    measure("a", 0.1, task="training", channels_last=True)
    assert column(table(), "how") == ["32x48, fp32, eager, logits", "32x48, fp32, channels last, eager"]
