"""How a network is executed: eagerly, compiled, or as a replayed CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segbench.config.sections.training import EXECUTION_MODES
from segbench.errors import UsageError

Forward = Callable[[Tensor], Tensor]

_GRAPH_WARMUP_CALLS = 3
_REPLAYING = ("cuda_graph", "compile:reduce-overhead", "compile:max-autotune")


class UnsupportedMode(Exception):  # noqa: N818 - a result, not an error
    """The mode does not exist on this device; the case is skipped with this reason."""


def replays(mode: str) -> bool:
    """Return whether a mode replays CUDA graphs, whose memory is allocated during capture."""
    return mode in _REPLAYING


def compiled_facts(mode: str) -> dict[str, int]:
    """Return the number of graphs compiled in this process and the number of graph breaks."""
    if not mode.startswith("compile"):
        return {}
    from torch._dynamo.utils import counters

    return {
        "graphs": int(counters["stats"]["unique_graphs"]),
        "graph_breaks": sum(map(int, counters["graph_break"].values())),
    }


def check_mode(mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        UsageError: It is none of ``EXECUTION_MODES``.
    """
    if mode not in EXECUTION_MODES:
        raise UsageError(f"unknown mode {mode!r}; expected one of: {', '.join(EXECUTION_MODES)}")


def executed(forward: Forward, mode: str, example: Tensor) -> Forward:
    """Return the function in the given execution mode.

    Args:
        forward: The function to time; takes (N, C, H, W) images.
        mode: One of ``EXECUTION_MODES``.
        example: Example input of the final shape; a CUDA graph is captured with it.

    Raises:
        UnsupportedMode: The device has no such mode.
    """
    check_mode(mode)
    if mode == "eager":
        return forward
    if mode == "cuda_graph":
        return _graphed(forward, example)
    _, _, compile_mode = mode.partition(":")
    torch.compiler.reset()
    return torch.compile(forward, mode=compile_mode or "default")


def _graphed(forward: Forward, example: Tensor) -> Forward:
    """Capture one call and replay it; the timed call includes copying images into the graph's input."""
    if example.device.type != "cuda":
        raise UnsupportedMode(f"CUDA graphs need a CUDA device, this is {example.device.type}")
    held = example.clone()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_GRAPH_WARMUP_CALLS):
            forward(held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = forward(held)

    def replay(images: Tensor) -> Tensor:
        held.copy_(images)
        graph.replay()
        return result

    return replay


def trained(network: nn.Module, mode: str) -> nn.Module:
    """Return the network for training in the given mode.

    Raises:
        UnsupportedMode: Training steps are not captured as a CUDA graph.
    """
    check_mode(mode)
    if mode == "cuda_graph":
        raise UnsupportedMode("training steps are timed eagerly or compiled, not as a CUDA graph")
    if mode == "eager":
        return network
    _, _, compile_mode = mode.partition(":")
    torch.compiler.reset()
    compiled: nn.Module = torch.compile(network, mode=compile_mode or "default")  # type: ignore[assignment]
    return compiled
