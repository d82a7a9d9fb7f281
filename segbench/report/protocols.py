"""What may be compared with what: protocols, where they differ, and whether rows saw the same data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from segbench.report.text import is_absent, plural, printable, short_id
from segbench.results.record import Status

_DIGESTS = ("train_digest", "test_digest")
_SPEED_KEYS = ("device", "accelerator", "processor", "threads")


class Difference(NamedTuple):
    """One key of the recipe whose value is not the same in all protocols.

    Attributes:
        key: The dotted key, such as ``train.epochs``.
        values: By protocol id; a protocol whose recipe lacks the key is left out.
    """

    key: str
    values: dict[str, Any]


def protocol_groups(runs: pd.DataFrame) -> list[tuple[str | None, pd.DataFrame]]:
    """Split runs by protocol: the one with most runs first, damaged runs of no known protocol (None) last."""
    known = runs[runs["protocol"].notna()]
    groups = [(str(protocol), group) for protocol, group in known.groupby("protocol", sort=True)]
    groups.sort(key=lambda item: (-len(item[1]), item[0]))
    unknown = runs[runs["protocol"].isna()]
    return [*groups, *([(None, unknown)] if len(unknown) else [])]


def protocol_differences(runs: pd.DataFrame) -> list[Difference]:
    """Return the recipe's keys in which the protocols of some runs differ, in order of the keys."""
    recipes = {
        protocol: dict(_flatten(group["recipe"].iloc[0])) for protocol, group in protocol_groups(runs) if protocol
    }
    keys = dict.fromkeys(key for recipe in recipes.values() for key in recipe)
    differences = []
    for key in keys:
        values = {protocol: recipe[key] for protocol, recipe in recipes.items() if key in recipe}
        if len(values) < len(recipes) or len({_canonical(value) for value in values.values()}) > 1:
            differences.append(Difference(key, values))
    return differences


def same_data(runs: pd.DataFrame) -> pd.Series[bool]:
    """Tell for each completed run of one protocol whether it saw what most others of its seed saw.

    Two runs saw the same data when the digests of all that was fed to them, in training and in the final
    evaluation, are equal. Where no digest has a majority, none of the runs is counted as equal.
    """
    agrees = pd.Series(data=True, index=runs.index, dtype=bool)
    for _, group in runs.groupby("seed", dropna=False):
        seen = [tuple(map(_canonical, row)) for row in group[[*_DIGESTS]].to_numpy()]
        agrees.loc[group.index] = pd.Series(_as_most(seen), index=group.index, dtype=bool)
    tested = _as_most([_canonical(value) for value in runs["test_digest"]])
    return agrees & pd.Series(tested, index=runs.index, dtype=bool)


def observations(runs: pd.DataFrame) -> list[str]:
    """Return, in sentences, what a reader must know before comparing rows; empty when nothing disturbs."""
    notes = []
    for protocol, group in protocol_groups(runs):
        if protocol is None:
            continue
        completed = group[group["status"] == Status.COMPLETED]
        found = [
            *_data_notes(completed),
            *_class_notes(completed),
            *_copy_notes(completed),
            *_seed_notes(completed),
            *_speed_notes(completed),
        ]
        notes += [f"Protocol {short_id(protocol)}: {note}" for note in found]
    return notes


def model_key(run: Any) -> tuple[str, str, str, str]:
    """Return what makes two rows of ``load_results`` runs of one network: label, factory, options and weights."""
    weights = "" if is_absent(run.weights_digest) else str(run.weights_digest)
    options = "" if is_absent(run.options) else _canonical(run.options)
    return str(run.model), "" if is_absent(run.name) else str(run.name), options, weights


