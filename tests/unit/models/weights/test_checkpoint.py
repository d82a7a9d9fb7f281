"""Whole-network checkpoints: what is read, what is refused, what is written."""

import dataclasses
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from segbench.errors import StoreError, WeightsError
from segbench.models.weights import checkpoint as weights
from segbench.models.weights.checkpoint import file_digest, load_weights, read_state, save_weights
from segbench.models.weights.tensor_matching import bare


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def same(one: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


def names(module: nn.Module) -> tuple[str, ...]:
    return tuple(module.state_dict())


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth"])
def test_a_checkpoint_comes_back_whole(tmp_path: Path, suffix: str) -> None:
    path, source, target = tmp_path / f"w.{suffix}", network(0), network(1)
    save_file(source.state_dict(), path) if suffix == "safetensors" else torch.save(source.state_dict(), path)
    report = load_weights(target, path)
    assert same(source, target)
    assert report.complete
    assert sorted(report.loaded) == sorted(names(source))


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_wrapped_states_are_unwrapped(tmp_path: Path, wrapper: str) -> None:
    source, target = network(0), network(1)
    torch.save({"epoch": 3, wrapper: source.state_dict(), "optimizer": {"lr": 0.1}}, tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt")
    assert same(source, target)


def test_nested_wrappers_are_unwrapped(tmp_path: Path) -> None:
    torch.save({"model": {"state_dict": network().state_dict()}}, tmp_path / "w.pt")
    assert read_state(tmp_path / "w.pt").keys() == network().state_dict().keys()


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.model."])
def test_prefixes_are_stripped(tmp_path: Path, prefix: str) -> None:
    source, target = network(0), network(1)
    save_file({prefix + name: tensor for name, tensor in source.state_dict().items()}, tmp_path / "w.safetensors")
    assert load_weights(target, tmp_path / "w.safetensors").complete
    assert same(source, target)


def test_a_network_may_have_the_prefix_itself(tmp_path: Path) -> None:
    class Outer(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.model = network(seed)

    save_file(Outer(0).state_dict(), tmp_path / "own.safetensors")
    save_file(network(0).state_dict(), tmp_path / "bare.safetensors")
    for name in ("own", "bare"):
        target = Outer(1)
        assert load_weights(target, tmp_path / f"{name}.safetensors").complete
        assert same(Outer(0), target)


def test_an_exact_name_wins_over_a_stripped_one(tmp_path: Path) -> None:
    state = network(0).state_dict()
    other = {f"model.{name}": tensor.clone() + 1 for name, tensor in state.items()}
    target = network(1)
    save_file({**other, **state}, tmp_path / "w.safetensors")
    report = load_weights(target, tmp_path / "w.safetensors")
    assert same(network(0), target)
    assert report.complete
    assert report.rivals == ("model",)


def test_bare_names_lose_every_prefix() -> None:
    assert bare("module.model.backbone._orig_mod.conv.weight") == "backbone.conv.weight"
    assert bare("modules.weight") == "modules.weight"


@pytest.fixture
def misfit(tmp_path: Path) -> Path:
    """One name is missing, one misshapen, seven are unexpected."""
    state = network(0).state_dict()
    del state["0.bias"]
    state["2.weight"] = torch.zeros(5, 4, 1, 1)
    save_file({**state, **{f"extra.{index}": torch.zeros(1) for index in range(7)}}, tmp_path / "misfit.safetensors")
    return tmp_path / "misfit.safetensors"


def test_a_misfit_is_refused_with_every_kind_named_and_nothing_changed(misfit: Path) -> None:
    target = network(1)
    with pytest.raises(WeightsError) as caught:
        load_weights(target, misfit)
    message = str(caught.value)
    assert message.startswith(str(misfit))
    assert "1 tensor of the network is missing in the file: 0.bias" in message
    unexpected = "7 tensors of the file fit nothing in the network"
    assert f"{unexpected}: extra.0, extra.1, extra.2, extra.3, extra.4 and 2 more" in message
    assert "1 tensor has another shape: 2.weight ((5, 4, 1, 1) in the file, (2, 4, 1, 1) here)" in message
    assert "strict: false" in message
    assert same(network(1), target)


def test_without_strictness_what_fits_is_loaded_and_the_rest_reported(misfit: Path) -> None:
    target, source, before = network(1), network(0), network(1)
    report = load_weights(target, misfit, strict=False)
    assert report.missing == ("0.bias",)
    assert len(report.unexpected) == 7
    assert len(report.misshapen) == 1
    assert not report.complete
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[2].bias, source[2].bias)
    assert torch.equal(target[0].bias, before[0].bias)
    assert torch.equal(target[2].weight, before[2].weight)


def test_a_file_with_nothing_that_fits_is_refused_even_so(tmp_path: Path) -> None:
    save_file({"other": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="no tensor that fits"):
        load_weights(network(), tmp_path / "w.safetensors", strict=False)


def test_an_absent_step_counter_is_no_misfit(tmp_path: Path) -> None:
    state = network(0).state_dict()
    del state["1.num_batches_tracked"]
    save_file(state, tmp_path / "w.safetensors")
    assert load_weights(network(1), tmp_path / "w.safetensors").complete


def test_half_precision_is_widened(tmp_path: Path) -> None:
    source, target = network(0), network(1)
    save_file({name: tensor.half() for name, tensor in source.state_dict().items()}, tmp_path / "w.safetensors")
    load_weights(target, tmp_path / "w.safetensors")
    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, source[0].weight.half().float())


def test_the_report_is_frozen(tmp_path: Path) -> None:
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    report = load_weights(network(), tmp_path / "w.safetensors")
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.missing = ()


class Harm:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path(self.target),)

    def __init__(self, target: str) -> None:
        self.target = target


def test_a_file_with_code_is_refused_and_the_code_not_run(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1), "harm": Harm(str(tmp_path / "ran"))}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt: holds code"):
        read_state(tmp_path / "w.pt")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Harm(str(tmp_path / "ran")), protocol=2))
    with pytest.raises(WeightsError, match=r"plain\.pth"):
        read_state(tmp_path / "plain.pth")
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"save network\.state_dict"):
        read_state(tmp_path / "w.pt")


