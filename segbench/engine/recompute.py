"""Activation checkpointing: blocks keep their inputs only, and compute the rest again for the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.utils.checkpoint import checkpoint

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def recompute_blocks(network: nn.Module) -> None:
    """Let the blocks of a network compute their activations twice in training; no result changes.

    A block is an innermost module that holds a convolution beside something else. Batch-norm statistics are those of
    the first computation alone, and dropout draws the same both times.
    """
    for block in blocks(network):
        _recompute(block)


def keep_activations(network: nn.Module) -> None:
    """Undo ``recompute_blocks``."""
    for block in network.modules():
        block.__dict__.pop("forward", None)


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the blocks of a network, none of which lies within another."""
    children = list(network.children())
    inner = [block for child in children for block in blocks(child)]
    if inner or len(children) < 2 or not any(isinstance(child, _CONVOLUTIONS) for child in children):
        return inner
    return [network]


def _recompute(block: nn.Module) -> None:
    forward = block.forward

    def twice(*arguments: Any, **named: Any) -> Any:
        if not (block.training and is_grad_enabled()):
            return forward(*arguments, **named)
        return checkpoint(
            forward, *arguments, use_reentrant=False, context_fn=lambda: (nullcontext(), _still(block)), **named
        )

    block.forward = twice


def _still(block: nn.Module) -> AbstractContextManager[None]:
    """Return a context after which the block's buffers are what they were before."""

    @contextmanager
    def still() -> Iterator[None]:
        before: list[Tensor] = [buffer.clone() for buffer in block.buffers()]
        try:
            yield
        finally:
            for buffer, value in zip(block.buffers(), before, strict=True):
                buffer.copy_(value)

    return still()
