"""Published scores of networks on public data sets; shown beside ours, never ranked with ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segbench.report.text import is_absent

VOID_LEFT_OUT = "void left out"
NOT_STATED = "convention not stated"


@dataclass(frozen=True)
class Published:
    """One row of a paper's table.

    Attributes:
        factory: The network's registered name.
        dataset: The data set's registered name.
        classes: Number of classes scored.
        mean_iou: A fraction of 1; so is the next.
        pixel_accuracy: None if the paper does not report it, or defines it differently.
        source: Short name of the paper.
        convention: Treatment of void pixels: ``VOID_LEFT_OUT`` as ours, or ``NOT_STATED``.
        note: Differences from ours for any suite.
    """

    factory: str
    dataset: str
    classes: int
    mean_iou: float
    pixel_accuracy: float | None
    source: str
    convention: str
    note: str


def published_of(factory: Any, recipe: Any, classes: Any) -> list[Published]:
    """Return published scores of a network on a recipe's data set, most comparable first."""
    if is_absent(factory) or is_absent(classes) or not isinstance(recipe, Mapping):
        return []
    dataset = (recipe.get("dataset") or {}).get("name")
    return [
        one for one in PUBLISHED if (one.factory, one.dataset, one.classes) == (str(factory), dataset, len(classes))
    ]


_TIRAMISU = "367 training images, as in SegNet's tutorial split"
_SEGNET = "a larger training set of its own, the best iteration"
_VOC_2011 = "validation images of VOC 2011, trained with SBD, ImageNet weights"
_VOC_TEST = "the test server of VOC 2012, ImageNet weights"

PUBLISHED = (
    Published("segnet", "camvid", 11, 0.464, None, "Jégou 2017", NOT_STATED, _TIRAMISU),
    Published("segnet", "camvid", 11, 0.6010, 0.9040, "Badrinarayanan 2017", VOID_LEFT_OUT, _SEGNET),
    Published("segnet", "camvid", 11, 0.556, None, "Mehta 2018", NOT_STATED, "as quoted beside ESPNet"),
    Published("deconvnet", "camvid", 11, 0.489, 0.859, "Jégou 2017", NOT_STATED, _TIRAMISU),
    Published("deconvnet", "camvid", 11, 0.5977, 0.8958, "Badrinarayanan 2017", VOID_LEFT_OUT, _SEGNET),
    Published("fcn8s", "camvid", 11, 0.570, 0.880, "Jégou 2017", NOT_STATED, f"{_TIRAMISU}, ImageNet weights"),
    Published(
        "fcn8s",
        "camvid",
        11,
        0.5196,
        0.8314,
        "Badrinarayanan 2017",
        VOID_LEFT_OUT,
        f"{_SEGNET}; FCN with learnt upsampling",
    ),
    Published(
        "deeplab_largefov", "camvid", 11, 0.616, None, "Jégou 2017", NOT_STATED, f"{_TIRAMISU}, ImageNet weights"
    ),
    Published("deeplab_largefov", "camvid", 11, 0.5388, 0.8820, "Badrinarayanan 2017", VOID_LEFT_OUT, _SEGNET),
    Published("fc_densenet56", "camvid", 11, 0.589, 0.889, "Jégou 2017", VOID_LEFT_OUT, f"{_TIRAMISU}, from scratch"),
    Published("fc_densenet67", "camvid", 11, 0.658, 0.908, "Jégou 2017", VOID_LEFT_OUT, f"{_TIRAMISU}, from scratch"),
    Published("fc_densenet103", "camvid", 11, 0.669, 0.915, "Jégou 2017", VOID_LEFT_OUT, f"{_TIRAMISU}, from scratch"),
    Published("fcn32s", "voc2012", 21, 0.594, 0.891, "Long 2015", VOID_LEFT_OUT, _VOC_2011),
    Published("fcn16s", "voc2012", 21, 0.624, 0.900, "Long 2015", VOID_LEFT_OUT, _VOC_2011),
    Published("fcn8s", "voc2012", 21, 0.627, 0.903, "Long 2015", VOID_LEFT_OUT, _VOC_2011),
    Published("fcn8s", "voc2012", 21, 0.622, None, "Long 2015, test", VOID_LEFT_OUT, _VOC_TEST),
    Published(
        "deconvnet",
        "voc2012",
        21,
        0.696,
        None,
        "Noh 2015",
        VOID_LEFT_OUT,
        f"{_VOC_TEST}; two stages over region proposals",
    ),
    Published("segnet", "voc2012", 21, 0.599, None, "Badrinarayanan 2017", VOID_LEFT_OUT, _VOC_TEST),
)
"""Sources: J. Long, E. Shelhamer, T. Darrell, CVPR 2015, section 5; H. Noh, S. Hong, B. Han, ICCV 2015, table 1;
V. Badrinarayanan, A. Kendall, R. Cipolla, PAMI 2017, tables 3 and 5; S. Jégou et al., CVPR Workshops 2017, table 3;
S. Mehta et al., ECCV 2018.

Void: VOC's evaluation (``VOCevalseg.m`` of its development kit) and that of FCN (``score.py`` in the authors'
repository) leave out pixels labelled void. So does ``Scripts/compute_test_results.m`` of alexgkendall/SegNet-Tutorial,
with which the figures of the SegNet papers were made (its author in that repository's issue 50), and ``metrics.py`` of
SimJeg/FC-DenseNet. What that paper's table quotes of other networks, or another paper of SegNet, may follow another
rule."""
