"""The shipped VOC suite on a small tree in the VOC 2012 layout: palette PNGs, 255 borders, odd sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from segbench.results.arrays.matrices import load_matrices

SUITE = Path(__file__).parents[2] / "suites" / "voc.yaml"
SMALL = [
    "models=[{name: unet, width: 0.0625, norm: batch}, {name: cnn, width: 0.0625, norm: batch}]",
    "transforms.train=[{name: random_scale}, {name: random_crop, size: [64, 64]}, horizontal_flip, normalize]",
    "train.epochs=1",
    "train.batch_size=2",
    "train.schedule.warmup_steps=0",
    "train.precision=fp32",
    "loader.workers=0",
    "seeds=[0]",
]


@pytest.mark.slow(reason="trains networks")
def test_the_voc_suite_runs_on_a_tree_in_its_layout(segbench, voc_tree, tmp_path, records):
    settings = [f"--set={setting}" for setting in [*SMALL, f"dataset.root={voc_tree}"]]
    brief = ("--no-report", "--no-speed")  # speed is measured at 512x512 in batches of 32: minutes on a processor
    done = segbench("run", SUITE, *settings, *brief)
    assert done.returncode == 0, done.stderr
    stored = records(tmp_path / "results", "voc")
    assert len(stored) == 2
    for name, record in stored.items():
        assert record["outcome"]["status"] == "completed"
        assert len(record["data"]["classes"]) == 21
        matrices = load_matrices(tmp_path / "results" / "voc" / name / "confusion.npz")
        assert matrices.matrices.shape[0] == record["data"]["test_images"] > 0
        assert matrices.total.sum() > 0


def test_an_absent_voc_is_one_message_with_the_command_that_gets_it(segbench, tmp_path):
    done = segbench("run", SUITE, SEGBENCH_DATA=str(tmp_path / "nowhere"), HOME=str(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "segbench data download voc2012" in " ".join(done.stderr.split())
