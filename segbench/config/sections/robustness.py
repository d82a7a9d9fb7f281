"""The ``robustness`` block: trained networks, tested again on corrupted images and on other data."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from segbench.config.component import DatasetEntry
from segbench.config.sections.training import Section

Severity = Annotated[int, Field(ge=1, le=5)]

CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    *("gaussian_blur", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "fog", "brightness", "contrast", "saturate"),
    *("pixelate", "jpeg_compression"),
    *("elastic_transform", "barrel_distortion"),
)
"""Every corruption, by family: noise, blur, weather and light, digital, geometric."""

USUAL = (
    *("gaussian_noise", "impulse_noise", "defocus_blur", "motion_blur"),
    *("fog", "brightness", "contrast", "jpeg_compression"),
)
"""Those that are taken by default: two of a kind, none that moves pixels."""


_TAKEN = re.compile(rf"train|run|confusion|history|({'|'.join(CORRUPTIONS)})(-\d+)?", re.IGNORECASE)
"""What no data set may be called, since its results could not be told from others."""


class OtherData(Section):
    """A test set of other origin, whose classes are told in those of the suite."""

    label: str = Field(pattern=r"^\w[\w.-]*$")
    """Its name in tables and among the results."""
    dataset: DatasetEntry
    """The data set; its test split is taken."""
    classes_map: dict[str, str | None] = Field(default_factory=dict)
    """Each of its classes as one of the suite's, or null for void; classes of equal names need no entry."""


class Robustness(Section):
    """What trained networks are tested on beside the test split; changes no score of the leaderboard."""

    corruptions: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"] | None = USUAL
    """How test images are corrupted, by name; ``all`` of them, or null for none."""
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = (1, 3, 5)
    """How strongly, from 1 to 5."""
    images: Annotated[int, Field(ge=1)] | None = None
    """How many test images are taken, the same for every network; all by default."""
    datasets: tuple[OtherData, ...] = ()
    """Further test sets."""
    train_split: bool = False
    """Whether networks are tested on their training images, too: what they lose on test images is what they learned
    by heart."""

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, given: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for name in given if isinstance(given, tuple) else ():
            if name not in CORRUPTIONS:
                raise ValueError(f"{name!r} is none of {', '.join(CORRUPTIONS)}")
        return given

    @model_validator(mode="after")
    def _distinct(self) -> Robustness:
        labels = [other.label for other in self.datasets]
        if len(set(labels)) < len(labels):
            raise ValueError("two of the datasets have one label")
        for label in labels:
            if _TAKEN.fullmatch(label):
                raise ValueError(f"a data set cannot be called {label!r}, which is the name of a file or a corruption")
        return self

    @property
    def conditions(self) -> list[tuple[str, int]]:
        """Every corruption with every severity."""
        names = CORRUPTIONS if self.corruptions == "all" else self.corruptions or ()
        return [(name, severity) for name in dict.fromkeys(names) for severity in sorted(set(self.severities))]
