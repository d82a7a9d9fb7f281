"""Claims about a written report."""

from __future__ import annotations

import io
import json
import re
import shlex

import pandas as pd
import pytest
from stored import HOSTILE, without_checksums

from segbench.errors import StoreError
from segbench.report import write as render
from segbench.report.blocks import Paragraph
from segbench.report.document.sections import selection_rule
from segbench.report.figures import plots
from segbench.report.formats.markdown import render_markdown
from segbench.report.write import write_report
from segbench.results.record import Outcome, Status
from segbench.results.store import Store


@pytest.fixture
def undrawn(monkeypatch):
    """Reports without figures, which take most of the time."""
    monkeypatch.setattr(render, "plots", lambda *tables: iter(()))


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_has_text_tables_and_figures_that_exist(add, results, tmp_path):
    add("a", 0)
    add("b", 0, 70)
    add("c", outcome=Outcome(status=Status.FAILED, reason="out of memory"))
    Store(results, "toy").write_suite("name: toy\n", {})
    files = write_report(results, tmp_path / "reports")
    assert files.folder == tmp_path / "reports" / "toy"
    text = files.markdown.read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    kinds = [link.split("/")[1].rsplit("-", 1)[0] for link in linked]
    assert kinds == ["accuracy-parameters", "accuracy-throughput", "learning-curves", "confusion"]
    assert all((files.folder / link).is_file() for link in linked)
    assert len(files.figures) == 3 * (len(linked) + 1)  # the IoU of classes is a table there
    assert all(file.stat().st_size > 1000 for file in files.figures)
    assert "| c | failed | seed 0: out of memory |" in text
    assert "**Runs** 2 completed, 1 failed" in text
    assert "| sky | 0.667 | 0.538 |" in text
    assert "segbench run results/toy/suite.yaml --set name=toy" in text
    assert "Reported weights: those of the last epoch." in text
    assert "epochs: 2" in text
    assert "| `processor` | Example CPU |" in text
    assert pd.read_csv(files.csv)["model"].tolist() == ["a", "b", "c"]
    assert json.loads(files.json.read_text(encoding="utf-8"))["suites"] == ["toy"]


def test_a_report_of_runs_without_pictures_or_calibration_says_so_and_promises_neither(add, results, tmp_path):
    add("a", 0)
    add("b", 0, 70)
    text = write_report(results, tmp_path).markdown.read_text(encoding="utf-8")
    assert text.count("No pictures: these runs kept none.") == 1
    assert "### Training\n" in text
    assert "### Predictions" not in text


def test_paper_gets_neither_the_environment_nor_suites_as_run(undrawn, add, results, tmp_path):
    add("a", 0)
    Store(results, "toy").write_suite("name: toy\n", {})
    page = write_report(results, tmp_path).page.read_text(encoding="utf-8")
    left_out = re.findall(r'<details class="fold unprinted" id="([^"]+)"', page)
    kept = re.findall(r'<details class="fold" id="([^"]+)"', page)
    assert left_out == ["environment", "suite"]
    assert kept == ["protocol"]


@pytest.mark.slow(reason="writes a report with all its figures")
def test_writing_twice_gives_the_same_files_and_removes_figures_of_old_protocols(add, results, tmp_path):
    add("a", 0)
    first = write_report(results, tmp_path)
    written = (first.page, first.markdown, first.csv, first.json, first.latex, *first.figures)
    before = {file: file.read_bytes() for file in written}
    old = first.folder / "figures" / "class-iou-00000000.svg"
    kept = first.folder / "figures" / "my-own.svg"
    for file in (old, kept):
        file.write_text("")
    write_report([results], str(tmp_path))
    assert {file: file.read_bytes() for file in before} == before
    assert not old.exists()
    assert kept.exists()


@pytest.mark.slow(reason="writes a report with all its figures")
def test_no_drawing_is_kept_once_its_files_are_written(add, results, tmp_path, monkeypatch):
    drawn = []

    def watched(*tables):
        for plot in plots(*tables):
            assert not any(figure.axes for figure in drawn)
            drawn.append(plot.figure)
            yield plot

    monkeypatch.setattr(render, "plots", watched)
    add("a")
    write_report(results, tmp_path)
    assert len(drawn) == 5
    assert not any(figure.axes for figure in drawn)


def test_protocols_stand_apart_and_their_differences_are_named(add, results, tmp_path, undrawn):
    add("a")
    add("a", recipe={"dataset": {"name": "scenes"}, "train": {"epochs": 9, "select": "last"}})
    files = write_report(results, tmp_path)
    text = files.markdown.read_text(encoding="utf-8")
    assert "## Where the protocols differ" in text
    assert "| `train.epochs` | `2` | `9` |" in text or "| `train.epochs` | `9` | `2` |" in text
    assert len(re.findall(r"^## Protocol ", text, flags=re.MULTILINE)) == 2
    document = json.loads(files.json.read_text(encoding="utf-8"))
    assert document["differences"][0]["key"] == "train.epochs"
    assert len(document["protocols"]) == 2


def test_what_disturbs_a_comparison_stands_right_below_the_table(add, results, tmp_path, undrawn):
    add("a")
    add("b", test_digest="other")
    add("b", test_digest="other", suite="copy")
    text = write_report(results, tmp_path).markdown.read_text(encoding="utf-8")
    head, _, _ = text.partition("### Classes")
    assert "Not all rows were tested on the same data" in head
    assert "counted once only" in head