@pytest.mark.parametrize("kind", ["safetensors", "pt", "legacy"])
def test_a_file_cut_off_anywhere_is_named(tmp_path: Path, kind: str) -> None:
    whole = tmp_path / "whole"
    if kind == "safetensors":
        save_file(network().state_dict(), whole)
    else:
        torch.save(network().state_dict(), whole, _use_new_zipfile_serialization=kind == "pt")
    content = whole.read_bytes()
    cut = tmp_path / ("cut.safetensors" if kind == "safetensors" else "cut.pt")
    for length in range(0, len(content) - 16, max(1, len(content) // 60)):
        cut.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"cut\."):
            read_state(cut)


@pytest.mark.parametrize("name", ["noise.safetensors", "noise.pt"])
def test_noise_is_named(tmp_path: Path, name: str) -> None:
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randint(256, (200,), generator=generator, dtype=torch.uint8).numpy().tobytes()
        (tmp_path / name).write_bytes(noise)
        with pytest.raises(WeightsError, match=name):
            read_state(tmp_path / name)


def test_absent_files_folders_and_files_without_tensors_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.pt: there is no such file"):
        read_state(tmp_path / "absent.pt")
    with pytest.raises(WeightsError, match="there is no such file"):
        read_state(tmp_path)
    for content in ({"epoch": 1}, [torch.zeros(1)], {}):
        torch.save(content, tmp_path / "empty.pt")
        with pytest.raises(WeightsError, match=r"empty\.pt: holds no named tensors"):
            read_state(tmp_path / "empty.pt")


def test_saved_weights_and_metadata_come_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "w.safetensors"
    source = network(0).to(memory_format=torch.channels_last)
    save_weights(source, path, metadata={"model": "toy"})
    target = network(1)
    assert load_weights(target, path).complete
    assert same(source, target)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"model": "toy"}
    assert [entry.name for entry in path.parent.iterdir()] == ["w.safetensors"]


def test_tied_tensors_are_saved(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    save_weights(tied, tmp_path / "w.safetensors", metadata={})
    state = load_file(tmp_path / "w.safetensors")
    assert torch.equal(state["0.weight"], state["1.weight"])


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(network(0), path, metadata={})
    before = file_digest(path)

    def full(state: object, partial: Path, metadata: object) -> None:
        partial.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(StoreError, match=r"w\.safetensors: cannot be written: no space left"):
        save_weights(network(1), path, metadata={})
    assert file_digest(path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 300_000)
    assert file_digest(tmp_path / "file") == hashlib.sha256(b"abc" * 300_000).hexdigest()
    with pytest.raises(WeightsError, match="absent"):
        file_digest(tmp_path / "absent")


def test_a_disk_that_is_full_for_weights_is_told_with_what_to_do(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(StoreError, match=r"weights\.safetensors: cannot be written: File too large; .* another"):
            save_weights(nn.Linear(40, 40), tmp_path / "weights.safetensors", metadata={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
