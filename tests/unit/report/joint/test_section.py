"""The part of a report over all of its tables: when it is there, and that words, table and figure say the same."""

from __future__ import annotations

import json
import re

import pytest
from stored import HOSTILE, some_images, write_run

from segbench.report import write
from segbench.report.joint.figure import rank_plot
from segbench.report.joint.joint import joint
from segbench.report.joint.section import TITLE, joint_of, told_in_brief
from segbench.report.joint.words import counted_orders, verdict
from segbench.report.ranking.ranking import rank
from segbench.report.write import write_report


@pytest.fixture
def add(tmp_path):
    """Store two networks under a learning rate of a grid; None is the recipe unchanged."""

    def added(lr, *, a, b, seeds=3, fraction=None, train_images=8):
        recipe = {"dataset": {"name": "scenes"}, "train": {"epochs": 2, "lr": lr, "select": "last"}}
        recipe["dataset"] |= {} if fraction is None else {"fraction": fraction}
        for label, hits in (("a", a), ("b", b)):
            for seed in range(seeds):
                matrices = some_images(hits, images=60, seed=seed)
                point = {} if lr is None else {"train.lr": lr}
                facts = {"point": point, "matrices": matrices, "train_images": train_images}
                write_run(tmp_path / "results", label, seed, recipe=recipe, **facts)
        return tmp_path / "results"

    return added


def test_an_order_that_turns_is_told_first(add):
    add(None, a=90, b=70)
    results = add(0.5, a=60, b=80)
    found = joint(rank(results))
    assert verdict(found) == (
        "The order of networks changes. a is better than b in 'recipe unchanged', and worse in 'lr=0.5'. 1 pair: 1 "
        "told apart in opposite orders. a, b share the best mean rank, 1.5."
    )


def test_what_is_not_told_apart_is_not_said_to_change(add):
    add(None, a=90, b=70)
    results = add(0.5, a=79, b=80)
    found = joint(rank(results))
    assert found.telling == 1
    assert verdict(found).startswith(
        "No order of two networks is seen to change from table to table; orders are told in 1 of 2 tables. "
    )
    assert counted_orders(found) == "1 pair: 1 told apart in one table."


def test_one_training_says_that_nothing_is_known(add):
    add(None, a=90, b=70, seeds=1)
    results = add(0.5, a=60, b=80, seeds=1)
    words = verdict(joint(rank(results)))
    assert words.startswith("Whether the order of networks changes from table to table is not known: each network was")


def test_a_report_has_the_ranks_as_words_figure_table_and_facts(add, tmp_path):
    add(None, a=90, b=70)
    results = add(0.5, a=60, b=80)
    files = write_report(results, tmp_path / "reports")
    text = files.markdown.read_text(encoding="utf-8")
    assert f"## {TITLE}" in text
    assert re.search(r"!\[[^\]]+\]\(figures/ranks-\w+\.svg\)", text)
    assert re.search(r"\| recipe unchanged \| 1 \(0\.\d{3}\) \| 2 \(0\.\d{3}\) \|", text)
    facts = json.loads(files.json.read_text(encoding="utf-8"))["joint"]
    assert facts["tables"] == ["recipe unchanged", "lr=0.5"]
    assert facts["verdict"] in text
    assert facts["pairs"] == [{"first": "a", "second": "b", "ahead": ["recipe unchanged"], "behind": ["lr=0.5"]}]


def test_of_many_recipes_the_first_has_all_figures(add, tmp_path):
    add(None, a=90, b=70)
    for lr in (0.1, 0.2, 0.3):
        results = add(lr, a=90, b=70)
    found = joint(rank(results))
    assert told_in_brief(found) == frozenset(found.protocols[1:])
    files = write_report(results, tmp_path / "reports")
    kinds = [file.stem.rpartition("-")[0] for file in files.figures if file.suffix == ".png"]
    assert kinds.count("mean-iou-intervals") == 4
    assert kinds.count("accuracy-parameters") == kinds.count("ranks") == 1


def test_the_figure_has_a_mark_and_a_bar_for_each_network_in_each_table(add):
    add(None, a=90, b=70)
    results = add(0.5, a=60, b=80)
    found = joint(rank(results))
    plot = rank_plot(found)
    (axes,) = plot.figure.axes
    drawn = [line for line in axes.lines if line.get_label() in {"a", "b"}]
    assert {line.get_label(): list(line.get_xdata()) for line in drawn} == {"a": [1, 2], "b": [2, 1]}
    bars = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 3]
    assert sorted(bars) == [[1, 1], [1, 1], [2, 2], [2, 2]]
    assert "recipe unchanged: a 1 (1 to 1), b 2 (2 to 2)." in plot.alternative


def test_a_single_table_and_smaller_fractions_have_no_joint_view(add):
    results = add(None, a=90, b=70)
    assert joint_of(rank(results)) is None
    add(None, a=80, b=60, fraction=0.5, train_images=4)
    assert joint_of(rank(results)) is None


def test_hostile_labels_reach_neither_page_nor_text_as_markup(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "plots", lambda *tables: iter(()))
    for suite in ("one", "two"):
        recipe = {"dataset": {"name": suite}, "train": {"epochs": 2, "select": "last"}}
        for label in HOSTILE:
            write_run(tmp_path / "results", label, suite=suite, recipe=recipe)
    files = write_report(tmp_path / "results", tmp_path / "reports")
    text, page = (file.read_text(encoding="utf-8") for file in (files.markdown, files.page))
    assert r"a\|b" in text[text.index(f"## {TITLE}") :]
    assert "<script>alert(1)" not in text + page
    assert "alert(1)" in page


def test_of_several_suites_none_is_told_in_brief(add, tmp_path):
    for suite in ("one", "two", "three", "four"):
        recipe = {"dataset": {"name": suite}, "train": {"epochs": 2, "select": "last"}}
        for label in ("a", "b"):
            write_run(tmp_path / "results", label, suite=suite, recipe=recipe)
    found = joint(rank(tmp_path / "results"))
    assert found.tables == ("four", "one", "three", "two")
    assert told_in_brief(found) == frozenset()


def test_what_differs_between_many_recipes_is_told_value_by_value(add, tmp_path):
    for lr in (None, 0.1, 0.2, 0.3, 0.4, 0.5):
        results = add(lr, a=90, b=70, seeds=1)
    text = write_report(results, tmp_path / "reports").markdown.read_text(encoding="utf-8")
    assert "| key | value | protocols |" in text
    assert len(re.findall(r"\| `train\.lr` \| `0\.\d` \| [0-9a-f]{8} \|", text)) == 5