def distinguish(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs, numbered from 0, in which different networks of one label carry their differing options in it."""
    runs = runs.reset_index(drop=True)
    kinds: dict[str, dict[tuple[str, ...], Any]] = {}
    for run in runs[runs["options"].notna()].itertuples():
        kinds.setdefault(str(run.model), {})[model_key(run)] = run.options
    labels = {key: label for rivals in kinds.values() for key, label in _distinct_labels(rivals).items()}
    return runs.assign(model=[labels.get(model_key(run), str(run.model)) for run in runs.itertuples()])


def once_each(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of several copies of a run, so that a copied folder is no second seed."""
    keys = [(run.protocol, *model_key(run), run.seed, run.status) for run in runs.itertuples()]
    return runs[~pd.Series(keys, index=runs.index, dtype=object).duplicated()]


def _distinct_labels(rivals: Mapping[tuple[str, ...], Mapping[str, Any]]) -> dict[tuple[str, ...], str]:
    """Return a label for each network of one label; the label itself when there is only one."""
    if len(rivals) == 1:
        return {key: key[0] for key in rivals}
    names = sorted({name for options in rivals.values() for name in options})
    differing = [name for name in names if len({_canonical(options.get(name)) for options in rivals.values()}) > 1]
    labels: dict[tuple[str, ...], str] = {}
    for key, options in rivals.items():
        values = ", ".join(f"{name}={options[name]}" for name in differing if name in options)
        label = f"{key[0]} ({values})" if values else key[0]
        same = sum(other == label or other.startswith(f"{label} #") for other in labels.values())
        labels[key] = f"{label} #{same + 1}" if same else label
    return labels


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


def _canonical(value: Any) -> str:
    return "" if is_absent(value) else json.dumps(value, sort_keys=True, default=str)


def _as_most(values: list[Any]) -> list[bool]:
    """Tell of each value whether it is the one that most hold; none is when there is a tie."""
    ranked = Counter(values).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return [False] * len(values)
    return [value == ranked[0][0] for value in values]


def _data_notes(runs: pd.DataFrame) -> Iterator[str]:
    tested = _groups_by(runs, "test_digest")
    if len(tested) > 1:
        yield f"not all rows were tested on the same data, so that their scores do not compare: {_named(tested)}."
    for seed, group in runs.groupby("seed", dropna=False):
        trained = _groups_by(group, "train_digest")
        if len(trained) > 1:
            yield f"with seed {seed}, not all rows were trained on the same data: {_named(trained)}."


def _class_notes(runs: pd.DataFrame) -> Iterator[str]:
    for model, group in runs.groupby("model", sort=False):
        names = dict.fromkeys(name for names in group["predicted_but_unlabelled"] for name in names)
        if names:
            listed = ", ".join(map(printable, names))
            yield f"{printable(model)} predicts classes that no test label holds; their IoU counts as 0: {listed}."
    numbers = sorted(set(runs["averaged_classes"].dropna()))
    if len(numbers) > 1:
        yield f"the means are not taken over equally many classes in all rows ({numbers[0]} to {numbers[-1]})."


def _copy_notes(runs: pd.DataFrame) -> Iterator[str]:
    copies = Counter((*model_key(run), run.seed) for run in runs.itertuples())
    spare = sum(number - 1 for number in copies.values())
    if spare:
        yield f"{plural(spare, 'run')} of the same network and seed as another counted once only."


def _seed_notes(runs: pd.DataFrame) -> Iterator[str]:
    seeds: dict[tuple[str, ...], set[Any]] = {}
    for run in runs.itertuples():
        seeds.setdefault(model_key(run), set()).add(run.seed)
    numbers = sorted({len(group) for group in seeds.values()})
    if len(numbers) > 1:
        yield f"not all rows have equally many seeds ({numbers[0]} to {numbers[-1]})."


def _speed_notes(runs: pd.DataFrame) -> Iterator[str]:
    places = {_canonical([facts.get(key) for key in _SPEED_KEYS]) for facts in runs["environment"] if facts}
    if len(places) > 1:
        yield f"runs were done in {len(places)} different environments, so that their speeds do not compare."


def _groups_by(runs: pd.DataFrame, column: str) -> list[list[str]]:
    """Return the models that share a value of a column, the largest group first."""
    groups: dict[str, dict[str, None]] = {}
    for value, model in zip(runs[column], runs["model"], strict=True):
        groups.setdefault(_canonical(value), {})[printable(model)] = None
    return sorted((list(models) for models in groups.values()), key=len, reverse=True)


def _named(groups: list[list[str]]) -> str:
    return " | ".join(", ".join(models[:5]) + (", …" if len(models) > 5 else "") for models in groups)
