"""Compares segbench's own checkpoints that a suite tests without training with the data and transforms there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from segbench.config.component import TransformEntry
from segbench.config.plan import Run
from segbench.engine.checkpoint import CheckpointFacts, read_facts
from segbench.engine.inference.unseen import warning_of_trained_images
from segbench.engine.run.splits import OpenedSplits
from segbench.errors import SuiteError, WeightsError


def check_own_checkpoints(runs: Sequence[Run], opened: OpenedSplits) -> list[str]:
    """Compare what checkpoints say of their training with a test.

    Args:
        runs: Runs with one recipe and data.
        opened: Their splits.

    Returns:
        Messages for the user: other test transforms than in training, and images that were trained on.

    Raises:
        SuiteError: A checkpoint's classes are others than the data set's, or in another order, and no map is given.
    """
    found: dict[str, None] = {}
    for run in runs:
        if run.recipe.train is not None or run.model.weights is None:
            continue
        facts = _facts_of(Path(run.model.weights))
        if facts is not None:
            _refuse_other_classes(run, facts, opened.info.classes)
            found.update(dict.fromkeys(f"{run.model.label}: {text}" for text in _remarks(run, facts, opened)))
    return list(found)


def _facts_of(file: Path) -> CheckpointFacts | None:
    """Return what a file says of its training; None if it is not segbench's own, or of another version."""
    try:
        return read_facts(file)
    except WeightsError:
        return None


def _refuse_other_classes(run: Run, facts: CheckpointFacts, classes: tuple[str, ...]) -> None:
    if run.model.classes_map is None and facts.info.classes != classes:
        raise SuiteError(
            f"its checkpoint was trained on the classes {', '.join(facts.info.classes)}; the data set has "
            f"{', '.join(classes)}: give classes_map, which says for each class of the data set the checkpoint's "
            "outputs that represent it",
            key=f"models ({run.model.label}).weights",
        )


def _remarks(run: Run, facts: CheckpointFacts, opened: OpenedSplits) -> Iterator[str]:
    before, now = facts.run.recipe.transforms.test, run.recipe.transforms.test
    if before != now:
        yield f"test images are prepared otherwise than in the run that trained it: {_difference(before, now)}"
    if run.fold is None and facts.run.fold is None:
        warning = warning_of_trained_images(facts, run.recipe.dataset, opened.test)
        if warning is not None:
            yield warning.removeprefix("warning: ").removeprefix("note: ")


def _difference(before: Sequence[TransformEntry], now: Sequence[TransformEntry]) -> str:
    """Say which steps differ; of steps of the same names, which of their options."""
    names = [[step.name for step in steps] for steps in (before, now)]
    if names[0] != names[1]:
        there, here = (", ".join(each) or "no transforms" for each in names)
        return f"{there} there, {here} here"
    return "; ".join(
        f"{step.name}: {key} is {step.options.get(key)} there, {own.options.get(key)} here"
        for step, own in zip(before, now, strict=True)
        for key in {**step.options, **own.options}
        if step.options.get(key) != own.options.get(key)
    )
