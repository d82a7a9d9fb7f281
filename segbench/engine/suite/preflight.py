"""Looks at what a suite needs before anything is trained: its data and, where runs are to be done, what they build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segbench.config.plan import Run
from segbench.data.base import SegmentationDataset
from segbench.data.folds.folds import Folds
from segbench.data.masks.split_palettes import refuse_differing_splits
from segbench.data.validation.check import DatasetReport, check_dataset
from segbench.data.validation.facts import REMEMBERED, facts_of, to_json
from segbench.data.validation.findings import Finding, listed, problems_among
from segbench.data.validation.folds import check_folds
from segbench.data.validation.judging import CheckedSplit, wrong_files
from segbench.data.validation.overlap import check_disjoint
from segbench.engine.events import Notice, Observer, Progress
from segbench.engine.run.data_findings import Apart, splits_apart
from segbench.engine.run.network_inputs import NetworkInputs, inputs_of
from segbench.engine.run.splits import OpenedSplits, open_splits, splits_of_fold
from segbench.errors import DataError, MissingDataError
from segbench.results.data_identity import DataIdentity


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        data: By id of each run, what its data is recognised by.
        splits: For each split's key (its content and how labels are read), what was counted in it, as JSON values.
        refusals: For each run whose network cannot take the images, why.
        findings: What is to be said about the data; problems only of what finished runs were done on.
        inputs: For each run that is to be done, what its network sees.
    """

    data: dict[str, DataIdentity]
    splits: dict[str, dict[str, Any]]
    refusals: dict[str, str]
    findings: list[Finding]
    inputs: dict[str, NetworkInputs] = field(default_factory=dict)


def preflight(
    runs: Sequence[Run],
    *,
    known: Mapping[str, dict[str, Any]],
    device: str | None,
    finished: frozenset[str],
    observer: Observer,
) -> Preflight:
    """Check what the runs need.

    Args:
        runs: The runs of a suite.
        known: What was counted before in splits that were found good, by key.
        device: Where the runs are to be done; None where that is another machine.
        finished: Ids of runs that are done; data that only they need may be gone.
        observer: Told of the progress.

    Raises:
        UsageError: Something is missing or wrong; the message says what and where.
    """
    if device is not None:
        check_device(device, [run for run in runs if run.id not in finished], observer)
    found = Preflight({}, dict(known), {}, [])
    tried: dict[str, str | None] = {}
    for group in by_data(runs):
        try:
            opened = open_splits(group[0])
            apart = splits_apart(opened)
        except MissingDataError:
            if all(run.id in finished for run in group):
                continue
            raise
        todo = [run for run in group if run.id not in finished]
        if todo:
            forget_incomplete(apart, found.splits)
        findings = read_splits(apart, found.splits, observer)
        if todo:
            refuse(findings, opened)
        add_notes(apart, found.splits, findings)
        found.findings.extend(finding for finding in findings if finding not in found.findings)
        found.data.update(dict.fromkeys((run.id for run in group), opened.identity(found.splits)))
        if todo:
            from segbench.engine.run.data import materials_of, measured
            from segbench.engine.suite.preflight_models import try_models, try_recipe  # imports all there is to build

            materials = materials_of(opened, found.splits)
            for remark in try_recipe(materials):
                observer(Notice(remark))
            for key, facts in measured(materials).items():
                found.splits[key] = {**found.splits[key], **facts}
            found.refusals.update(try_models(todo, materials, found.splits, known=tried))
            found.inputs.update(dict.fromkeys((run.id for run in todo), inputs_of(materials, found.splits)))
    return found


def check_device(name: str, todo: Sequence[Run], observer: Observer) -> None:
    """See that there is a device for what is to be done, and tell what is slow on it.

    Raises:
        UsageError: There is no such device here.
    """
    if not todo:
        return
    from segbench.engine.device import choose_device, computes_bf16  # imports torch

    device = choose_device(name)
    parts = [part for run in todo for part in (run.recipe.train, run.recipe.evaluate) if part is not None]
    if any(part.precision == "bf16" for part in parts) and not computes_bf16(device):
        slow = f"precision: bf16 is imitated on this {device.type}, which takes longer than fp32"
        observer(Notice(f"{slow}; a processor with AMX or AVX-512 BF16, or a newer GPU, computes in it"))


