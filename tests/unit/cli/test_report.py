"""leaderboard."""

import csv
import io

import pytest


@pytest.fixture(name="results")
def make_results(done):
    return done[0] / "results"


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


def test_a_report_can_be_written_from_results_alone(results, tmp_path, segbench):
    answer = segbench("leaderboard", results, "--reports", tmp_path)
    assert answer.code == 0
    assert (tmp_path / "small" / "leaderboard.md").is_file()
    assert str(tmp_path / "small" / "leaderboard.md") in answer.err


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_runs_exits_with_2(make, tmp_path, segbench):
    folder = tmp_path / "nothing"
    if make:
        folder.mkdir()
    answer = segbench("leaderboard", folder)
    assert answer.code == 2
    assert str(folder) in answer.err
    assert answer.out == ""
