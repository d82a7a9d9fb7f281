"""results verify."""

import json
import shutil
from dataclasses import replace

import pytest
from programs import modules_after
from stored import matrices, write_run, write_speed_of

from segbench.report.write import write_report
from segbench.results.arrays.matrices import load_matrices, save_matrices
from segbench.results.speed.store import speed_folder
from segbench.results.store import read_record, write_record


@pytest.fixture
def small(done, tmp_path):
    """A copy of the runs of a suite, which may be edited."""
    return shutil.copytree(done[0] / "results" / "small", tmp_path / "small")


def test_runs_as_they_were_stored_are_verified_and_what_is_trusted_is_said(small, segbench):
    answer = segbench("results", "verify", small)
    assert (answer.code, answer.err) == (0, "")
    rows = [line.split() for line in answer.out.splitlines() if line.startswith(("U-Net-", "cnn-"))]
    assert [row[1:] for row in rows] == [["yes", "yes", "-", "yes", "yes", "yes"]] * 2
    assert "2 runs: nothing wrong was found. What no file can show" in answer.out


def test_edited_matrices_end_with_1_and_are_named(small, segbench):
    run = next(small.glob("cnn-*"))
    stored = load_matrices(run / "confusion.npz")
    save_matrices(run / "confusion.npz", replace(stored, matrices=stored.matrices * 2))
    (run / "details.npz").unlink()  # which would contradict them
    write_record(run, read_record(run / "run.json").model_copy(update={"checksums": None}))
    answer = segbench("results", "verify", small, "--json")
    assert answer.code == 1
    found = {one["id"]: one["checks"] for one in answer.json["runs"]}
    assert found[run.name]["files"]["verdict"] == "verified", "the checksum was written anew"
    assert found[run.name]["labels"]["verdict"] == "wrong"
    assert any(line.startswith(f"small/{run.name}: labels: ") for line in answer.json["wrong"])


def test_without_the_data_other_runs_tell_edited_labels(tmp_path, segbench):
    for seed in range(3):
        write_run(tmp_path, "U-Net", seed, hits=70, test_digest="same")
    edited = write_run(
        tmp_path, "SegNet", 0, test_digest="same", matrices=replace(matrices(70), matrices=matrices(70).matrices * 2)
    )
    answer = segbench("results", "verify", tmp_path, "--no-data")
    assert answer.code == 1
    assert f"wrong: toy/{edited.name}: counts other labels than most of the 4 runs" in answer.err


def published(segbench, results, place):
    """Return the leaderboard.json of a report of results."""
    text = segbench("leaderboard", results, "--format", "json").out
    place.write_text(text)
    return place


def test_a_leaderboard_is_compared_with_what_its_runs_give(small, segbench, tmp_path):
    file = published(segbench, small, tmp_path / "leaderboard.json")
    assert segbench("results", "verify", small, "--leaderboard", file).code == 0
    document = json.loads(file.read_text())
    document["rows"][0]["mean_iou"] += 0.01
    document["rows"].append(document["rows"][1] | {"model": "Invented"})
    document["rows"][1] |= {"parameters": 10**400, "invented": 0.99}
    document["pairs"] = [{"row": "cnn", "column": "U-Net"}]
    file.write_text(json.dumps(document))
    answer = segbench("results", "verify", small, "--leaderboard", file)
    assert answer.code == 1
    assert f"{document['rows'][0]['model']}: mean_iou is {document['rows'][0]['mean_iou']}" in answer.err
    assert "Invented: is not among the runs" in answer.err
    assert f"{document['rows'][1]['model']}: invented is 0.99" in answer.err
    assert f"{document['rows'][1]['model']}: parameters is 1000" in answer.err
    assert 'pairs": is not what its runs give' in answer.err


@pytest.mark.slow(reason="writes a report with all its figures")
def test_the_leaderboard_of_a_report_is_compared_in_all_its_parts(small, segbench, tmp_path):
    write_report(small, tmp_path / "reports")
    assert segbench("results", "verify", small, "--leaderboard", tmp_path / "reports/small/leaderboard.json").code == 0


def test_a_folder_without_runs_is_refused(tmp_path, segbench):
    answer = segbench("results", "verify", tmp_path)
    assert (answer.code, "holds no runs" in answer.err) == (2, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"schema_version": 99, "rows": []}',
        '{"schema_version": 2, "rows": [1]}',
        '{"schema_version": 2, "rows": [{"model": null}]}',
    ],
)
def test_what_is_no_leaderboard_is_refused(small, segbench, tmp_path, text):
    file = tmp_path / "leaderboard.json"
    file.write_text(text)
    answer = segbench("results", "verify", small, "--leaderboard", file)
    assert answer.code == 2
    assert "leaderboard.json" in answer.err


@pytest.mark.parametrize("key", ["root", "dataset.root"])
def test_data_is_looked_for_where_it_is_said_to_be(segbench, tmp_path, key):
    data = {"name": "folder", "root": "gone", "classes": ["a", "b", "c"]}
    write_run(tmp_path / "results", recipe={"dataset": data})
    answer = segbench("results", "verify", tmp_path / "results", "--set", f"{key}={tmp_path / 'absent'}")
    assert answer.code == 2, "it was to be looked at"
    assert "not checked: labels of 1 run" in answer.out
    assert "--set: leads to the data of none of these runs" in answer.err
    assert str(tmp_path / "absent") in answer.err
    assert segbench("results", "verify", tmp_path / "results").code == 0


def test_verifying_without_data_needs_no_torch(tmp_path):
    write_run(tmp_path / "results")
    code = f"""
from segbench.cli.app import build
from typer.testing import CliRunner
done = CliRunner().invoke(build(), ["results", "verify", {str(tmp_path / "results")!r}, "--no-data"])
assert done.exit_code == 0, done.output
"""
    assert not {"torch", "torchvision", "timm"} & modules_after(code)


def test_copies_of_a_run_with_other_results_are_wrong(tmp_path, segbench):
    write_run(tmp_path / "one", "a")
    write_run(tmp_path / "two", "a", hits=70)
    answer = segbench("results", "verify", tmp_path / "one", tmp_path / "two", "--no-data")
    assert answer.code == 1
    assert "wrong: a, seed 0, is stored with several results (mean IoU " in answer.err


def test_measurements_of_speed_that_were_edited_are_wrong(tmp_path, segbench):
    write_run(tmp_path, "a")
    file = speed_folder(tmp_path, "toy") / f"{write_speed_of(tmp_path, 'a', 0.75).id}.json"
    assert segbench("results", "verify", tmp_path, "--no-data").code == 0
    file.write_text(file.read_text().replace("0.75", "0.25"))
    answer = segbench("results", "verify", tmp_path, "--no-data")
    assert answer.code == 1
    assert f"{file.name}" in answer.err