@pytest.mark.slow(reason="writes a report with all its figures")
def test_other_test_data_has_a_table_and_figures_of_its_own(add, results, tmp_path):
    add("a", hits=90)
    add("b", hits=50)
    add("a", hits=40, suite="elsewhere", test_digest="other")
    add("c", suite="elsewhere", test_digest=None, outcome=Outcome(status=Status.FAILED, reason="boom"))
    files = write_report(results, tmp_path / "reports")
    text = files.markdown.read_text(encoding="utf-8")
    assert len(re.findall(r"^### Protocol ", text, flags=re.MULTILINE)) == 2
    assert len(re.findall(r"^## Protocol ", text, flags=re.MULTILINE)) == 1
    kinds = {re.sub(r"-[0-9a-f]{8}-", "-", file.name) for file in files.figures if file.suffix == ".svg"}
    assert {"class-iou-test.svg", "class-iou-other.svg", "accuracy-throughput-other.svg"} <= kinds
    assert len(files.figures) == 30
    assert "Same protocol, other test data: not ranked together with test data other." in text
    rows = json.loads(files.json.read_text(encoding="utf-8"))["rows"]
    assert [(row["model"], row["test_data"], row["position"]) for row in rows] == [
        ("a", "test", 1),
        ("b", "test", 2),
        ("c", "test", None),
        ("a", "other", 1),
    ]


def test_several_suites_make_one_report(add, results, tmp_path, undrawn):
    add("a", suite="one")
    add("b", suite="two")
    files = write_report([results / "two", results / "one"], tmp_path)
    assert files.folder.name == "two+one"
    assert "**Suite** two + one" in files.markdown.read_text(encoding="utf-8")


@pytest.mark.slow(reason="writes a report with all its figures")
def test_hostile_names_are_shown_literally_and_nothing_leaves_the_folder(hostile, tmp_path):
    out = tmp_path / "reports"
    files = write_report(hostile, out)
    text = files.markdown.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "\x1b" not in text
    assert {file.parent for file in tmp_path.rglob("*.svg")} == {files.folder / "figures"}
    names = pd.read_csv(io.StringIO(files.csv.read_text(encoding="utf-8")))["model"]
    assert set(HOSTILE) <= {name.removeprefix("'") for name in names}


def test_a_suite_name_from_a_record_cannot_choose_the_folder(add, results, tmp_path, undrawn):
    file = add() / "run.json"
    without_checksums(file.parent)
    file.write_text(file.read_text().replace('"suite": "toy"', '"suite": "../../up"'))
    files = write_report(results, tmp_path / "a" / "b" / "reports")
    assert files.folder.parent == tmp_path / "a" / "b" / "reports"
    assert not (tmp_path / "a" / "up").exists()


def test_a_recipe_cannot_break_out_of_its_block(add, results, tmp_path, undrawn):
    add(recipe={"train": None, "note": "x\n```\n# Hello\n```\n"})
    text = write_report(results, tmp_path).markdown.read_text(encoding="utf-8")
    fence = re.search(r"^(`{3,})yaml$", text, flags=re.MULTILINE)[1]
    block = text.split(f"{fence}yaml\n")[1].split(f"\n{fence}\n")[0]
    assert "# Hello" in block


def test_commands_quote_what_a_shell_would_read(add, results, tmp_path, undrawn):
    add()
    odd = tmp_path / "re sults; rm"
    results.rename(odd)
    text = write_report(odd, tmp_path / "out").markdown.read_text(encoding="utf-8")
    command = re.search(r"^segbench leaderboard .*$", text, flags=re.MULTILINE)[0]
    assert shlex.split(command) == ["segbench", "leaderboard", "re sults; rm/toy"]


def test_differing_environments_are_counted(add, results, tmp_path, undrawn):
    add("a", environment={"threads": 2, "accelerator": None})
    add("b", environment={"threads": 4})
    add("c", environment={"threads": 4})
    add("d", environment={})
    text = write_report(results, tmp_path).markdown.read_text(encoding="utf-8")
    assert "| `threads` | 4 (2 runs), 2 (1 run) |" in text


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"train": None}, "as loaded"),
        ({"train": {"select": "last"}}, "last epoch"),
        ({"train": {"select": "best"}, "dataset": {"validation_split": "val"}}, "best mean IoU on the split `val`"),
    ],
)
def test_the_rule_by_which_weights_were_chosen_is_stated(recipe, words):
    assert words in render_markdown([Paragraph(selection_rule(recipe))])


def test_more_networks_than_a_table_can_hold_are_said_to_be_left_out(add, results, tmp_path, undrawn):
    for number in range(22):
        add(f"net{number}", hits=50 + number)
    text = write_report(results, tmp_path).markdown.read_text(encoding="utf-8")
    assert "The best 20 of 22 networks." in text


def test_nothing_but_unreadable_runs_still_gives_a_report(add, results, tmp_path):
    (add() / "run.json").write_text("{")
    files = write_report(results, tmp_path / "out")
    text = files.markdown.read_text(encoding="utf-8")
    assert "**Runs** 0 completed, 1 damaged" in text
    assert files.figures == ()


def test_a_folder_without_runs_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="no runs here; 'segbench run SUITE'"):
        write_report(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_report_that_cannot_be_written_is_an_error_with_the_path(add, results, tmp_path):
    add()
    (tmp_path / "reports").write_text("")
    with pytest.raises(StoreError, match=r"reports.*cannot be written"):
        write_report(results, tmp_path / "reports")
