"""What a run is made from: its splits opened, transformed and batched as the recipe says."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.config.plan import Run
from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.data.loader import EvaluationLoader, TrainingLoader
from segbench.data.open import open_dataset
from segbench.data.pipeline import Pipeline


@dataclass(frozen=True)
class Materials:
    """The opened splits of a run.

    Attributes:
        test: The split that is reported.
        train: The split to train on; None when nothing is trained.
        validation: The split for validation scores, when there is one.
    """

    run: Run
    test: SegmentationDataset
    train: SegmentationDataset | None
    validation: SegmentationDataset | None

    @property
    def info(self) -> DatasetInfo:
        """Classes, colours and channels."""
        return self.test.info

    @property
    def splits(self) -> dict[str, SegmentationDataset]:
        """The splits by name."""
        entry = self.run.recipe.dataset
        found = {entry.test_split: self.test}
        if self.train is not None:
            found[entry.train_split] = self.train
        if self.validation is not None and entry.validation_split is not None:
            found[entry.validation_split] = self.validation
        return found

    @property
    def fingerprints(self) -> dict[str, str]:
        """Hash of each split's content, by name."""
        return {name: split.fingerprint() for name, split in self.splits.items()}

    def input_size(self) -> tuple[int, int]:
        """Return height and width of the first test image as a network sees it."""
        image, _ = Pipeline(self.run.recipe.transforms.test, training=False)(self.test.read(0))
        height, width = image.shape[-2:]
        return int(height), int(width)

    def training_loader(self, *, pin_memory: bool = False) -> TrainingLoader:
        """Return the loader of the training split; needs a training recipe."""
        recipe = self.run.recipe
        assert recipe.train is not None
        assert self.train is not None
        return TrainingLoader(
            self.train,
            Pipeline(recipe.transforms.train, training=True),
            batch_size=recipe.train.batch_size,
            seed=self.run.seed,
            drop_last=recipe.train.drop_last,
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
        )

    def evaluation_loader(self, split: SegmentationDataset, *, pin_memory: bool = False) -> EvaluationLoader:
        """Return the loader of a split that is to be evaluated."""
        return EvaluationLoader(
            split,
            Pipeline(self.run.recipe.transforms.test, training=False),
            batch_size=self.run.recipe.evaluate.batch_size,
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
        )


def open_materials(run: Run) -> Materials:
    """Open the splits that a run needs.

    Raises:
        DataError: A split is missing, empty or inconsistent.
    """
    entry, train = run.recipe.dataset, run.recipe.train
    validate = train is not None and (train.validate_every is not None or train.select == "best")
    return Materials(
        run=run,
        test=open_dataset(entry, entry.test_split, loader=run.loader),
        train=open_dataset(entry, entry.train_split, loader=run.loader, training=True) if train else None,
        validation=open_dataset(entry, entry.validation_split, loader=run.loader)
        if validate and entry.validation_split
        else None,
    )
