"""Preflight checks of a suite before training: its data, and everything that its runs will build."""

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
from segbench.engine.suite.preflight_recipe import normalized_otherwise
from segbench.errors import DataError, MissingDataError
from segbench.results.data_identity import DataIdentity


@dataclass(frozen=True)
class Preflight:
    """The results of the preflight checks.

    Attributes:
        data: Hashes that identify the data, by run id.
        splits: Findings of each split as JSON values, by the split's key (a hash of its content and label options).
        refusals: Why a run's network does not support the images, by run id.
        findings: Messages about the data; problems only for the data of finished runs.
        inputs: Inputs of the network of each run to execute.
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
        known: Findings of splits that passed earlier, by key.
        device: The device of the runs; None if they run on another machine.
        finished: Ids of finished runs; data that only they need may be missing.
        observer: Receives progress events.

    Raises:
        UsageError: Something is missing or invalid; says what and where.
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
            from segbench.engine.inference.own_checkpoints import check_own_checkpoints
            from segbench.engine.run.data import measured, run_data_of
            from segbench.engine.suite.preflight_models import try_models, try_recipe  # imports all parts

            run_data = run_data_of(opened, found.splits)
            told = [
                *try_recipe(run_data),
                *normalized_otherwise(opened.run.recipe),
                *check_own_checkpoints(todo, opened),
            ]
            for remark in told:
                observer(Notice(remark))
            for key, facts in measured(run_data).items():
                found.splits[key] = {**found.splits[key], **facts}
            found.refusals.update(try_models(todo, run_data, found.splits, known=tried))
            found.inputs.update(dict.fromkeys((run.id for run in todo), inputs_of(run_data, found.splits)))
    return found


def check_device(name: str, todo: Sequence[Run], observer: Observer) -> None:
    """Check that the device exists, and report what is slow on it.

    Raises:
        UsageError: The device does not exist here.
    """
    if not todo:
        return
    from segbench.engine.device import choose_device, computes_bf16  # imports torch

    device = choose_device(name)
    parts = [part for run in todo for part in (run.recipe.train, run.recipe.evaluate) if part is not None]
    if any(part.precision == "bf16" for part in parts) and not computes_bf16(device):
        slow = f"precision: bf16 is emulated on this {device.type}, which is slower than fp32"
        observer(Notice(f"{slow}; a processor with AMX or AVX-512 BF16, or a newer GPU, supports it"))


def read_splits(found: Apart, splits: dict[str, dict[str, Any]], observer: Observer) -> list[Finding]:
    """Check the splits that have not passed before, and return all messages about them.

    Args:
        found: The splits.
        splits: Findings of splits that passed earlier, by key; new ones are added.
        observer: Receives progress events.

    Raises:
        DataError: Two splits share images, their masks use different colour tables, or files are invalid.
    """
    check_disjoint(found.splits, select=found.select)
    if found.opened.folds is None:  # the splits of a pool were compared when it was opened
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
    """Read the images of a cross-validation once for all folds; return the findings of each part, by key.

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
    """Drop findings by earlier versions that lack keys which new records need."""
    folds = found.opened.folds
    whole = found.splits.values() if folds is None else [folds.pool]
    if any(key not in splits.get(split.cache_key(), {}) for split in whole for key in REMEMBERED):
        for split in found.splits.values():
            splits.pop(split.cache_key(), None)


def add_notes(found: Apart, splits: dict[str, dict[str, Any]], findings: Sequence[Finding]) -> None:
    """Add the messages about each split to its findings."""
    folds = found.opened.folds
    titled = [(found.titles[role], split) for role, split in found.splits.items()]
    for title, split in titled if folds is None else [(f"{folds.count} folds", folds.pool)]:
        key, notes = split.cache_key(), [finding.message for finding in findings if finding.split == title]
        if key in splits and notes != splits[key].get("notes", []):
            splits[key] = {**splits[key], "notes": notes}


def by_data(runs: Iterable[Run]) -> list[list[Run]]:
    """Group runs with the same recipe and, in a cross-validation, the same fold."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.data_key, []).append(run)
    return list(groups.values())


def checked(split: SegmentationDataset, title: str, observer: Observer) -> DatasetReport:
    """Read all images and labels of a split; problems are collected, not raised."""
    return check_dataset(split, progress=lambda done, total: observer(Progress("", "data", done, total, title)))


def refuse(findings: Iterable[Finding], opened: OpenedSplits) -> None:
    """Raise an error if there are problems among the findings.

    Raises:
        DataError: There are problems; lists the first of them.
    """
    problems = problems_among(findings)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        raise DataError(f"{opened.info.name}: {count} with the data:\n{listed(problems)}")


def _refuse_wrong_files(reports: Mapping[str, DatasetReport], opened: OpenedSplits) -> None:
    splits = [CheckedSplit(title, facts_of(report)) for title, report in reports.items()]
    refuse(wrong_files(splits, opened.run.recipe.dataset), opened)
