"""Two commands run one suite in one results folder at the same time."""

from __future__ import annotations

import json

import pytest

MODELS = [{"name": "python:misbehaving.slow", "label": name} for name in ("one", "two", "three")]


def trained(events):
    """The runs whose training a command told of."""
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    return {line["run_id"] for line in lines if line.get("stage") == "training"}


@pytest.mark.slow(reason="starts two commands that train for nine seconds in all")
def test_no_run_is_trained_twice_and_both_commands_end_with_all_of_them(start_segbench, tiny_file, tmp_path):
    tiny_file(models=MODELS, defaults={}, train={"epochs": 2})
    both = [
        start_segbench("run", "tiny.yaml", "--no-estimate", "--no-report", "--events", tmp_path / f"{number}.jsonl")
        for number in range(2)
    ]
    told = [process.communicate(timeout=600)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    one, other = (trained(tmp_path / f"{number}.jsonl") for number in range(2))
    assert not one & other
    assert len(one | other) == len(MODELS)
    assert any("another command is executing this run" in text for text in told)
    records = sorted((tmp_path / "results" / "tiny").glob("*/run.json"))
    assert [json.loads(file.read_text())["outcome"]["status"] for file in records] == ["completed"] * 3
    left = [path.name for path in (tmp_path / "results" / "tiny").glob(".*") if path.name != ".locks"]
    assert left == []
