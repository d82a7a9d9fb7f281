"""Activation checkpointing: blocks keep only their inputs and recompute activations in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.utils.checkpoint import checkpoint

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def recompute_blocks(network: nn.Module) -> None:
    """Recompute the activations of a network's blocks in the backward pass; results do not change.

    A block is an innermost module that contains a convolution and something else. Batch-norm statistics are updated
    only in the first pass, and dropout draws the same both times.
    """
    for block in blocks(network):
        block.forward = _Twice(block)


def keep_activations(network: nn.Module) -> None:
    """Undo ``recompute_blocks``; restores a ``forward`` that was set on the block itself."""
    for block in network.modules():
        twice = block.__dict__.get("forward")
        if isinstance(twice, _Twice):
            del block.__dict__["forward"]
            if twice.own:
                block.forward = twice.forward


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the blocks of a network; none is inside another one."""
    children = list(network.children())
    inner = [block for child in children for block in blocks(child)]
    if inner or len(children) < 2 or not any(isinstance(child, _CONVOLUTIONS) for child in children):
        return inner
    return [network]


class _Twice:
    """A block's forward pass that is recomputed in the backward pass.

    Attributes:
        forward: The forward pass.
        own: Whether it was set on the block itself instead of its class.
    """

    def __init__(self, block: nn.Module) -> None:
        self.block, self.forward, self.own = block, block.forward, "forward" in block.__dict__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not (self.block.training and is_grad_enabled()):
            return self.forward(*arguments, **named)
        contexts = lambda: (nullcontext(), _still(self.block))  # noqa: E731
        return checkpoint(self.forward, *arguments, use_reentrant=False, context_fn=contexts, **named)


def _still(block: nn.Module) -> AbstractContextManager[None]:
    """Return a context that restores the block's buffers at its end."""

    @contextmanager
    def still() -> Iterator[None]:
        before: list[Tensor] = [buffer.clone() for buffer in block.buffers()]
        try:
            yield
        finally:
            for buffer, value in zip(block.buffers(), before, strict=True):
                buffer.copy_(value)

    return still()
