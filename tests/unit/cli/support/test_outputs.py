"""Commands write over no file that is of another kind."""

from __future__ import annotations

import os

import pytest
from stored import write_run


@pytest.mark.parametrize(
    "words",
    [
        "export checkpoint.safetensors --to torchscript -o suite.yaml",
        "results pack results --out suite.yaml",
        "regress save --models unet --out suite.yaml",
        "regress check --baseline b.json --json suite.yaml",
        "regress check --baseline b.json --markdown suite.yaml",
        "regress ab --base a --head b --models unet --json suite.yaml",
        "regress ab --base a --head b --models unet --markdown suite.yaml",
        "regress ab --base a --head b --models unet --pytest-benchmark suite.yaml",
        "regress calibrate --models unet --json suite.yaml",
        "doctor --networks --models cnn --json=notes.txt",
    ],
)
def test_a_suite_is_never_replaced_by_what_a_command_writes(words, segbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "results")
    for name in ("suite.yaml", "notes.txt"):
        (tmp_path / name).write_text("dataset: scenes", encoding="utf-8")
    answer = segbench(*words.split())
    assert answer.code == 2
    assert not answer.out
    assert "exists already and is no ." in answer.err
    assert {file.read_text(encoding="utf-8") for file in tmp_path.glob("*.*")} == {"dataset: scenes"}


def test_an_archive_may_be_written_again(segbench, tmp_path):
    write_run(tmp_path / "results")
    for _ in range(2):
        assert segbench("results", "pack", tmp_path / "results", "--out", tmp_path / "a.tar.xz").code == 0


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file/x.json", "is a file"), ("folder", "it is a folder"), ("/proc/1/x.json", "")],
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(segbench, tmp_path, monkeypatch, place, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    if place.startswith("/proc") and os.access("/proc/1", os.W_OK | os.X_OK):
        pytest.skip("root may write everywhere")
    answer = segbench("regress", "save", "--models", "unet", "--out", place)
    assert answer.code == 2
    assert f"{place}: cannot be written: " in answer.err
    assert reason in answer.err
