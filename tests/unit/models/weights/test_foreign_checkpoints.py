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
    "tuple": lambda s: (s, {"epoch": 3, "optimizer": optimizer_state()}),
    "list": lambda s: [s],
    "list under a key": lambda s: {"models": [s], "optimizers": [optimizer_state()]},
    "list of wrapped": lambda s: ["v2", {"state_dict": pre("net.", s), "epoch": 1}],
    "parts in a list": lambda s: {"parts": [s]},
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


BESIDE: dict[str, State] = {
    "weights of a loss": {"criterion.weight": torch.ones(3)},
    "of another": {"loss_fn.ce.pos_weight": torch.ones(3), "loss_fn.dice.smooth": torch.ones(1)},
    "a metric": {"val_iou.confmat": torch.zeros(3, 3), "val_iou.seen": torch.zeros(1)},
    "statistics of images": {"mean": torch.zeros(3), "std": torch.ones(3)},
    "a projection": {"aux.projection.weight": torch.zeros(8, 4), "aux.projection.bias": torch.zeros(8)},
    "an average by other names": {
        "model_ema.encoder0weight": torch.zeros(4, 3, 3, 3),
        "model_ema.decay": torch.ones(1),
    },
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("prefix", ["model.", "net.", "task.network."])
def test_what_stands_beside_a_whole_network_is_not_the_networks(tmp_path: Path, prefix: str, beside: str) -> None:
    same, report = loaded(tmp_path, {"state_dict": {**pre(prefix, Net(0).state_dict()), **BESIDE[beside]}, "epoch": 3})
    assert same
    assert report.complete
    assert sorted(report.unused) == sorted(BESIDE[beside])


def test_what_stands_beside_a_network_under_its_own_name_is_not_the_networks(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.model = Net(seed)

    save_file({**Wrapped(0).state_dict(), **BESIDE["a metric"]}, tmp_path / "w.safetensors")
    report = load_weights(Wrapped(1), tmp_path / "w.safetensors")
    assert report.complete
    assert sorted(report.unused) == sorted(BESIDE["a metric"])


@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_stands_inside_a_network_is_its_own(tmp_path: Path, prefix: str) -> None:
    content = {"state_dict": pre(prefix, {**Net(0).state_dict(), "head.weight": torch.ones(3)})}
    with pytest.raises(
        WeightsError, match=r"1 tensor of the file fits nothing in the network: \S*head\.weight; strict"
    ):
        loaded(tmp_path, content)
    same, report = loaded(tmp_path, content, strict=False)
    assert same
    assert report.unexpected == (f"{prefix}head.weight",)


def test_what_stands_beside_a_network_that_lacks_something_may_be_it(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    lacking = {name: tensor for name, tensor in state.items() if not name.startswith("decoder.score")}
    content = {"state_dict": {**pre("model.", lacking), "classifier.weight": state["decoder.score.weight"]}}
    with pytest.raises(WeightsError, match=r"1 tensor of the file fits nothing in the network: classifier\.weight"):
        loaded(tmp_path, content)


AVERAGES = {
    "Lightning": ("model.", "ema.model.", {"ema.decay": torch.ones(1)}),
    "Lightning, flat": ("model.", "ema.", {}),
    "AveragedModel": ("model.", "ema_model.module.", {"ema_model.n_averaged": torch.tensor(3)}),
    "timm": ("net.", "model_ema.module.", {}),
    "stochastic": ("model.", "swa_model.module.", {"swa_model.n_averaged": torch.tensor(3)}),
    "names of its own": ("", "ema.", {"ema.updates": torch.tensor(3)}),
    "deep": ("task.model.", "task.averaged_model.", {}),
}


@pytest.mark.parametrize("tool", AVERAGES)
def test_weights_are_taken_before_their_average_in_one_state_dict(tmp_path: Path, tool: str) -> None:
    plain, average, more = AVERAGES[tool]
    state = Net(0).state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    content = {"state_dict": {**pre(average, other), **pre(plain, state), **more}}
    same, report = loaded(tmp_path, content)
    assert same
    assert report.complete
    assert report.key == ".".join(["state_dict", *plain.split(".")[:-1]])
    assert report.rivals == (f"state_dict.{average.removesuffix('.')}",)
    swapped = {"state_dict": {**pre(average, state), **pre(plain, other), **more}}
    assert loaded(tmp_path, swapped, key=report.rivals[0])[0]


def test_an_average_of_parameters_alone_is_not_the_network(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    part = {name: tensor + 1 for name, tensor in state.items() if "running" not in name and "num_" not in name}
    for plain in ("", "model."):
        same, report = loaded(tmp_path, {"state_dict": {**pre("ema.", part), **pre(plain, state)}})
        assert same
        assert report.complete
        assert sorted(report.unused) == sorted(f"ema.{name}" for name in part)


@pytest.mark.parametrize(
    ("plain", "copy"),
    [
        ("state_dict", "swa_state_dict"),
        ("model_state_dict", "best_model_state_dict"),
        ("model_state", "best_model_state"),
        ("net", "swa_net"),
        ("weights", "bestWeights"),
    ],
)
def test_weights_are_taken_before_copies_in_mappings_of_their_own(tmp_path: Path, plain: str, copy: str) -> None:
    state = Net(0).state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    same, report = loaded(tmp_path, {copy: other, plain: state, "epoch": 3})
    assert same
    assert (report.key, report.rivals) == (plain, (copy,))
    assert loaded(tmp_path, {copy: state, plain: other}, key=copy)[0]
    assert loaded(tmp_path, {copy: state, "epoch": 3})[0]


@pytest.mark.parametrize(
    "keys",
    [
        *(("last", "best"), ("best", "last"), ("latest_model", "best_model"), ("epoch_12", "best")),
        *(("last.state_dict", "best.state_dict"), ("swa", "best"), ("first", "second")),
        *(("ema_a", "ema_b"), ("student.state_dict", "teacher.state_dict")),
    ],
)
def test_of_mappings_that_fit_equally_well_one_has_to_be_named(tmp_path: Path, keys: tuple[str, str]) -> None:
    content: dict[str, Any] = {}
    for key in keys:
        outer, _, inner = key.partition(".")
        content[outer] = {inner: Net(0).state_dict()} if inner else Net(0).state_dict()
    with pytest.raises(WeightsError, match=f"{keys[0]}, {keys[1]} fit the network equally well; say which"):
        loaded(tmp_path, content)
    assert loaded(tmp_path, content, key=keys[1])[0]


def test_a_part_by_another_name_is_taken_and_told(tmp_path: Path) -> None:
    state = {name.replace("encoder.", "backbone."): tensor for name, tensor in Net(0).state_dict().items()}
    same, report = loaded(tmp_path, state)
    assert same
    assert str(report.moved) == "backbone.* as encoder.*"
    assert loaded(tmp_path, pre("net.", Net(0).state_dict()))[1].moved is None


class Branches(nn.Module):
    """Two branches of equal shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.colour, self.depth = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)) for _ in range(2))


@pytest.mark.parametrize("prefix", ["", "thermal.", "model.thermal."])
def test_a_part_that_could_be_either_branch_is_neither(tmp_path: Path, prefix: str) -> None:
    save_file(pre(prefix, Branches().colour.state_dict()), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="no tensor that fits"):
        load_weights(Branches(), tmp_path / "w.safetensors", strict=False)


def test_a_branch_is_not_taken_for_another(tmp_path: Path) -> None:
    branch = Branches().colour.state_dict()
    torch.save({**pre("model.colour.", branch), **pre("model.thermal.", branch)}, tmp_path / "w.pth")
    report = load_weights(Branches(), tmp_path / "w.pth", strict=False)
    assert all(name.startswith("colour.") for name in report.loaded)
    assert all(name.startswith("depth.") for name in report.missing)
    assert all(name.startswith("model.thermal.") for name in report.unexpected)


def test_the_share_counts_all_named_tensors_but_counters_by_their_values(tmp_path: Path) -> None:
    state = Net(0).state_dict()
    # 112 of encoder.0, 8 and 8 running statistics of encoder.1, 30 of up, 21 of score
    part = {name: state[name] for name in ("encoder.0.weight", "encoder.0.bias")}
    assert loaded(tmp_path, part, strict=False)[1].share == pytest.approx(112 / 179)
    norm = {name: tensor for name, tensor in state.items() if name.startswith("encoder.1.")}
    assert loaded(tmp_path, part | norm, strict=False)[1].share == pytest.approx(128 / 179)
    few = {name: state[name] for name in ("decoder.up.weight", "decoder.up.bias")}
    with pytest.raises(WeightsError, match=r"fits 17 % of the network, and 50 % is the least .min_fit."):
        loaded(tmp_path, few, strict=False)
    assert loaded(tmp_path, few, strict=False, min_fit=0.1)[1].share == pytest.approx(30 / 179)
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
        assert all(tensor.untyped_storage().nbytes() == tensor.element_size() for tensor in found.values())


def test_of_several_members_of_a_list_the_one_that_fits_is_taken(tmp_path):
    other = nn.Linear(3, 4).state_dict()
    assert loaded(tmp_path, {"models": [other, Net(0).state_dict()]})[0]


def test_members_of_a_list_that_fit_equally_are_named_by_their_place(tmp_path):
    content = {"models": [Net(0).state_dict(), Net(2).state_dict()]}
    with pytest.raises(WeightsError, match=r"models\.0, models\.1 fit the network equally well"):
        loaded(tmp_path, content)
    assert loaded(tmp_path, content, key="models.0")[0]


def test_tensors_of_an_optimizer_are_no_state_dict(tmp_path):
    groups = [{"lr": torch.tensor(0.1), "params": [0, 1]}]
    torch.save({"state_dict": Net(0).state_dict(), "optimizer": {"param_groups": groups}}, tmp_path / "w.pth")
    assert list(read_contents(tmp_path / "w.pth").states) == ["state_dict"]


def test_a_list_without_names_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no named tensors"):
        loaded(tmp_path, list(Net(0).state_dict().values()))


def test_the_best_and_the_last_in_one_state_dict_are_no_guess(tmp_path):
    content = {"state_dict": {**pre("last.", Net(0).state_dict()), **pre("best.", Net(2).state_dict())}}
    with pytest.raises(WeightsError, match="last, best fit the network equally well; say which by weights_key"):
        loaded(tmp_path, content)
    assert loaded(tmp_path, content, key="last")[0]


@pytest.mark.parametrize("depth", [1, 4, 8])
def test_weights_are_found_however_deep_they_are_nested(depth, tmp_path):
    content = Net(0).state_dict()
    for level in reversed(range(depth)):
        content = {f"level{level}": content, "epoch": 1}
    same, report = loaded(tmp_path, content)
    assert same
    assert report.key == ".".join(f"level{level}" for level in range(depth))
    assert loaded(tmp_path, content, key=report.key)[0]


def test_a_mapping_that_holds_itself_is_read(tmp_path):
    content: dict[str, Any] = {"model": Net(0).state_dict()}
    content["self"] = content
    torch.save(content, tmp_path / "w.pth")
    assert load_weights(Net(1), tmp_path / "w.pth", rules=Rules(key="model")).complete


NO_WEIGHTS = {
    "meta": (lambda tensor: torch.empty_like(tensor, device="meta"), "on the meta device, without values"),
    "sparse": (lambda tensor: tensor.to_sparse(), "sparse"),
    "complex": (lambda tensor: tensor.to(torch.complex64), "complex64"),
    "int8": (lambda tensor: (tensor * 10).to(torch.int8), "int8"),
    "bool": (lambda tensor: tensor > 0, "bool"),
    "quantized": (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), "qint8"),
}


@pytest.mark.filterwarnings("ignore:.*quantize.*", "ignore:.*[Ss]parse.*")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_tensors_that_are_no_weights_are_refused_by_name_before_and_while_loading(kind, strict, tmp_path):
    change, reason = NO_WEIGHTS[kind]
    names = ("encoder.0.weight", "decoder.up.weight")
    state = {name: change(tensor) if name in names else tensor for name, tensor in Net(0).state_dict().items()}
    torch.save({"model": state}, tmp_path / "w.pth")
    told = rf"no weights of this network: encoder\.0\.weight \({reason}\), decoder\.up\.weight \({reason}\); save"
    with pytest.raises(WeightsError, match=told):
        compare_weights(Net(1).to("meta"), tmp_path / "w.pth", rules=Rules(strict=strict))
    target = Net(1)
    with pytest.raises(WeightsError, match=told):
        load_weights(target, tmp_path / "w.pth", strict=strict)
    assert all(torch.equal(tensor, Net(1).state_dict()[name]) for name, tensor in target.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_in_safetensors_are_refused_too(dtype, tmp_path):
    save_file({name: tensor.to(dtype) for name, tensor in Net(0).state_dict().items()}, tmp_path / "w.safetensors")
    for check in (compare_weights, load_weights):
        with pytest.raises(WeightsError, match=rf"decoder\.score\.bias \({str(dtype).removeprefix('torch.')}\)"):
            check(Net(1), tmp_path / "w.safetensors", rules=Rules())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_are_weights(dtype, tmp_path):
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in Net(0).state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    compare_weights(Net(1), tmp_path / "w.pth", rules=Rules())
    target = Net(1)
    assert load_weights(target, tmp_path / "w.pth").complete
    assert torch.equal(target.encoder[0].weight, state["encoder.0.weight"].float())