def read_splits(found: Apart, splits: dict[str, dict[str, Any]], observer: Observer) -> list[Finding]:
    """Read through the splits that are not known to be good, and return all that is to be said about them.

    Args:
        found: The splits.
        splits: What was counted before in splits whose files are good, by key; more are added.
        observer: Told of the progress.

    Raises:
        DataError: Two splits share images, or number the colours of their masks differently, or files are wrong.
    """
    check_disjoint(found.splits, select=found.select)
    if found.opened.folds is None:  # those of a pool were compared when it was opened
        refuse_differing_splits(found.splits, found.titles)
    missing = {role: split for role, split in found.splits.items() if split.cache_key() not in splits}
    if missing and found.opened.folds is not None:
        splits.update(read_folds(found.opened, found.opened.folds, observer))
    elif missing:
        reports = {role: checked(split, found.titles[role], observer) for role, split in missing.items()}
        _refuse_wrong_files({found.titles[role]: report for role, report in reports.items()}, found.opened)
        splits.update({missing[role].cache_key(): to_json(report, role) for role, report in reports.items()})
    return found.findings(splits)


def read_folds(opened: OpenedSplits, folds: Folds, observer: Observer) -> dict[str, dict[str, Any]]:
    """Read the images of a cross-validation once for all its folds; return what was counted in each part, by key.

    Raises:
        DataError: An image or label is unreadable or inconsistent.
    """
    by_key: dict[str, tuple[str, SegmentationDataset]] = {}
    for fold in range(1, folds.count + 1):
        for role, split in splits_of_fold(opened.run.model_copy(update={"fold": fold}), folds).splits.items():
            by_key.setdefault(split.cache_key(), (f"{role} of fold {fold}", split))
        by_key.setdefault(folds.test(fold).cache_key(), (f"fold {fold}", folds.test(fold)))
    reports = check_folds(
        folds,
        [split for _, split in by_key.values()],
        progress=lambda done, total: observer(Progress("", "data", done, total, "folds")),
    )
    pool, title = folds.pool.cache_key(), f"{folds.count} folds"
    _refuse_wrong_files({title: reports[pool]}, opened)
    parts = {key: to_json(reports[key], name, pictures=False) for key, (name, _) in by_key.items()}
    return {**parts, pool: to_json(reports[pool], title)}


def forget_incomplete(found: Apart, splits: dict[str, dict[str, Any]]) -> None:
    """Drop what an earlier version found of some splits, of which it remembered less: new records are to have it."""
    folds = found.opened.folds
    whole = found.splits.values() if folds is None else [folds.pool]
    if any(key not in splits.get(split.cache_key(), {}) for split in whole for key in REMEMBERED):
        for split in found.splits.values():
            splits.pop(split.cache_key(), None)


def add_notes(found: Apart, splits: dict[str, dict[str, Any]], findings: Sequence[Finding]) -> None:
    """Write beside what was counted in each split what was found in it."""
    folds = found.opened.folds
    titled = [(found.titles[role], split) for role, split in found.splits.items()]
    for title, split in titled if folds is None else [(f"{folds.count} folds", folds.pool)]:
        key, notes = split.cache_key(), [finding.message for finding in findings if finding.split == title]
        if key in splits and notes != splits[key].get("notes", []):
            splits[key] = {**splits[key], "notes": notes}


def by_data(runs: Iterable[Run]) -> list[list[Run]]:
    """Group runs whose recipe is the same and, in a cross-validation, the fold."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.data_key, []).append(run)
    return list(groups.values())


def checked(split: SegmentationDataset, title: str, observer: Observer) -> DatasetReport:
    """Read every image and label of a split; problems are collected, not raised."""
    return check_dataset(split, progress=lambda done, total: observer(Progress("", "data", done, total, title)))


def refuse(findings: Iterable[Finding], opened: OpenedSplits) -> None:
    """Raise the problems among some findings.

    Raises:
        DataError: There are some; the first of them are listed.
    """
    problems = problems_among(findings)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        raise DataError(f"{opened.info.name}: {count} with the data:\n{listed(problems)}")


def _refuse_wrong_files(reports: Mapping[str, DatasetReport], opened: OpenedSplits) -> None:
    splits = [CheckedSplit(title, facts_of(report)) for title, report in reports.items()]
    refuse(wrong_files(splits, opened.run.recipe.dataset), opened)
