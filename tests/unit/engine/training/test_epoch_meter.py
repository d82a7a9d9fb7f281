"""Claims about an epoch's meter: the losses of all steps, to the last bit, and the first that is no number."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segbench.engine.training.epoch_meter import EpochMeter
from segbench.errors import NonFiniteLossError

TERMS = ("cross_entropy", "dice")
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
LOSSES = st.lists(
    st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.01, 4.0), st.sampled_from(DTYPES)),
    min_size=1,
    max_size=8,
)


def metered(meter, losses):
    """Add losses to a meter; return the tensors."""
    added = []
    for step, (one, other, share, dtype) in enumerate(losses, 1):
        terms = {"cross_entropy": torch.tensor(one, dtype=dtype), "dice": torch.tensor(other)}
        loss = terms["cross_entropy"] + terms["dice"]
        meter.add(loss, terms, share=share, step=step, learning_rate=0.1 / step)
        added.append((loss, terms, share))
    return added


@given(LOSSES)
def test_sums_are_those_of_the_losses_read_one_by_one(losses):
    meter = EpochMeter(1, TERMS)
    added = metered(meter, losses)
    meter.check()
    expected = {"loss": 0.0, "loss_cross_entropy": 0.0, "loss_dice": 0.0}
    for loss, terms, share in added:
        for name, tensor in {"loss": loss, **{f"loss_{name}": term for name, term in terms.items()}}.items():
            expected[name] += float(tensor) * share
    found = meter.totals()
    assert found.sums == expected
    assert found.shares == sum(share for *_, share in added)
    assert meter.last_loss == float(added[-1][0])


def test_a_second_look_counts_nothing_twice():
    meter = EpochMeter(1, TERMS)
    metered(meter, [(1.0, 2.0, 1.0, torch.float32)])
    meter.check()
    meter.check()
    assert meter.totals().sums["loss"] == 3.0
    assert meter.last_loss == 3.0


def test_the_first_loss_that_is_no_number_is_named_with_its_step_and_rate():
    meter = EpochMeter(4, TERMS)
    metered(
        meter, [(1.0, 2.0, 1.0, torch.float32), (math.inf, 0.0, 1.0, torch.float32), (math.nan, 0.0, 1.0, DTYPES[0])]
    )
    with pytest.raises(NonFiniteLossError, match=r"inf") as caught:
        meter.check()
    for text in ("epoch 4", "step 2", "0.05"):
        assert text in str(caught.value)


def test_losses_come_to_the_host_by_one_copy():
    copies = []

    class Watched(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func.__name__ in ("tolist", "item", "__float__", "cpu", "to"):
                copies.append(func.__name__)
            return func(*args, **(kwargs or {}))

    meter = EpochMeter(1, TERMS)
    metered(meter, [(1.0, 2.0, 1.0, torch.float32)] * 20)
    with Watched():
        meter.check()
    assert copies == ["tolist"]
