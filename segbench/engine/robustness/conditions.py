"""What networks are tested on again: the images of each condition."""

from __future__ import annotations

from segbench.config.plan import Run
from segbench.config.sections.robustness import Robustness
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.corruptions.corrupt import CorruptedDataset
from segbench.data.open import open_dataset
from segbench.data.other_classes import OtherClasses
from segbench.data.subset import take
from segbench.engine.run.splits import OpenedSplits, open_splits
from segbench.errors import DataError
from segbench.results.retests.record import Condition

UNCACHED = Loader(cache="none")
"""Images of a condition are kept as a whole, once they are corrupted; the clean ones need not be."""


def conditions_of(block: Robustness) -> list[Condition]:
    """Return what a block names, in its order: corruptions, other data sets, the training split."""
    corruptions = [Condition(kind="corruption", name=name, severity=severity) for name, severity in block.conditions]
    others = [Condition(kind="dataset", name=other.label) for other in block.datasets]
    return corruptions + others + [Condition(kind="train_split", name="train")] * block.train_split


def splits_of(run: Run) -> OpenedSplits:
    """Open the splits of a run, without keeping their decoded images.

    Raises:
        DataError: A split is missing or wrong.
    """
    return open_splits(run.model_copy(update={"loader": UNCACHED}))


def images_under(condition: Condition, splits: OpenedSplits, block: Robustness) -> SegmentationDataset:
    """Return the images that the networks of these splits are tested on, in the classes that they know.

    Raises:
        DataError: A split is missing or wrong, or has classes that stand for none.
    """
    if condition.kind == "corruption":
        assert condition.severity is not None
        return CorruptedDataset(_few(splits.test, block), condition.name, condition.severity)
    if condition.kind == "dataset":
        other = next(one for one in block.datasets if one.label == condition.name)
        split = open_dataset(other.dataset, other.dataset.test_split, loader=UNCACHED)
        return _few(OtherClasses(split, splits.info, other.classes_map), block)
    if splits.train is None:
        raise DataError(f"{splits.run.label}: was not trained here, so that there are no training images to test it on")
    return _few(splits.train, block)


def _few(split: SegmentationDataset, block: Robustness) -> SegmentationDataset:
    return split if block.images is None else take(split, block.images)
