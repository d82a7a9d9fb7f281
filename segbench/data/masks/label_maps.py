"""Predefined classes of public data sets: names, colours, and numbers in mask files."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.data.base import Color
from segbench.errors import UnknownNameError


@dataclass(frozen=True)
class LabelMap:
    """The classes of a data set and their numbers in mask files.

    Attributes:
        classes: Names of the classes 0, 1, ...
        values: The number of each class in mask files.
        ignore: The numbers of void.
        palette: One colour for each class; None if the data set defines none.
    """

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignore: tuple[int, ...]
    palette: tuple[Color, ...] | None = None


def label_map(name: str) -> LabelMap:
    """Return a predefined map by its name.

    Raises:
        UnknownNameError: There is no map of this name.
    """
    if name not in LABEL_MAPS:
        raise UnknownNameError("label map", name, LABEL_MAPS)
    return LABEL_MAPS[name]


_CITYSCAPES: dict[str, tuple[int, Color]] = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
"""The 19 classes of the benchmark, in the order of their train ids (M. Cordts et al., CVPR 2016): id and colour."""

_CITYSCAPES_IDS = tuple(number for number, _ in _CITYSCAPES.values())
_CITYSCAPES_COLORS = tuple(color for _, color in _CITYSCAPES.values())

_ADE20K = (
    *("wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass"),
    *("cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair"),
    *("car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field"),
    *("armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion"),
    *("base", "box", "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace"),
    *("refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door"),
    *("stairway", "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench"),
    *("countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine"),
    *("hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth"),
    *("television receiver", "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman"),
    *("bottle", "buffet", "poster", "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer"),
    *("plaything", "swimming pool", "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle"),
    *("oven", "ball", "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle"),
    *("lake", "dishwasher", "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray"),
    *("ashcan", "fan", "pier", "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass"),
    *("clock", "flag"),
)
"""The 150 classes of the scene parsing benchmark, each by its first name (B. Zhou et al., CVPR 2017)."""

LABEL_MAPS = {
    "cityscapes-label-ids": LabelMap(
        tuple(_CITYSCAPES),
        _CITYSCAPES_IDS,
        tuple(number for number in (*range(-1, 34), 255) if number not in _CITYSCAPES_IDS),
        _CITYSCAPES_COLORS,
    ),
    "cityscapes-train-ids": LabelMap(tuple(_CITYSCAPES), tuple(range(19)), (-1, 255), _CITYSCAPES_COLORS),
    "ade20k": LabelMap(_ADE20K, tuple(range(1, 151)), (0,)),
}
"""By name. License plates are -1 in Cityscapes, which is 255 in a file of 8 bits; 0 is "other" in ADE20K."""
