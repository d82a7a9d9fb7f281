"""Groups runs that may be compared: one protocol, the same test data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

import pandas as pd

from segbench.report.runs.split_marks import split_marks
from segbench.report.runs.trials import search_in_words
from segbench.report.text import canonical, is_absent
from segbench.results.record import Status


class Difference(NamedTuple):
    """One key of the recipe whose value is not the same in all protocols.

    Attributes:
        key: The dotted key, such as ``train.epochs``.
        values: By protocol id; a protocol whose recipe lacks the key is left out.
    """

    key: str
    values: dict[str, Any]


class ProtocolRuns(NamedTuple):
    """The runs of one protocol; ``protocol`` is None for damaged runs without a known protocol."""

    protocol: str | None
    runs: pd.DataFrame


class Comparison(NamedTuple):
    """The runs that are ranked in one table.

    Attributes:
        protocol: The protocol's id; None for damaged runs without a known protocol.
        test_data: The digest of the inputs of the final evaluation; None if no run has one.
        runs: The runs of this protocol and test data, completed or not.
    """

    protocol: str | None
    test_data: str | None
    runs: pd.DataFrame


def protocol_groups(runs: pd.DataFrame) -> list[ProtocolRuns]:
    """Split runs by protocol: largest first, tuned protocols after untuned ones, damaged runs last."""
    known = runs[runs["protocol"].notna()]
    groups = [ProtocolRuns(str(protocol), group) for protocol, group in known.groupby("protocol", sort=True)]
    groups.sort(key=lambda group: (-len(group.runs), _is_tuned(group.runs), group.protocol))
    unknown = runs[runs["protocol"].isna()]
    return [*groups, *([ProtocolRuns(None, unknown)] if len(unknown) else [])]


def _is_tuned(runs: pd.DataFrame) -> bool:
    """Return whether a protocol is a tuned one."""
    return bool(search_in_words(runs["recipe"].iloc[0]))


def comparisons(runs: pd.DataFrame) -> list[Comparison]:
    """Split runs by protocol and, in each, by the data that they were tested on; of these, that of most runs first.

    Scores on different images do not compare, so runs whose digests of the test data differ are never ranked together,
    whatever the seed: test images are transformed without randomness. A run that was not evaluated joins the table of
    its test split or, if there is none, the largest table.
    """
    found = []
    for protocol, group in protocol_groups(runs):
        tested = _test_data(group)
        for data in _by_frequency(tested):
            positions = [position for position, other in enumerate(tested) if other == data]
            found.append(Comparison(protocol, data or None, group.iloc[positions]))
    return found


def protocol_differences(runs: pd.DataFrame) -> list[Difference]:
    """Return the recipe's keys in which the protocols of some runs differ, in order of the keys."""
    recipes = {
        protocol: dict(_flatten(group["recipe"].iloc[0])) for protocol, group in protocol_groups(runs) if protocol
    }
    keys = dict.fromkeys(key for recipe in recipes.values() for key in recipe)
    differences = []
    for key in keys:
        values = {protocol: recipe[key] for protocol, recipe in recipes.items() if key in recipe}
        if len(values) < len(recipes) or len({canonical(value) for value in values.values()}) > 1:
            differences.append(Difference(key, values))
    return differences


def same_data(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return for each completed run whether its training data equal those of most runs.

    Its training images have to be those of most runs of the table, and what was fed to it that of most runs of its
    seed: equal digests, up to the end of the shorter one where trainings may stop early. Where no digest has a
    majority, none of the runs is counted as equal.
    """
    agrees = pd.Series(as_most(split_marks(runs, "train")), index=runs.index, dtype=bool)
    for _, group in runs.groupby("seed", dropna=False):
        fed = [canonical(value) for value in fed_alike(group)]
        agrees.loc[group.index] &= pd.Series(as_most(fed), index=group.index, dtype=bool)
    return agrees


def fed_alike(runs: pd.DataFrame) -> list[Any]:
    """Return a digest of each run's training inputs, up to the length that all runs share.

    That is the digest of the whole training or, where trainings may stop early, that of the epochs all of them had,
    fold by fold.
    """
    by_epoch = list(runs["epoch_digests"])
    if any(map(is_absent, by_epoch)) or len({len(folds) for folds in by_epoch}) != 1:
        return list(runs["train_digest"])
    common = [min(map(len, fold)) for fold in zip(*by_epoch, strict=True)]
    return [[fold[epochs - 1] for fold, epochs in zip(folds, common, strict=True)] for folds in by_epoch]


def _test_data(runs: pd.DataFrame) -> list[str]:
    """Return the digest of each run's test data; an empty string if it is unknown."""
    digests = ["" if is_absent(value) else str(value) for value in runs["test_digest"]]
    splits = split_marks(runs)
    evaluated = [status == Status.COMPLETED for status in runs["status"]]
    most = _by_frequency(list(compress(digests, evaluated)) or digests)[0]
    by_split = {split: digest for split, digest in zip(splits, digests, strict=True) if split and digest}
    return [
        digest if digest or completed else by_split.get(split, most)
        for digest, split, completed in zip(digests, splits, evaluated, strict=True)
    ]


def _by_frequency(values: Sequence[str]) -> list[str]:
    """Return the distinct values, the most common first."""
    counts = Counter(values)
    return sorted(counts, key=lambda value: (-counts[value], value))


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and plain values of nested mappings and lists; empty ones count as values."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flatten(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _flatten(item, f"{key}[{index}]")
    else:
        yield key, value


def as_most(values: list[Any]) -> list[bool]:
    """Return whether each value is the most common one; all False on a tie."""
    ranked = Counter(values).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return [False] * len(values)
    return [value == ranked[0][0] for value in values]
