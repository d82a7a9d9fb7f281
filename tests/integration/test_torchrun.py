"""`torchrun … segbench run`: two processes do a suite's runs together, and one of them writes and tells."""

from __future__ import annotations

import pytest
import torch


@pytest.mark.slow(reason="torchrun starts two processes, twice, and each imports torch")
def test_a_suite_is_done_under_torchrun_and_done_only_once(torchrun_segbench, tiny_file, tmp_path, records):
    tuning = {"grid": {"train.optimizer.lr": [0.001, 0.003]}}
    tiny_file(models=["cnn"], train={"epochs": 1}, tuning=tuning)
    done = torchrun_segbench("run", "tiny.yaml", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("4 runs done, 0 were done before") == 1  # two trials, the recipe's, the tuned one
    stored = records(tmp_path / "results")
    assert [record["processes"] for record in stored.values()] == [2] * 4
    assert "was trained by 2 processes together" in (tmp_path / "reports" / "tiny" / "leaderboard.md").read_text()
    again = torchrun_segbench("run", "tiny.yaml", "--device", "cpu")
    assert again.returncode == 0, again.stderr
    assert "0 runs done, 4 were done before" in again.stderr
    assert records(tmp_path / "results") == stored


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_train_one_network_with_common_batch_norm(torchrun_segbench, tiny_file, tmp_path, records):
    tiny_file(
        models=[{"name": "unet", "norm": "batch"}, {"name": "unet", "label": "U-Net resnet18", "encoder": "resnet18"}],
        train={"sync_batch_norm": True, "precision": "bf16", "epochs": 2},
    )
    done = torchrun_segbench("run", "tiny.yaml", "--device", "cuda")
    assert done.returncode == 0, done.stderr
    assert [record["processes"] for record in records(tmp_path / "results").values()] == [2, 2]


def test_options_for_other_launchers_are_refused_beside_it(segbench, tiny_file):
    tiny_file()
    done = segbench("run", "tiny.yaml", "--jobs", "2", TORCHELASTIC_RUN_ID="x", WORLD_SIZE="2")
    assert done.returncode == 2
    assert "torchrun's processes do one run at a time" in done.stderr
