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
        block.forward = _Twice(block)


def keep_activations(network: nn.Module) -> None:
    """Undo ``recompute_blocks``; a block that had a ``forward`` of its own has it again."""
    for block in network.modules():
        twice = block.__dict__.get("forward")
        if isinstance(twice, _Twice):
            del block.__dict__["forward"]
            if twice.own:
                block.forward = twice.forward


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the blocks of a network, none of which lies within another."""
    children = list(network.children())
    inner = [block for child in children for block in blocks(child)]
    if inner or len(children) < 2 or not any(isinstance(child, _CONVOLUTIONS) for child in children):
        return inner
    return [network]


class _Twice:
    """A block's forward pass that is computed again when its gradient is.

    Attributes:
        forward: The forward pass.
        own: Whether the block itself held it, not its class.
    """

    def __init__(self, block: nn.Module) -> None:
        self.block, self.forward, self.own = block, block.forward, "forward" in block.__dict__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not (self.block.training and is_grad_enabled()):
            return self.forward(*arguments, **named)
        contexts = lambda: (nullcontext(), _still(self.block))  # noqa: E731
        return checkpoint(self.forward, *arguments, use_reentrant=False, context_fn=contexts, **named)


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
