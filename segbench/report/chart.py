"""Figures as data, from which a page draws them with tooltips: points with intervals, or curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segbench.report.text import is_absent, printable

if TYPE_CHECKING:
    from segbench.report.figures.looks import Look


def point(
    name: str, look: Look, at: tuple[Any, Any], *, tip: Sequence[str], across: Any = None, up: Any = None, hollow: bool
) -> dict[str, Any]:
    """Return one network's point.

    Args:
        name: The network.
        look: Its colour and mark.
        at: Where the mark stands.
        tip: The lines of its tooltip.
        across: Both ends of the horizontal interval; None without.
        up: Those of the vertical one.
        hollow: Whether the mark is not filled.
    """
    return {
        "name": printable(name),
        "color": look.color,
        "marker": look.marker,
        "x": number(at[0]),
        "y": number(at[1]),
        "across": None if across is None else [number(end) for end in across],
        "up": None if up is None else [number(end) for end in up],
        "hollow": bool(hollow),
        "tip": [printable(line) for line in tip],
    }


def scatter(
    points: Sequence[Mapping[str, Any]], *, x: str, y: str, log: bool, front: Sequence[tuple[float, float]], step: int
) -> dict[str, Any]:
    """Return a scatter plot.

    Args:
        points: What ``point`` returns.
        x: Words of the horizontal axis.
        y: Those of the vertical one.
        log: Whether the horizontal axis is logarithmic.
        front: The corners of the Pareto front, from left to right.
        step: 1 where a step goes across first, -1 where it goes up or down first.
    """
    corners = [[number(a), number(b)] for a, b in front]
    return {"kind": "scatter", "x": x, "y": y, "log": log, "points": list(points), "front": corners, "step": step}


def forest(points: Sequence[Mapping[str, Any]], *, x: str, sides: Sequence[str]) -> dict[str, Any]:
    """Return rows of intervals, the first at the top, with a word at the right of each."""
    return {"kind": "forest", "x": x, "points": list(points), "sides": [printable(side) for side in sides]}


def curves(panels: Sequence[Mapping[str, Any]], *, x: str) -> dict[str, Any]:
    """Return panels of curves: each with its label ``y`` and ``lines``, what ``line`` returns."""
    return {"kind": "curves", "x": x, "panels": list(panels)}


def line(name: str, look: Look, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return one network's curve: ``x``, ``y`` and, where they are known, ``low`` and ``high`` of its band."""
    given = {key: [number(value) for value in column] for key, column in values.items()}
    return {"name": printable(name), "color": look.color, "marker": look.marker, **given}


def number(value: Any) -> float | None:
    """Return a number in six digits, which is what a drawing shows; None where it is absent."""
    return None if is_absent(value) else float(f"{float(value):.6g}")
