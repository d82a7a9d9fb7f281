"""Figures as data, from which a page draws them with tooltips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segbench.report.text import is_absent, printable

if TYPE_CHECKING:
    from segbench.report.figures.looks import Look


def point(
    name: str,
    look: Look,
    at: tuple[Any, Any],
    *,
    tip: Sequence[str],
    across: Any = None,
    up: Any = None,
    box: Any = None,
    hollow: bool = False,
) -> dict[str, Any]:
    """Return one network's point.

    Args:
        name: The network.
        look: Its colour and mark.
        at: Where the mark stands.
        tip: The lines of its tooltip.
        across: Both ends of the horizontal interval; None without.
        up: Those of the vertical one.
        box: Both ends of a horizontal box around the mark; None without.
        hollow: Whether the mark is not filled.
    """
    return {
        "name": printable(name),
        "color": look.color,
        "marker": look.marker,
        "x": number(at[0]),
        "y": number(at[1]),
        "across": _both(across),
        "up": _both(up),
        "box": _both(box),
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


def forest(points: Sequence[Mapping[str, Any]], *, x: str, sides: Sequence[str], log: bool = False) -> dict[str, Any]:
    """Return rows of intervals, the first at the top, with a word at the right of each."""
    return {"kind": "forest", "x": x, "log": log, "points": list(points), "sides": [printable(side) for side in sides]}


def bars(panels: Sequence[Mapping[str, Any]], *, unit: str) -> dict[str, Any]:
    """Return panels of bars from 0: each with its label ``x``, its ``points`` and the words beside them, ``sides``."""
    return {"kind": "bars", "panels": list(panels), "unit": unit}


def slopes(lines: Sequence[Mapping[str, Any]], *, ends: tuple[str, str]) -> dict[str, Any]:
    """Return lines from a first value to a second; each is what ``slope`` returns.

    Args:
        lines: The lines.
        ends: What the first values and the second ones are called.
    """
    return {"kind": "slopes", "ends": list(ends), "lines": list(lines)}


def slope(name: str, look: Look, values: tuple[float, float], *, change: str, tip: Sequence[str]) -> dict[str, Any]:
    """Return one network's line from a first value to a second, with its change in words."""
    return {
        "name": printable(name),
        "color": look.color,
        "marker": look.marker,
        "y": [number(value) for value in values],
        "words": [f"{value:.3f}" for value in values],
        "change": change,
        "tip": list(tip),
    }


def reliability(panels: Sequence[Mapping[str, Any]], *, x: str, y: str) -> dict[str, Any]:
    """Return reliability diagrams, each with ``name``, ``color``, words ``told`` and ``bins``.

    A bin has the mean confidence ``x``, the share ``y`` of its pixels that is right, the ``share`` of all pixels that
    it holds, and the lines of its tooltip, ``tip``.
    """
    return {"kind": "reliability", "x": x, "y": y, "panels": list(panels)}


def curves(panels: Sequence[Mapping[str, Any]], *, x: str) -> dict[str, Any]:
    """Return panels of curves: each with its label ``y`` and ``lines``, what ``line`` returns."""
    return {"kind": "curves", "x": x, "panels": list(panels)}


def line(name: str, look: Look, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return one network's curve: ``x``, ``y`` and, where they are known, ``low`` and ``high`` of its band."""
    given = {key: [number(value) for value in column] for key, column in values.items()}
    return {"name": printable(name), "color": look.color, "marker": look.marker, **given}


def _both(ends: Any) -> list[float | None] | None:
    return None if ends is None else [number(end) for end in ends]


def number(value: Any) -> float | None:
    """Return a number in six digits, which is what a drawing shows; None where it is absent."""
    return None if is_absent(value) else float(f"{float(value):.6g}")
