"""results list, results pack, results merge, results recount."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from programs import modules_after
from spoilt_archives import write_true_run
from stored import write_run, write_speed_of

from segbench.results.arrays.matrices import load_matrices, save_matrices
from segbench.results.record import Outcome, Status
from segbench.results.store import Store

pytestmark = pytest.mark.slow(reason="writes reports with all their figures")

FORMS = ("csv", "json", "markdown", "latex", "table")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def everything_shown(segbench, results, out):
    """Return what the leaderboard says in every form, and every file of the report."""
    answers = {form: segbench("leaderboard", results, "--format", form) for form in FORMS}
    assert segbench("report", results, "--out", out).code == 0
    return {form: (answer.code, answer.out, answer.err) for form, answer in answers.items()}, tree(out)


def carry(segbench, results, place, *options):
    """Pack results, copy the archives to another place, and merge them there."""
    place.mkdir()
    packed = segbench("results", "pack", results, "--out", place / "packed" / "small.tar.xz", *options)
    assert packed.code == 0, packed.err
    shutil.copytree(place / "packed", place / "copied")
    archives = sorted((place / "copied").iterdir(), reverse=True)
    merged = segbench("results", "merge", *archives, "--into", place / "results")
    assert (merged.code, merged.err) == (0, "")
    return place / "results"


@pytest.mark.parametrize("options", [("--max-size", "20K"), ("--states", "--predictions")])
def test_leaderboard_and_report_are_the_same_byte_for_byte_after_pack_copy_merge(done, segbench, tmp_path, options):
    there = carry(segbench, done[0] / "results", tmp_path / "elsewhere", *options)
    before = everything_shown(segbench, done[0] / "results", tmp_path / "before")
    assert everything_shown(segbench, there, tmp_path / "after") == before
    assert any(name.endswith("pictures.png") or "pictures" in name for name in before[1])
    weights = {name for name in tree(done[0] / "results") if name.endswith("checkpoint.safetensors")}
    kept = {name for name in tree(there) if "predictions.zip" in name}
    assert weights
    assert not weights & set(tree(there))
    assert bool(kept) == ("--predictions" in options)


def test_seeds_of_two_people_make_one_leaderboard(segbench, tmp_path):
    for seed in range(4):
        for root in ("all", "ana" if seed % 2 else "ben"):
            write_true_run(tmp_path / root / "results", "U-Net", seed, 70 + seed)
    for who in ("ana", "ben"):
        assert segbench("results", "pack", tmp_path / who / "results", "--out", tmp_path / f"{who}.tar.xz").code == 0
    archives = (tmp_path / "ana.tar.xz", tmp_path / "ben.tar.xz")
    merged = segbench("results", "merge", *archives, "--into", tmp_path / "both" / "results")
    assert merged.code == 0
    assert "runs merged into" in merged.out
    assert "4 added" in merged.out
    both = everything_shown(segbench, tmp_path / "both" / "results", tmp_path / "1")
    assert both == everything_shown(segbench, tmp_path / "all" / "results", tmp_path / "2")
    (row,) = segbench("leaderboard", tmp_path / "both" / "results", "--format", "json").json["rows"]
    assert row["seeds"] == 4


def test_what_a_foreign_record_says_does_not_reach_the_terminal_raw(segbench, tmp_path):
    evil = "2.7\x1b]0;owned\x07\nconflict: toy/other: forged"
    write_true_run(tmp_path / "ana", seed=0, hits=80, environment={"versions": {"torch": evil}})
    write_true_run(tmp_path / "ben", seed=0, hits=50)
    segbench("results", "pack", tmp_path / "ana", "--out", tmp_path / "ana.tar.xz")
    merged = segbench("results", "merge", tmp_path / "ana.tar.xz", "--into", tmp_path / "ben")
    assert merged.code == 1
    assert "\x1b" not in merged.err
    assert "\x07" not in merged.err
    assert "2.7\\x1b]0;owned\\x07 conflict: toy/other: forged in the archive" in merged.err
    assert [line for line in merged.err.splitlines() if line.startswith("conflict:")] == merged.err.splitlines()[:1]


def test_a_conflict_is_named_with_what_differs_and_the_rest_is_merged(segbench, tmp_path):
    environment = {"processor": "Example CPU", "versions": {"torch": "2.7"}}
    write_true_run(tmp_path / "ana", seed=0, hits=80)
    write_true_run(tmp_path / "ana", seed=1)
    kept = write_true_run(tmp_path / "ben", seed=0, hits=50, environment=environment)
    before = tree(kept)
    segbench("results", "pack", tmp_path / "ana", "--out", tmp_path / "ana.tar.xz")
    merged = segbench("results", "merge", tmp_path / "ana.tar.xz", "--into", tmp_path / "ben")
    assert merged.code == 1
    assert "1 added, 1 conflict" in merged.out
    assert f"conflict: toy/{kept.name}: other confusion.npz, run.json; what is here stays" in merged.err
    assert "mIoU: 0.3333 here, 0.6667 in the archive" in merged.err
    assert "versions.torch: 2.7 here, 2.6 in the archive" in merged.err
    assert tree(kept) == before


def test_a_wrong_archive_ends_with_2_and_without_a_traceback(segbench, tmp_path):
    write_true_run(tmp_path / "results")
    segbench("results", "pack", tmp_path / "results", "--out", tmp_path / "a.tar.xz")
    (tmp_path / "a.tar.xz").write_bytes((tmp_path / "a.tar.xz").read_bytes()[:-100])
    merged = segbench("results", "merge", tmp_path / "a.tar.xz", "--into", tmp_path / "there")
    assert merged.code == 2
    assert merged.err.startswith(f"error: {tmp_path}/a.tar.xz: is cut off; nothing was merged")
    assert not (tmp_path / "there").exists()


def test_missing_parts_are_told(segbench, tmp_path):
    for seed in range(4):
        write_true_run(tmp_path / "results", seed=seed)
    segbench("results", "pack", tmp_path / "results", "--out", tmp_path / "a.tar.xz", "--max-size", "8K")
    merged = segbench("results", "merge", tmp_path / "a-2.tar.xz", "--into", tmp_path / "there")
    assert merged.code == 0
    assert "only part 2 of 2 was given" in merged.err


def test_damaged_runs_are_named_when_packing_and_the_exit_code_is_1(segbench, tmp_path):
    write_true_run(tmp_path / "results", seed=0)
    damaged = write_true_run(tmp_path / "results", seed=1)
    (damaged / "confusion.npz").write_bytes(b"torn")
    packed = segbench("results", "pack", tmp_path / "results", "--out", tmp_path / "a.tar.xz")
    assert packed.code == 1
    assert packed.err.startswith(f"left out: {damaged}/confusion.npz: is damaged")
    assert f"{tmp_path}/a.tar.xz" in packed.out
    assert "1 run, 3 files" in packed.out


@pytest.mark.parametrize(
    ("text", "limit"), [("8K", 8_000), ("0.008M", 8_000), ("8kB", 8_000), ("8000", 8_000), ("1G", 10**9)]
)
def test_sizes_are_written_as_people_do(segbench, tmp_path, text, limit):
    for seed in range(4):
        write_true_run(tmp_path / "results", seed=seed)
    packed = segbench("results", "pack", tmp_path / "results", "--out", tmp_path / "a.tar.xz", "--max-size", text)
    assert packed.code == 0
    sizes = [file.stat().st_size for file in tmp_path.glob("a*.tar.xz")]
    assert max(sizes) <= limit
    assert len(sizes) == (2 if limit == 8_000 else 1)


@pytest.mark.parametrize("text", ["", "0", "-1", "15 X", "many", "15MM"])
def test_other_sizes_are_refused(segbench, tmp_path, text):
    write_true_run(tmp_path / "results")
    packed = segbench("results", "pack", tmp_path / "results", "--out", tmp_path / "a.tar.xz", f"--max-size={text}")
    assert packed.code == 2
    assert "expected a size such as 15M" in packed.err


def test_the_list_shows_what_a_folder_holds(segbench, tmp_path):
    done = write_true_run(tmp_path / "results", "U-Net", hits=80)
    (done / "checkpoint.safetensors").write_bytes(bytes(1_000_000))
    (done / "predictions.zip").write_bytes(b"x")
    write_true_run(tmp_path / "results", "U-Net", 1, outcome=Outcome(status=Status.FAILED, reason="it rained"))
    torn = write_true_run(tmp_path / "results", "torn", 2)
    (torn / "run.json").write_text("{")
    with Store(tmp_path / "results", "toy").states_of("U_Net-seed9-0123456789").writing(5) as file:
        file.write_text("state")
    write_speed_of(tmp_path / "results")
    listed = segbench("results", "list", tmp_path / "results")
    assert listed.code == 0
    first, _, _, *lines, _ = listed.out.splitlines()
    assert first.startswith("toy: 4 runs (")
    for part in ("1 completed", "1 failed", "1 damaged", "1 unfinished", "1 speed record", "1.0", "protocol "):
        assert part in first
    assert max(map(len, lines)) <= 100
    cells = {line.split()[0]: line for line in lines}
    assert cells[done.name].split()[1:] == [
        "completed",
        "0.6667",
        "2026-01-01",
        "1.00",
        "MB",
        "weights,",
        "predictions",
    ]
    assert cells[torn.name].split()[1] == "damaged"
    assert cells["U_Net-seed9-0123456789"].split()[1] == "unfinished"
    assert cells["U_Net-seed9-0123456789"].endswith("states")
    assert listed.err.startswith(f"damaged: {torn}/run.json: is damaged")

    runs = {run["id"]: run for run in segbench("results", "list", tmp_path / "results", "--json").json["suites"]["toy"]}
    assert runs[done.name]["mean_iou"] == pytest.approx(2 / 3)
    assert (runs[done.name]["label"], runs[done.name]["seed"]) == ("U-Net", 0)
    assert runs[done.name]["has"] == ["weights", "predictions"]
    assert [run["status"] for run in runs.values()].count("failed") == 1
    assert "it rained" in [run["reason"] for run in runs.values()]
    assert runs[done.name]["bytes"] == sum(len(content) for content in tree(done).values())


def test_a_folder_without_runs_is_told(segbench, tmp_path):
    assert "holds no runs" in segbench("results", "list", tmp_path).err
    assert segbench("results", "list", tmp_path / "none").code == 2


def test_a_void_row_is_counted_anew_as_the_run_counted_it(done, segbench, tmp_path):
    folder = shutil.copytree(done[0] / "results" / "small", tmp_path / "small")
    before, files = tree(folder), sorted(folder.glob("*/confusion.npz"))
    assert len(files) == 2
    for file in files:
        counted = load_matrices(file)
        assert counted.void_predicted is not None
        save_matrices(file, replace(counted, void_predicted=None))
    answer = segbench("results", "recount", folder)
    assert (answer.code, answer.out.count(": void row added")) == (0, 2)
    assert tree(folder) == before
    assert segbench("results", "recount", folder).out.count("has a void row already") == 2


def test_predictions_that_do_not_give_the_stored_matrices_end_with_1(done, segbench, tmp_path):
    folder = shutil.copytree(done[0] / "results" / "small", tmp_path / "small")
    file = sorted(folder.glob("*/confusion.npz"))[0]
    counted = load_matrices(file)
    save_matrices(file, replace(counted, matrices=counted.matrices + 1, void_predicted=None))
    before = tree(folder)
    answer = segbench("results", "recount", folder)
    assert answer.code == 1
    assert "do not give the stored matrix" in answer.out
    assert tree(folder) == before


def test_a_run_whose_data_is_missing_is_named_and_the_others_are_counted(done, segbench, tmp_path):
    folder = shutil.copytree(done[0] / "results" / "small", tmp_path / "small")
    for file in folder.glob("*/confusion.npz"):
        save_matrices(file, replace(load_matrices(file), void_predicted=None))
    absent = str(tmp_path / "absent")
    data = {"name": "folder", "root": absent, "classes": ["a", "b", "c"]}
    run = write_run(tmp_path, "Early", suite="small", recipe={"dataset": data})
    (run / "predictions.zip").write_bytes(b"not looked into")
    answer = segbench("results", "recount", folder)
    assert answer.code == 1
    (refused,) = [line for line in answer.out.splitlines() if line.startswith(f"{run.name}: ")]
    assert absent in refused
    assert answer.out.count(": void row added") == 2


def test_packing_and_merging_need_no_torch(tmp_path):
    write_true_run(tmp_path / "results")
    code = f"""
from segbench.cli.app import build
from typer.testing import CliRunner
place = {str(tmp_path)!r}
for command in (
    ["pack", place + "/results", "--out", place + "/a.tar.xz"],
    ["merge", place + "/a.tar.xz", "--into", place + "/there"],
    ["list", place + "/there"],
):
    done = CliRunner().invoke(build(), ["results", *command])
    assert done.exit_code == 0, done.output
"""
    assert not {"torch", "torchvision", "timm", "sklearn", "pandas"} & modules_after(code)
