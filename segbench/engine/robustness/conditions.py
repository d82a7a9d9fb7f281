"""What networks are tested on again: the images of each condition."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.config.plan import Run
from segbench.config.sections.robustness import Robustness
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.corruptions import COLOR_ONLY
from segbench.data.corruptions.corrupt import CorruptedDataset
from segbench.data.open import open_dataset
from segbench.data.other_classes import OtherClasses
from segbench.data.subset import take
from segbench.engine.run.splits import OpenedSplits, open_splits
from segbench.errors import DataError, SuiteError
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
        DataError: A split is missing or wrong.
        SuiteError: Another data set is missing or wrong, or has classes that stand for none.
    """
    if condition.kind == "corruption":
        assert condition.severity is not None
        return CorruptedDataset(take(splits.test, block.images), condition.name, condition.severity)
    if condition.kind == "dataset":
        return take(_other_data(condition.name, splits, block), block.images)
    if splits.train is None:
        raise DataError(f"{splits.run.label}: was not trained here, so that there are no training images to test it on")
    return take(splits.train, block.images)


def check_conditions(runs: Sequence[Run], block: Robustness) -> None:
    """Refuse conditions that the networks of a suite cannot be tested under, before they are trained.

    Raises:
        DataError: A corruption is not for images of this kind.
        SuiteError: A data set is missing or wrong, or has classes that stand for none.
    """
    first = {run.recipe.dataset.model_dump_json(): run for run in reversed(runs) if run.role != "trial"}
    for run in first.values():
        splits = splits_of(run)
        for condition in conditions_of(block):
            if condition.kind == "dataset" or condition.name in COLOR_ONLY:
                images_under(condition, splits, block).read(0)


def _other_data(label: str, splits: OpenedSplits, block: Robustness) -> SegmentationDataset:
    place = next(place for place, one in enumerate(block.datasets) if one.label == label)
    other = block.datasets[place]
    try:
        split = open_dataset(other.dataset, other.dataset.test_split, loader=UNCACHED)
        return OtherClasses(split, splits.info, other.classes_map)
    except DataError as error:
        raise SuiteError(str(error), key=f"robustness.datasets[{place}]") from None
