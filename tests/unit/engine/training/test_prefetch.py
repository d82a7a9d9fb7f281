"""Claims about looking ahead: nothing is lost or reordered, and what is copied beside the work arrives whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segbench.data.loading.batch import Batch
from segbench.engine.device import ComputeConfig
from segbench.engine.training.prefetch import copy_stream, prefetched, with_is_last

CPU = ComputeConfig(torch.device("cpu"))


def batches(count=4):
    draw = torch.Generator().manual_seed(0)
    for number in range(count):
        labels = torch.randint(0, 5, (2, 6, 8), generator=draw).to(torch.uint8)
        yield Batch((f"{number}a", f"{number}b"), torch.rand(2, 3, 6, 8, generator=draw), labels, ("x", "y"), (48, 48))


@given(st.lists(st.integers()))
def test_the_last_is_marked(things):
    marked = list(with_is_last(things))
    assert [thing for thing, _ in marked] == things
    assert [last for _, last in marked] == [False] * (len(things) - 1) + [True] * bool(things)


def test_the_next_is_taken_before_one_is_passed_on():
    taken = []

    def things():
        for number in range(3):
            taken.append(number)
            yield number

    assert next(with_is_last(things())) == (0, False)
    assert taken == [0, 1]


def test_without_cuda_batches_pass_as_they_are():
    made = list(batches())
    passed = list(prefetched(iter(made), CPU, copy_stream(CPU)))
    assert all(one is other for one, other in zip(passed, made, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_is_copied_beside_the_work_arrives_whole():
    compute = ComputeConfig(torch.device("cuda"), channels_last=True)
    pinned = (
        batch._replace(images=batch.images.pin_memory(), labels=batch.labels.pin_memory()) for batch in batches(20)
    )
    for passed, expected in zip(prefetched(pinned, compute, copy_stream(compute)), batches(20), strict=True):
        assert passed.images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(passed.images.cpu(), expected.images)
        assert torch.equal(passed.labels.cpu(), expected.labels)
