"""Options that the built-in networks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

from segbench.option_kinds import PositiveFloat


class LayerStyle(TypedDict):
    """Normalisation and activation after a convolution, both by name."""

    norm: str
    activation: str


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What every built-in network has.

    Attributes:
        paper_norm: The paper's normalisation, which ``norm: null`` stands for.
    """

    width: PositiveFloat = 1.0
    """Scales every channel count; 1.0 is the paper."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every convolution; the paper has batch."""
    activation: str = "relu"
    """Activation by timm's name."""

    paper_norm: ClassVar[str] = "batch"

    @property
    def style(self) -> LayerStyle:
        """What follows the convolutions."""
        return {"norm": self.norm or self.paper_norm, "activation": self.activation}
