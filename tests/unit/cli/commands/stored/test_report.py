"""leaderboard."""

import csv
import io

import pytest
from programs import modules_after
from stored import write_run


@pytest.fixture(name="results")
def make_results(done):
    return done[0] / "results"


@pytest.mark.slow(reason="writes a report with all its figures")
def test_the_formats_hold_the_same_rows(results, segbench):
    rows = segbench("leaderboard", results, "--format", "json").json["rows"]
    table = list(csv.DictReader(io.StringIO(segbench("leaderboard", results, "--format", "csv").out)))
    assert [row["model"] for row in rows] == [row["model"] for row in table]
    assert {row["model"] for row in rows} == {"cnn", "U-Net"}
    for row, line in zip(rows, table, strict=True):
        assert float(line["mean_iou"]) == pytest.approx(row["mean_iou"], abs=1e-12)
    for form in ("table", "markdown"):
        text = segbench("leaderboard", results, "--format", form).out
        assert all(row["model"] in text for row in rows)


@pytest.mark.slow(reason="writes a report with all its figures")
@pytest.mark.parametrize("command", [("leaderboard", "--reports"), ("report", "--out")])
def test_a_report_can_be_written_from_results_alone(command, results, tmp_path, segbench):
    answer = segbench(command[0], results, command[1], tmp_path)
    assert answer.code == 0
    kinds = {file.name for file in (tmp_path / "small").iterdir()}
    assert kinds == {"index.html", "figures", *(f"leaderboard.{kind}" for kind in ("md", "csv", "json", "tex"))}
    assert str(tmp_path / "small" / "index.html") in answer.err


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_needs_no_torch(results, tmp_path):
    code = (
        "from segbench.cli.app import build; from typer.testing import CliRunner;"
        f"done = CliRunner().invoke(build(), ['report', {str(results)!r}, '--out', {str(tmp_path)!r}]);"
        "assert done.exit_code == 0, done.output"
    )
    assert not {"torch", "torchvision", "timm", "sklearn"} & modules_after(code)


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_is_opened_where_there_is_a_browser_and_else_says_so(results, tmp_path, segbench, monkeypatch):
    shown = []
    monkeypatch.setattr("typer.launch", lambda address: shown.append(address) or 0)
    assert segbench("report", results, "--out", tmp_path, "--open").code == 0
    assert shown == [(tmp_path / "small" / "index.html").as_uri()]
    monkeypatch.setattr("typer.launch", lambda address: 1)
    assert "open" in segbench("report", results, "--out", tmp_path, "--open").err


@pytest.mark.slow(reason="writes a report with all its figures")
def test_latex_is_written(results, segbench):
    text = segbench("leaderboard", results, "--format", "latex").out
    assert text.startswith("\\begin{table}")
    assert text.endswith("\\end{table}\n")


def test_conventions_fit_into_80_signs(results, segbench):
    answer = segbench("leaderboard", results, "--convention", "all")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "a  segbench: " in answer.out, "the letters of its columns can be read from the table alone"
    assert segbench("leaderboard", results, "--convention", "all", "--format", "latex").code == 2


def test_two_runs_are_compared(results, segbench):
    folders = sorted(file.parent for file in results.rglob("run.json"))[:2]
    answer = segbench("compare", *folders)
    assert answer.code == 0
    assert "IoU by class" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80
    facts = segbench("compare", *folders, "--json").json
    assert facts["networks"][0]["score"] == "mean_iou"
    assert len(facts["scores"]) == 6
    assert facts["networks"][0]["scope"] == "weights"
    assert facts["networks"][0]["p_value"] is None
    assert any("One training cannot tell networks apart" in note for note in facts["notes"])
    assert "--seeds 0,1,2" in answer.err
    assert answer.out.splitlines()[3].split() == ["score", "A", "B", "B", "-", "A", "95", "%,", "these", "weights"]
    again = segbench("compare", results, results)
    assert again.code == 0
    assert "+0.000" in again.out


def test_recipes_and_networks_that_differ_stand_as_a_and_b(tmp_path, segbench):
    a, b = tmp_path / "a", tmp_path / "b"
    for seed in (0, 1):
        write_run(a, "net\x1b[31m", seed, options={"width": 1.0})
    write_run(b, "net\x1b[31m", options={"width": 0.5}, recipe={"train": {"epochs": 9, "select": "last"}})
    for sides, widths, epochs in (((a, b), "1.0000 | 0.5000", "2 | 9"), ((b, a), "0.5000 | 1.0000", "9 | 2")):
        answer = segbench("compare", *sides)
        assert answer.code == 0
        assert f"width: {widths}" in answer.err
        assert f"the recipes differ: train.epochs: {epochs}\n" in answer.err
        assert "the recipes differ: dataset.name: " in answer.err
        assert "\x1b" not in answer.out + answer.err
        assert "net\\x1b[31m (" in answer.out


@pytest.mark.slow(reason="writes a report with all its figures")
def test_names_cannot_steer_a_terminal_or_a_spreadsheet(tmp_path, segbench):
    write_run(tmp_path, "=1+1\x1b[2J")
    write_run(tmp_path, "other", hits=50)
    for form in ("table", "markdown"):
        for convention in ("all", "nnunet"):
            answer = segbench("leaderboard", tmp_path, "--convention", convention, "--format", form)
            assert "\x1b" not in answer.out
            assert "=1+1" in answer.out
    cells = csv.DictReader(io.StringIO(segbench("leaderboard", tmp_path, "--convention", "all", "--format", "csv").out))
    assert {row["model"] for row in cells} == {"'=1+1", "other"}
    assert "\x1b" not in segbench("compare", tmp_path, tmp_path).out


def test_what_cannot_be_compared_exits_with_2(results, tmp_path, segbench):
    answer = segbench("compare", results, tmp_path)
    assert answer.code == 2
    assert "no completed run" in answer.err


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_runs_exits_with_2(make, tmp_path, segbench):
    folder = tmp_path / "nothing"
    if make:
        folder.mkdir()
    answer = segbench("leaderboard", folder)
    assert answer.code == 2
    assert str(folder) in answer.err
    assert answer.out == ""


def test_the_leaderboard_ends_with_the_verdict_which_formats_for_programs_leave_out(segbench, tmp_path):
    for label, hits in (("U-Net", 90), ("SegNet", 60)):
        write_run(tmp_path / "results", label, hits=hits)
    last = segbench("leaderboard", tmp_path / "results").out.strip().splitlines()[-1]
    assert last.startswith("U-Net has the highest mean IoU")
    for form in ("csv", "json", "latex", "markdown"):
        assert "has the highest" not in segbench("leaderboard", tmp_path / "results", "--format", form).out
    assert "has the highest" not in segbench("leaderboard", tmp_path / "results", "--convention", "all").out
