"""Devices, precision and memory layout."""

from __future__ import annotations

import sys
from subprocess import run

import pytest
import torch
from tiny import document
from torch import nn

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.device import ComputeConfig, choose_device, computes_bf16, use_device
from segbench.engine.suite.preflight import check_device
from segbench.errors import UsageError

CPU = torch.device("cpu")


def test_bf16_computes_convolutions_in_bf16_and_keeps_weights_in_float32():
    network = nn.Conv2d(3, 2, 1)
    with ComputeConfig(CPU, "bf16").autocast():
        assert network(torch.rand(1, 3, 2, 2)).dtype == torch.bfloat16
    assert network.weight.dtype == torch.float32


def test_fp32_does_not_autocast():
    with ComputeConfig(CPU).autocast():
        assert nn.Conv2d(3, 2, 1)(torch.rand(1, 3, 2, 2)).dtype == torch.float32


def test_channels_last_applies_to_images_and_weights():
    compute = ComputeConfig(CPU, channels_last=True)
    network = compute.place(nn.Conv2d(3, 4, 3))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert compute.images(torch.rand(2, 3, 4, 5)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_matrix_precision_holds_inside_the_context_only(precision):
    before = torch.get_float32_matmul_precision()
    with ComputeConfig(CPU, precision).matrix_precision():
        assert torch.get_float32_matmul_precision() == {"fp32": "highest", "tf32": "high"}[precision]
    assert torch.get_float32_matmul_precision() == before


def test_peak_memory_counts_this_process():
    block = torch.ones(40_000_000)
    assert ComputeConfig(CPU).peak_memory_bytes() > block.numel() * 4


def test_auto_is_a_device_that_is_there():
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(("name", "message"), [("gpu", "expected auto, cpu, cuda"), ("cuda:99", "cuda")])
def test_a_device_that_is_not_there_is_named(name, message):
    with pytest.raises(UsageError, match=message):
        choose_device(name)


def test_every_name_of_the_first_cuda_device_is_one_device_and_none_opens_it(monkeypatch):
    """``cuda`` and ``cuda:0`` must not differ in fingerprints; torch makes no device without a number current."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert {str(choose_device(name)) for name in ("auto", "cuda", "cuda:0")} == {"cuda:0"}
    assert str(choose_device("cuda:1")) == "cuda:1"
    assert not torch.cuda.is_initialized()
    made_current = []
    monkeypatch.setattr(torch.cuda, "set_device", made_current.append)
    assert use_device("cuda") == torch.device("cuda", 0)
    assert made_current == [torch.device("cuda", 0)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none")
def test_choosing_a_cuda_device_opens_none():
    code = (
        "import torch; from segbench.engine.device import choose_device, use_device; "
        "print(choose_device('cuda'), torch.cuda.is_initialized(), use_device('cuda'), torch.cuda.current_device())"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == [
        "cuda:0", "False", "cuda:0", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_a_processor_computes_in_bf16_with_amx_or_avx512(amx, avx512, expected, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert computes_bf16(CPU) is expected


@pytest.mark.parametrize(("computes", "precision", "told"), [(False, "bf16", 1), (True, "bf16", 0), (False, "fp32", 0)])
def test_bf16_that_is_imitated_is_told_before_anything_is_trained(computes, precision, told, monkeypatch):
    monkeypatch.setattr("segbench.engine.device.computes_bf16", lambda device: computes)
    notices = []
    check_device("cpu", plan(check(document(models=["cnn"], train={"precision": precision}))), notices.append)
    assert len(notices) == told
    assert all("bf16 is emulated on this cpu" in notice.text for notice in notices)
    check_device("no such device", [], notices.append)  # where nothing is to be done, none is needed
