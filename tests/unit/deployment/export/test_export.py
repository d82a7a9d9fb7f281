"""Exported networks give PyTorch's scores in an independent run, and what does not is refused and leaves nothing."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from segbench.config.component import ModelEntry
from segbench.config.load import check_part
from segbench.deployment.export.difference import difference_of
from segbench.deployment.export.export import Format, export_network
from segbench.deployment.export.onnx_model import Exporter, write_onnx
from segbench.errors import ModelRefusal
from segbench.models.build import build_network

SIZE = (32, 32)


def network(name="unet", **options) -> nn.Module:
    """Return a tiny network with random weights."""
    entry = check_part(ModelEntry, {"name": name, "width": 0.0625, **options})
    return build_network(entry, classes=3, channels=3, seed=0).eval()


def exported(module: nn.Module, to: Format, folder):
    return export_network(module, to, folder / f"network{to.suffix}", channels=3, size=SIZE)


class Constant(nn.Module):
    """Takes a factor out of PyTorch's sight, so that a trace holds that of the example."""

    def forward(self, images: Tensor) -> Tensor:
        return images * float(str(images[0, 0, 0, 0].item()))  # a text in between


class NotFinite(nn.Module):
    """Divides by what a half of the pixels have not."""

    def forward(self, images: Tensor) -> Tensor:
        return images / (images > 0)


@pytest.mark.parametrize("name", ["unet", "segnet_basic", "deconvnet"])
def test_an_onnx_file_gives_the_scores_of_pytorch_in_any_batch_and_size(tmp_path, name):
    options = {"fc_kernel": 1, "fc_channels": 16} if name == "deconvnet" else {}
    module = network(name, **options)
    made = exported(module, Format.ONNX, tmp_path)
    assert made.open_sizes
    assert made.exporter is Exporter.TRACE
    session = onnxruntime.InferenceSession(str(made.files[0]), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 3, 64, 96)
    (scores,) = session.run(None, {"images": images.numpy()})
    with torch.inference_mode():
        assert np.allclose(scores, module(images).numpy(), atol=1e-4)


def test_openvino_files_give_the_scores_of_pytorch(tmp_path):
    import openvino

    module = network()
    made = exported(module, Format.OPENVINO, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["network.bin", "network.xml"]
    assert made.file_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(made.files[0]), "CPU", settings)
    images = torch.randn(2, 3, 32, 64)
    with torch.inference_mode():
        assert np.allclose(compiled(images.numpy())[0], module(images).numpy(), atol=1e-4)


def test_a_torchscript_file_needs_pytorch_alone(tmp_path):
    module = network("cnn")
    made = exported(module, Format.TORCHSCRIPT, tmp_path)
    images = torch.randn(2, 3, 48, 32)
    with torch.inference_mode():
        assert torch.equal(torch.jit.load(str(made.files[0]))(images), module(images))


@pytest.mark.slow(reason="torch.export takes 10 s")
def test_a_pt2_file_needs_pytorch_alone(tmp_path):
    module = network("cnn")
    made = exported(module, Format.PT2, tmp_path)
    images = torch.randn(4, 3, 64, 32) if made.open_sizes else torch.randn(1, 3, *SIZE)
    with torch.inference_mode():
        assert torch.allclose(torch.export.load(str(made.files[0])).module()(images), module(images), atol=1e-6)


@pytest.mark.slow(reason="the second exporter takes 20 s")
def test_the_second_exporter_leaves_sizes_open_too(tmp_path):
    module, file = network(), tmp_path / "network.onnx"
    write_onnx(module, torch.randn(1, 3, *SIZE), file, exporter=Exporter.DYNAMO)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = difference_of(
        module,
        lambda images: torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]),
        [(2, 3, 64, 48)],
    )
    assert found.share < 1e-5


@pytest.mark.parametrize(
    "to",
    [pytest.param(Format.ONNX, marks=pytest.mark.slow(reason="tries the second exporter, too")), Format.TORCHSCRIPT],
)
def test_a_network_that_exporters_see_only_in_part_is_refused_and_leaves_nothing(tmp_path, to):
    with pytest.raises(ModelRefusal, match=r"not those of PyTorch|cannot be exported"):
        exported(Constant(), to, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_stays_where_an_export_is_refused(tmp_path):
    before = exported(network("cnn"), Format.TORCHSCRIPT, tmp_path).files[0].read_bytes()
    with pytest.raises(ModelRefusal):
        exported(Constant(), Format.TORCHSCRIPT, tmp_path)
    assert (tmp_path / "network.ts").read_bytes() == before


def test_a_difference_is_that_of_hand_worked_scores():
    found = difference_of(nn.Identity(), lambda images: images + 0.5, [(1, 3, 4, 4), (2, 3, 2, 2)])
    assert found.largest == pytest.approx(0.5)
    assert found.mean == pytest.approx(0.5)
    assert found.share == pytest.approx(0.5 / found.magnitude)


def test_scores_of_another_shape_or_that_are_not_finite_are_refused():
    with pytest.raises(ModelRefusal, match=r"\(1, 3, 2, 4\)"):
        difference_of(nn.Identity(), lambda images: images[:, :, :2], [(1, 3, 4, 4)])
    with pytest.raises(ModelRefusal, match="not finite"):
        difference_of(nn.Identity(), NotFinite(), [(1, 3, 4, 4)])
