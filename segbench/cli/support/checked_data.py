"""Opens, reads and checks splits, given by a suite or the name of a data set."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from segbench.cli.terminal.progress import counting
from segbench.config.component import DatasetEntry
from segbench.config.load import check_part, load_suite, set_data_options
from segbench.config.suite import Suite
from segbench.data.base import SegmentationDataset
from segbench.data.masks.split_palettes import differing_splits
from segbench.data.open import create_dataset
from segbench.data.validation.check import DatasetReport, check_dataset
from segbench.data.validation.facts import facts_of
from segbench.data.validation.findings import Finding, Level, problems_first
from segbench.data.validation.judging import CheckedSplit, Judge, judge, wrong_files
from segbench.data.validation.overlap import shared_images
from segbench.errors import DataError, MissingDataError, SuiteError
from segbench.registry import DATASETS

_USUAL_SPLITS = ("train", "val", "test")
_DEFAULT_SPLITS = ("train", "test")
"""Default names of splits."""
_SUITE_SUFFIXES = (".yaml", ".yml")


class Asked(NamedTuple):
    """The data to check.

    Attributes:
        entry: The data set.
        suite: Its suite; None for a data set given by name.
    """

    entry: DatasetEntry
    suite: Suite | None

    @property
    def splits(self) -> list[str]:
        """The splits that the suite names, or the usual ones."""
        return list(self.entry.named_splits) if self.suite is not None else _known_splits(self.entry.name)

    def roles(self, splits: Sequence[str]) -> dict[str, str]:
        """Return those of the given splits that a run of the suite reads, by role."""
        roles = self._all_roles if self.suite is not None else {split: split for split in splits}
        return {role: split for role, split in roles.items() if split in splits}

    @property
    def _all_roles(self) -> dict[str, str]:
        assert self.suite is not None
        entry, train = self.entry, self.suite.train
        roles = {"train": entry.train_split} if train is not None else {}
        if entry.validation_split is not None and train is not None and (train.validates or self.suite.tuning):
            roles["validation"] = entry.validation_split
        return {**roles, "test": entry.test_split}

    def may_lack(self, split: str, fault: DataError) -> bool:
        """Return whether a split that cannot be opened is missing, and its suite trains nothing and tests another."""
        trains = self.suite is None or self.suite.train is not None
        return not trains and split != self.entry.test_split and isinstance(fault, MissingDataError)

    @property
    def is_one_folder(self) -> bool:
        """Whether the suite names one folder of images and no splits, so that only the files can be checked.

        A suite that names splits, in its folders, its lists or by their keys, has to tell them apart.
        """
        entry, options = self.entry, self.entry.options
        if entry.name != "folder" or entry.named_splits != _DEFAULT_SPLITS:
            return False
        places = (options[key] or "" for key in ("images", "masks", "split_file"))
        return not any("{split}" in place for place in places)

    @property
    def select(self) -> Literal["last", "best"]:
        """Whether anything is chosen by validation scores."""
        if self.suite is None or self.suite.train is None:
            return "last"
        chooses = self.suite.tuning is not None or self.suite.train.chooses_by_validation
        return "best" if chooses else "last"


@dataclass(frozen=True)
class Found:
    """Reports and findings of some splits."""

    reports: dict[str, DatasetReport]
    findings: list[Finding]

    def of(self, split: str) -> list[Finding]:
        """Return the findings in one split."""
        return [finding for finding in self.findings if finding.split == split]


def asked_for(name: str, root: str | None, options: Sequence[str] | None, allow: Sequence[str] | None) -> Asked:
    """Return the data that a command names.

    Args:
        name: A data set's name, or a suite file.
        root: The data set's folder.
        options: Further options of it, as ``key=value``.
        allow: Kinds of findings that are no problem.

    Raises:
        SuiteError: The name, an option or the suite is invalid.
    """
    document: dict[str, Any] = {"name": name}
    suite = load_suite(name) if name.endswith(_SUITE_SUFFIXES) else None
    if suite is not None:
        stored, unwritten = suite.dataset.model_dump(mode="json"), suite.dataset.unwritten
        document = {key: value for key, value in stored.items() if key not in unwritten}
    if root is not None:
        document["root"] = root
    set_data_options(document, options)
    if allow:
        document["allow"] = [*(document.get("allow") or ()), *allow]
    try:
        return Asked(check_part(DatasetEntry, document, key="dataset"), suite)
    except SuiteError as error:
        if suite is not None or not error.problem.startswith("is required"):
            raise
        option = error.key.rpartition(".")[2]
        value = "[...]" if option == "classes" else "..."
        problem = f"{error.problem}; give its suite file, or --set {option}={value}"
        raise SuiteError(problem, key=error.key) from None


def _known_splits(name: str) -> list[str]:
    """Return the usual splits among those that a data set's module names; by default train and test."""
    module = importlib.import_module(DATASETS.find(name)[0].reference.partition(":")[0])
    known = getattr(module, "SPLITS", ("train", "test"))
    return [split for split in _USUAL_SPLITS if split in known] or list(known)


