"""Generates one scene: objects drawn on a photograph, with a label for every pixel."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import IGNORE_INDEX, ImageArray, LabelArray
from segbench.data.scenes.random import PortableRandom
from segbench.data.scenes.shapes import ROTATIONS, Grid, Mask, disc, fence, grid_around, square, texture, triangle

COLORS = {
    "red": (208, 48, 40),
    "orange": (232, 140, 32),
    "yellow": (228, 212, 60),
    "green": (64, 168, 64),
    "cyan": (48, 188, 200),
    "blue": (48, 80, 208),
    "violet": (150, 60, 190),
    "magenta": (240, 40, 170),
    "white": (244, 244, 244),
}
"""The paints; each class prefers some of them, and each is preferred by several classes."""


class SceneClass(IntEnum):
    """The classes of pixels."""

    BACKGROUND = 0
    DISC = 1
    SQUARE = 2
    TRIANGLE = 3
    RING = 4
    ENCLOSED = 5
    FENCE = 6
    DIGIT = 7


PAINTS = {
    SceneClass.DISC: ("red", "orange"),
    SceneClass.SQUARE: ("blue", "violet"),
    SceneClass.TRIANGLE: ("green", "yellow"),
    SceneClass.RING: ("cyan",),
    SceneClass.FENCE: ("white", "yellow"),
    SceneClass.DIGIT: ("magenta",),
}
TEXTURES = {SceneClass.DISC: "plain", SceneClass.SQUARE: "checks", SceneClass.TRIANGLE: "stripes"}
"""The usual texture of a class."""

THINGS = tuple(PAINTS)
"""Objects drawn on a photograph; a ring adds the class of its interior."""

SOLIDS = tuple(TEXTURES)
"""Objects whose whole area has a texture."""

OWN_CUE_PERCENT = 90
"""How often (in percent) an object gets a paint or texture of its own class instead of any."""

PLACES = 4
"""Number of random positions tried for each object."""


@dataclass(frozen=True)
class Sources:
    """The photographs and digits for the scenes of one split.

    Attributes:
        photographs: (H, W, 3) uint8 regions of photographs.
        digits: (n, 8, 8) uint8 handwritten digits, ink 0 to 16.
    """

    photographs: tuple[ImageArray, ...]
    digits: NDArray[np.uint8]


class Composer:
    """Generates one scene step by step, determined only by its random draws.

    Args:
        sources: Photographs and digits.
        size: Height and width in pixels.
        draws: The scene's random generator.
        zoom: Size of the objects in percent of the default; larger objects are fewer.
        things: The objects to draw; all by default.
    """

    def __init__(
        self,
        sources: Sources,
        size: tuple[int, int],
        *,
        draws: PortableRandom,
        zoom: int = 100,
        things: Collection[SceneClass] = THINGS,
    ) -> None:
        self.sources, self.size, self.draws, self.zoom, self.things = sources, size, draws, zoom, things
        self.unit = min(size)
        self.canvas = self._photograph().astype(np.int16)
        self.label = np.full(size, SceneClass.BACKGROUND, dtype=np.uint8)

    def compose(self) -> tuple[ImageArray, LabelArray]:
        """Return the image (H, W, 3) and its label (H, W), both uint8."""
        if SceneClass.RING in self.things:
            self._ring()
        if SceneClass.FENCE in self.things and self.draws.chance(75):
            self._fence()
        if solids := tuple(kind for kind in SOLIDS if kind in self.things):
            for _ in range(self._fewer(self.draws.between(2, 3))):
                self._solid(self.draws.choice(solids))
        if SceneClass.DIGIT in self.things:
            for _ in range(self._fewer(self.draws.between(1, 2))):
                self._digit()
        return self._exposed(), self.label

    def _photograph(self) -> ImageArray:
        """Return a window of a photograph at the scene's size, sampled at whole pixels."""
        draws, (height, width) = self.draws, self.size
        source = draws.choice(self.sources.photographs)
        rows, columns = source.shape[:2]
        tall = min(rows, max(1, height * draws.between(4, 12) // 4))
        wide = min(columns, max(1, tall * width // height))
        y = draws.between(0, rows - tall) + np.arange(height) * tall // height
        x = draws.between(0, columns - wide) + np.arange(width) * wide // width
        if draws.chance(50):
            x = x[::-1]
        window: ImageArray = source[y[:, None], x[None, :]]
        return window

    def _place(self, radius: int) -> Grid:
        """Return a window for an object of this radius: the random one that hides the least."""
        margin = radius * 2 // 3
        height, width = self.size
        grids = [
            grid_around(
                (self.draws.between(margin, height - 1 - margin), self.draws.between(margin, width - 1 - margin)),
                radius,
                self.size,
            )
            for _ in range(PLACES)
        ]
        return min(grids, key=lambda grid: np.count_nonzero(self.label[grid.rows, grid.columns]))

    def _fewer(self, number: int) -> int:
        """Return the number of objects of a kind at this zoom, given the default number."""
        return number * 100 // self.zoom

    def _between_shares(self, least: int, most: int) -> int:
        """Return a random length between two percentages of the shorter side, zoomed, at least one pixel."""
        reach = self.unit * self.zoom
        return max(1, self.draws.between(reach * least // 10_000, reach * most // 10_000))

    def _paint(self, kind: SceneClass) -> NDArray[np.int16]:
        own = self.draws.chance(OWN_CUE_PERCENT)
        name = self.draws.choice(PAINTS[kind] if own else tuple(COLORS))
        jitter = [self.draws.between(-20, 20) for _ in range(3)]
        return np.array(COLORS[name], dtype=np.int16) + np.array(jitter, dtype=np.int16)

    def _fill(self, grid: Grid, mask: Mask, kind: SceneClass, color: NDArray[np.int16]) -> None:
        self.canvas[grid.rows, grid.columns][mask] = color
        self.label[grid.rows, grid.columns][mask] = kind

    def _solid(self, kind: SceneClass) -> None:
        """Draw a disc, square or triangle with its texture."""
        draws = self.draws
        size, rotation = self._between_shares(13, 22), draws.choice(ROTATIONS)
        color = self._paint(kind)
        own = draws.chance(OWN_CUE_PERCENT)
        pattern = TEXTURES[kind] if own else draws.choice(("plain", "stripes", "checks"))
        grid = self._place(size if kind is SceneClass.DISC else size * 5 // 3)
        if kind is SceneClass.DISC:
            mask = disc(grid, size)
        elif kind is SceneClass.SQUARE:
            mask = square(grid, size * 8 // 9, rotation)
        else:
            mask = triangle(grid, size * 3 // 2, rotation)
        self._fill(grid, mask, kind, color)
        dark = mask & texture(pattern, grid, max(2, self.unit // 20), rotation)
        self.canvas[grid.rows, grid.columns][dark] = color * 5 // 8

    def _ring(self) -> None:
        """Draw a ring; its interior shows the photograph and is a separate class."""
        radius = self._between_shares(18, 36)
        inner = radius - max(1, self.draws.between(radius // 5, radius // 3))
        grid = self._place(radius)
        hole = disc(grid, inner)
        self._fill(grid, disc(grid, radius) & ~hole, SceneClass.RING, self._paint(SceneClass.RING))
        self.label[grid.rows, grid.columns][hole] = SceneClass.ENCLOSED

    def _fence(self) -> None:
        half = (self._between_shares(12, 24), self._between_shares(24, 45))
        grid = self._place(max(half))
        thickness = max(1, self.unit // 40)
        lines = fence(grid, half, thickness + self._between_shares(8, 16), thickness)
        self._fill(grid, lines, SceneClass.FENCE, self._paint(SceneClass.FENCE))

    def _digit(self) -> None:
        """Draw a handwritten digit; pixels of faint ink are void."""
        draws = self.draws
        scale = max(1, self._between_shares(34, 52) // 8)
        digit = self.sources.digits[draws.below(len(self.sources.digits))]
        ink = digit.repeat(scale, 0).repeat(scale, 1)
        height, width = min(ink.shape[0], self.size[0]), min(ink.shape[1], self.size[1])
        grid = self._place(max(height, width) // 2)
        top, left = min(grid.rows.start, self.size[0] - height), min(grid.columns.start, self.size[1] - width)
        rows, columns = slice(top, top + height), slice(left, left + width)
        strength = ink[:height, :width, None].astype(np.int16)
        paper = self.canvas[rows, columns]
        paper += (self._paint(SceneClass.DIGIT) - paper) * strength // 16
        label = self.label[rows, columns]
        label[ink[:height, :width] >= 4] = IGNORE_INDEX
        label[ink[:height, :width] >= 8] = SceneClass.DIGIT

    def _exposed(self) -> ImageArray:
        """Return the canvas with a random exposure and noise in every pixel."""
        gain, amplitude = self.draws.between(205, 275), self.draws.between(4, 14)
        noise = self.draws.bytes(self.canvas.size).reshape(self.canvas.shape).astype(np.int32) - 128
        exposed = (self.canvas * np.int32(gain) >> 8) + (noise * amplitude >> 7)
        return exposed.clip(0, 255).astype(np.uint8)
