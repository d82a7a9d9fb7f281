"""Checkpoints as tools write them: loaded equal to the plain file, or refused with what they hold."""

import argparse
import collections
import datetime as dt
import enum
import pathlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segbench.errors import WeightsError
from segbench.models.weights.checkpoint import Rules, WeightsReport, compare_weights, load_weights
from segbench.models.weights.foreign_states import read_contents

State = dict[str, Tensor]


class Net(nn.Module):
    """A network of parts with names of their own."""

    def __init__(self, seed: int, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.decoder = nn.ModuleDict({"up": nn.Conv2d(4, 6, 1), "score": nn.Conv2d(6, classes, 1)})


class Settings:
    """A class of the tool that wrote a file."""

    def __init__(self, rate: float) -> None:
        self.rate = rate


class AttributeDict(dict[str, Any]):
    """A mapping of a tool, such as Lightning's."""


class Mode(enum.Enum):
    FAST = "fast"


def pre(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def optimizer_state() -> dict[str, Any]:
    network = Net(0)
    optimizer = torch.optim.AdamW(network.parameters())
    sum(parameter.sum() for parameter in network.parameters()).backward()
    optimizer.step()
    return optimizer.state_dict()


def loaded(tmp_path: Path, content: Any, **rules: Any) -> tuple[bool, WeightsReport]:
    """Save, load into another network, and say whether it is the first one."""
    torch.save(content, tmp_path / "w.pth")
    target, source = Net(1), Net(0).state_dict()
    before = compare_weights(Net(1).to("meta"), tmp_path / "w.pth", rules=Rules(**rules))
    report = load_weights(target, tmp_path / "w.pth", rules=Rules(**rules))
    assert before == report
    return all(torch.equal(source[name], tensor) for name, tensor in target.state_dict().items()), report


WRITERS: dict[str, Callable[[State], Any]] = {
    "torchvision": lambda s: {
        "model": s, "optimizer": optimizer_state(), "lr_scheduler": {"last_epoch": 3}, "epoch": 3,
        "args": argparse.Namespace(lr=0.1, output_dir=pathlib.Path("out")),
    },
    "lightning": lambda s: {
        "epoch": 3, "state_dict": pre("model.", s), "optimizer_states": [optimizer_state()],
        "hyper_parameters": AttributeDict(lr=1, when=dt.datetime(2024, 1, 1), mode=Mode.FAST, s=Settings(1.0)),
    },
    "lightning net": lambda s: {"state_dict": pre("net.", s), "epoch": 1},
    "lightning deep": lambda s: {"state_dict": pre("task.model.network.", s)},
    "compiled, in parallel": lambda s: {"state_dict": pre("module._orig_mod.", s)},
    "compiled parts": lambda s: {name.replace("encoder.", "encoder._orig_mod."): t for name, t in s.items()},
    "no key": lambda s: s,
    "net": lambda s: {"net": s},
    "nested": lambda s: {"checkpoint": {"weights": {"student": s}}, "step": torch.tensor(3)},
    "mmengine": lambda s: {
        "meta": {"epoch": 1, "time": dt.datetime(2024, 1, 1)}, "state_dict": s,
        "ema_state_dict": {"steps": torch.tensor(9), **pre("module.", {k: v + 1 for k, v in s.items()})},
        "message_hub": {"log": collections.deque([np.float64(1.0)], maxlen=3), "lr": np.arange(3.0)},
    },
    "numpy": lambda s: {"state_dict": s, "best": np.float64(0.5), "history": np.zeros((2, 2))},
    "counted": lambda s: {"state_dict": s, "seen": collections.defaultdict(list, a=[1])},
    "average of torch": lambda s: {"model": {"n_averaged": torch.tensor(5), **pre("module.", s)}},
    "without counters": lambda s: {n: t for n, t in s.items() if not n.endswith("num_batches_tracked")},
    "parts": lambda s: {
        "encoder": {n[8:]: t for n, t in s.items() if n.startswith("encoder.")},
        "decoder": {n[8:]: t for n, t in s.items() if n.startswith("decoder.")},
    },
    "auxiliary head": lambda s: {"model": {**s, "aux_classifier.0.weight": torch.zeros(2, 2)}},
    "best beside": lambda s: {"state_dict": s, "best_score": torch.tensor(0.5), "loss": {"w": torch.zeros(3)}},
}  # fmt: skip


@pytest.mark.parametrize("tool", WRITERS)
def test_the_checkpoint_of_a_tool_is_loaded_whole(tmp_path: Path, tool: str) -> None:
    same, report = loaded(tmp_path, WRITERS[tool](Net(0).state_dict()))
    assert same
    assert report.complete
    assert report.share == 1


def test_the_average_of_weights_is_preferred_and_what_else_fits_is_named(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    for average, plain in (("model_ema", "model"), ("state_dict_ema", "state_dict")):
        same, report = loaded(tmp_path, {plain: other, average: pre("module.", state), "epoch": 1})
        assert same
        assert (report.key, report.rivals) == (average, (plain,))
        same, report = loaded(tmp_path, {plain: state, average: other}, key=plain)
        assert same
        assert report.rivals == ()


def test_weights_that_fit_equally_well_are_no_guess(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    with pytest.raises(WeightsError, match=r"student, teacher fit the network equally well; say which by weights_key"):
        loaded(tmp_path, {"student": state, "teacher": other})
    assert loaded(tmp_path, {"student": state, "teacher": other}, key="student")[0]
    both = {"state_dict": {**pre("student.", state), **pre("teacher.", other)}}
    with pytest.raises(WeightsError, match=r"student, teacher fit the network equally well"):
        loaded(tmp_path, both, strict=False)
    assert loaded(tmp_path, both, key="student")[0]
    assert loaded(tmp_path, both, key="state_dict.student")[0]
    with pytest.raises(WeightsError, match="no state_dict under weights_key 'tutor'; those that it has: state_dict"):
        loaded(tmp_path, both, key="tutor")


def test_a_file_without_a_state_dict_tells_its_keys(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds the keys epoch, foo, none of which is a state_dict"):
        loaded(tmp_path, {"epoch": 1, "foo": {"bar": 2}})
    with pytest.raises(WeightsError, match=r"objects of .*test_foreign_checkpoints\.Net.*save network\.state_dict"):
        loaded(tmp_path, {"model": Net(0), "epoch": 1})


def test_loss_buffers_are_no_part_of_a_network(tmp_path: Path) -> None:
    content = {"state_dict": {**pre("model.", Net(0).state_dict()), "loss.weight": torch.ones(3)}}
    with pytest.raises(WeightsError, match=r"1 unexpected: loss\.weight; strict: false loads what fits, 100 %"):
        loaded(tmp_path, content)
    same, report = loaded(tmp_path, content, strict=False)
    assert same
    assert report.unexpected == ("loss.weight",)


def test_the_share_counts_parameters_by_their_values(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    # 112 of encoder.0, 8 of encoder.1, 30 of up, 21 of score; buffers do not count
    part = {name: state[name] for name in ("encoder.0.weight", "encoder.0.bias")}
    assert loaded(tmp_path, part, strict=False)[1].share == pytest.approx(112 / 171)
    few = {name: state[name] for name in ("decoder.up.weight", "decoder.up.bias")}
    with pytest.raises(WeightsError, match=r"fits 18 % of the network's parameters, and 50 % is the least .min_fit."):
        loaded(tmp_path, few, strict=False)
    assert loaded(tmp_path, few, strict=False, min_fit=0.1)[1].share == pytest.approx(30 / 171)
    with pytest.raises(WeightsError, match="no tensor that fits"):
        loaded(tmp_path, {"x": torch.zeros(1)}, strict=False, min_fit=0.01)


def test_other_classes_are_told_with_what_maps_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"numbers of classes, 12 in the file and 3 here.*classes_map"):
        loaded(tmp_path, Net(0, classes=12).state_dict())


def test_no_class_of_a_file_is_imported_and_no_function_called(tmp_path: Path) -> None:
    package = tmp_path / "harmful_package_of_a_checkpoint.py"
    package.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass Config: pass\n")
    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        import harmful_package_of_a_checkpoint as harmful

        content = {"state_dict": Net(0).state_dict(), "config": harmful.Config()}
        torch.save(content, tmp_path / "w.pth")
        del sys.modules["harmful_package_of_a_checkpoint"]
        (tmp_path / "ran").unlink()
        contents = read_contents(tmp_path / "w.pth")
    finally:
        sys.path.remove(str(tmp_path))
    assert contents.objects == ("harmful_package_of_a_checkpoint.Config",)
    assert contents.states.keys() == {"state_dict"}
    assert not (tmp_path / "ran").exists()
    assert "harmful_package_of_a_checkpoint" not in sys.modules


def test_shapes_are_read_without_values(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    torch.save({"model": state}, tmp_path / "a.pth")
    torch.save(state, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "c.safetensors")
    for name in ("a.pth", "b.pth", "c.safetensors"):
        (found,) = read_contents(tmp_path / name, shapes_only=True).states.values()
        assert {key: tensor.shape for key, tensor in found.items()} == {k: t.shape for k, t in state.items()}
        assert all(tensor.is_meta for tensor in found.values())