def check_splits(asked: Asked, splits: Sequence[str], *, chosen: bool) -> Found:
    """Read splits, and check them as a run does; a split that cannot be opened is a problem, unless no run needs it.

    Args:
        asked: What is to be checked.
        splits: The splits to read.
        chosen: Whether the user chose them, so that others may be missing.

    Raises:
        DataError: No split can be opened.
    """
    opened: dict[str, SegmentationDataset] = {}
    faults: dict[str, DataError] = {}
    for split in splits:
        try:
            opened[split] = create_dataset(asked.entry, split)
        except DataError as fault:
            if chosen or not asked.may_lack(split, fault):
                faults[split] = fault
    splits = [split for split in splits if split in opened or split in faults]
    if len(faults) == len(splits):
        raise next(iter(faults.values()))
    reports = {
        split: _read(opened[split], split) if split in opened else _nothing(asked.entry, problem=str(faults[split]))
        for split in splits
    }
    roles = asked.roles(splits)
    read = {
        split: CheckedSplit(split, facts_of(report), *_images(opened.get(split))) for split, report in reports.items()
    }
    findings = wrong_files(read.values(), asked.entry)
    if not findings:
        judged = {role: read[split] for role, split in roles.items()}
        findings = judge(judged, asked.entry, select=asked.select, partial=chosen) if judged else []
        spare = [split for split in splits if split not in roles.values()]  # no run reads them, so that none is stopped
        for split in spare:
            findings += judge({"": replace(read[split], is_cut=True)}, asked.entry, partial=True)
            for other in roles.values() if asked.suite is not None and asked.suite.train is not None else ():
                findings += Judge(asked.entry).same_pictures(read[other], read[split], is_note=True)
    contradictions = differing_splits(opened, {split: split for split in opened})
    findings += [Finding("files", Level.PROBLEM, split, text) for split, text in contradictions]
    if asked.suite is not None:
        sources = {role: opened[split] for role, split in roles.items() if split in opened}
        shared = shared_images(sources, select=asked.select)
        level, lead = (Level.NOTE, "'segbench run' refuses: ") if asked.is_one_folder else (Level.PROBLEM, "")
        findings += [Finding("shared-image", level, roles[role], f"{lead}{text}") for role, text in shared]
    return Found(reports, problems_first(findings))


def _images(split: SegmentationDataset | None) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names and the ids of a split's images."""
    return ((), ()) if split is None else (split.names, split.image_ids)


def _nothing(entry: DatasetEntry, *, problem: str) -> DatasetReport:
    """Return the report of a split that cannot be opened."""
    return DatasetReport(
        name=entry.name,
        classes=(),
        images=0,
        sizes={},
        class_pixels=(),
        class_image_pixels=(),
        class_images=(),
        void_pixels=0,
        problems=(problem,),
    )


def _read(dataset: SegmentationDataset, split: str) -> DatasetReport:
    with counting(f"checking {split}", "images") as advance:
        return check_dataset(dataset, progress=advance)
