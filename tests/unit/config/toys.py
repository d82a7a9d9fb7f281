"""Factories that stand in for real ones: nothing here is ever called or imported, only its source is read."""

from typing import Any, Literal


def tiny(
    classes: int,
    channels: int = 3,
    *,
    width: float = 1,
    norm: Literal["none", "batch"] | None = None,
    layers: tuple[int, ...] = (1, 2),
    pretrained: bool | str = False,
) -> Any:
    """A network.

    Args:
        classes: Number of classes.
        channels: Image channels.
        width: Factor of every channel count,
            1.0 being the paper.
        norm: Normalisation.
        layers: Depth of each stage.
        pretrained: Weights of the encoder.
    """
    raise NotImplementedError


def plain(classes: int, channels: int = 3, *, dropout: float = 0.5) -> Any:
    """Another network."""
    raise NotImplementedError


def anything(classes: int, channels: int = 3, *, target: str, width: float = 1.0, **options: Any) -> Any:
    """A family of networks."""
    raise NotImplementedError


def pictures(split: str, *, root: str | None = None, download: bool = False, size: tuple[int, int] = (32, 48)) -> Any:
    """A data set."""
    raise NotImplementedError


def normalize(*, mean: list[float] | None = None) -> Any:
    """A transform."""
    raise NotImplementedError


def crop(*, size: tuple[int, int], scale: tuple[float, float] | None = None) -> Any:
    """A transform with a required option."""
    raise NotImplementedError


def cross_entropy(*, class_weights: Literal["none", "median"] | list[float] = "none") -> Any:
    """A loss."""
    raise NotImplementedError


def dice() -> Any:
    """Another loss."""
    raise NotImplementedError


def sgd(*, lr: float = 0.01, momentum: float = 0.9) -> Any:
    """An optimizer."""
    raise NotImplementedError


def adamw(*, lr: float = 0.001) -> Any:
    """Another optimizer."""
    raise NotImplementedError


def constant() -> Any:
    """A schedule."""
    raise NotImplementedError


def poly(*, power: float = 0.9) -> Any:
    """Another schedule."""
    raise NotImplementedError
