"""Claims about memory: what does not fit is cut into parts with the same result, and recomputing changes no bit."""

from __future__ import annotations

import copy
import errno

import pytest
import torch
from torch import nn

from segbench.config.component import LossEntry
from segbench.config.sections.training import Train
from segbench.data.loading.batch import Batch, cut
from segbench.engine.device import ComputeConfig
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.engine.training.activation_checkpointing import blocks, keep_activations, recompute_blocks
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.trainer import Trainer


class Batches:
    """Stands for a loader: two batches of eight images."""

    def __init__(self):
        draw = torch.Generator().manual_seed(0)
        self.batches = [
            Batch(
                tuple(f"{number}-{row}" for row in range(8)),
                torch.rand(8, 3, 8, 8, generator=draw),
                torch.randint(0, 2, (8, 8, 8), generator=draw).to(torch.uint8),
                tuple(f"{number}{row}" for row in range(8)),
                (64,) * 8,
            )
            for number in range(2)
        ]

    def __len__(self):
        return len(self.batches)

    def epoch(self, epoch, *, skip=0):
        return iter(self.batches[skip:])


class Hungry(nn.Module):
    """A small network that has memory for so many images at a time."""

    def __init__(self, most=8, *, where="forward"):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2))
            self.last = nn.Conv2d(6, 2, 1)
        self.most, self.where = most, where

    def forward(self, images):
        hidden = self.first(images)
        if len(images) > self.most:
            if self.where == "forward":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            hidden.register_hook(self.refuse)
        return self.last(hidden)

    @staticmethod
    def refuse(gradient):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


def trained(tmp_path, network, **recipe):
    settings = {"epochs": 2, "batch_size": 8, "optimizer": {"name": "sgd", "lr": 0.1}} | recipe
    train = Train.model_validate(settings)
    trainer = Trainer(
        network,
        train,
        loader=Batches(),
        loss=build_loss((LossEntry(name="cross_entropy"),), classes=2, median_frequency=lambda: [1.0, 1.0]),
        compute=ComputeConfig(torch.device("cpu")),
        history=History(tmp_path / "history.csv"),
    )
    torch.manual_seed(5)
    return trainer.fit()


def same(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_does_not_fit_gives_what_parts_of_that_size_give(tmp_path, where, accumulate):
    found = trained(tmp_path, Hungry(2, where=where), micro_batch="auto", accumulate=accumulate)
    asked = trained(tmp_path, Hungry(), micro_batch=2, accumulate=accumulate)
    assert found.micro_batch == asked.micro_batch == 2
    assert same(found.network, asked.network)
    assert (found.digest, found.images) == (asked.digest, asked.images)


def test_what_fits_is_left_whole(tmp_path):
    found, whole = trained(tmp_path, Hungry(), micro_batch="auto"), trained(tmp_path, Hungry())
    assert found.micro_batch is None
    assert same(found.network, whole.network)


def test_parts_give_the_whole_batchs_gradient_where_no_statistics_are_taken(tmp_path):
    def plain():
        with torch.random.fork_rng():
            torch.manual_seed(4)
            return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))

    in_parts, whole = trained(tmp_path, plain(), micro_batch=3), trained(tmp_path, plain())
    for name, tensor in in_parts.network.state_dict().items():
        torch.testing.assert_close(tensor, whole.network.state_dict()[name], rtol=1e-5, atol=1e-7)
    assert in_parts.digest == whole.digest


def test_a_single_image_that_does_not_fit_is_out_of_memory(tmp_path):
    with pytest.raises(torch.OutOfMemoryError):
        trained(tmp_path, Hungry(0), micro_batch="auto")
    with pytest.raises(torch.OutOfMemoryError):
        trained(tmp_path, Hungry(4))


def test_other_errors_pass_through(tmp_path):
    class Broken(Hungry):
        def forward(self, images):
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        trained(tmp_path, Broken(), micro_batch="auto")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 3221225472 bytes."), True),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"), True),
        (RuntimeError("Triton Error [CUDA]: out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB, max allowed: 9.07 GB)."), True),
        (torch.OutOfMemoryError("XPU out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), False),
        (RuntimeError("out of resource: shared memory, Required: 180224, Hardware limit: 101376."), False),
        (RuntimeError("shapes do not fit"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, told):
    assert is_out_of_memory(error) is told


def test_the_processors_own_refusal_is_out_of_memory():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**50)
    assert is_out_of_memory(refused.value)


NO_ENGINE = RuntimeError("GET was unable to find an engine to execute this computation")


@pytest.mark.skipif(torch.cuda.is_available(), reason="another test may have filled the device before")
def test_a_convolution_without_an_engine_is_out_of_memory_only_where_memory_was_refused():
    assert not is_out_of_memory(NO_ENGINE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none")
def test_a_convolution_without_an_engine_is_out_of_memory_after_the_device_refused_some():
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(2**50, device="cuda")
    assert is_out_of_memory(NO_ENGINE)


@pytest.mark.parametrize(
    ("size", "sizes"), [(None, [8]), (8, [8]), (9, [8]), (3, [2, 3, 3]), (7, [4, 4]), (1, [1] * 8)]
)
def test_parts_are_a_batch_cut_in_order_and_evenly(size, sizes):
    batch = Batches().batches[0]
    parts = list(cut(batch, size))
    assert [len(part.names) for part in parts] == sizes
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
    assert sum((part.digests for part in parts), ()) == batch.digests


def test_recomputing_changes_no_bit(tmp_path):
    again = trained(tmp_path, Hungry(), activation_checkpointing=True, ema_decay=0.9)
    once = trained(tmp_path, Hungry(), ema_decay=0.9)
    assert same(again.network, once.network)
    assert not any("forward" in module.__dict__ for module in again.network.modules())


def test_a_blocks_own_forward_is_there_again_after_recomputing():
    block = Hungry().first
    own = block.forward = lambda images: images
    recompute_blocks(block)
    assert block.forward is not own
    keep_activations(block)
    assert block.forward is own


def test_recomputing_keeps_less_for_the_backward_pass():
    def kept(network):
        seen = {}

        def pack(tensor):
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = network(torch.rand(4, 3, 32, 32))
        total = sum(seen.values())
        output.sum().backward()
        return total

    network = Hungry()
    plain = kept(network)
    recompute_blocks(network)
    assert blocks(network) == [network.first]
    assert kept(network) < 0.6 * plain
    keep_activations(network)
    assert kept(network) == plain


def test_a_copy_of_a_network_is_not_tied_to_it():
    network = Hungry()
    average = copy.deepcopy(network)
    recompute_blocks(network)
    with torch.no_grad():
        network.last.weight.zero_()
    assert average(torch.rand(1, 3, 8, 8)).abs().sum() > 0
