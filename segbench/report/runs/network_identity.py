"""Identifies runs of the same network and gives each network a unique label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from segbench.report.runs.split_marks import split_marks
from segbench.report.text import canonical, is_absent
from segbench.results.record import ModelFacts, RunRecord


class NetworkKey(NamedTuple):
    """The identity of a network: equal for two runs of one network.

    Attributes:
        label: The row's label.
        factory: The registered name.
        options: The options, as canonical JSON.
        weights: The digest of its initial weights; empty without a checkpoint.
        source: The digest of its source file, if that is outside a package; else empty.
    """

    label: str
    factory: str
    options: str
    weights: str
    source: str


def network_key(run: Any) -> NetworkKey:
    """Return the network identity of a row of ``load_results``."""
    known = (run.name, run.weights_digest, run.source_digest)
    factory, weights, source = ("" if is_absent(value) else str(value) for value in known)
    return NetworkKey(str(run.model), factory, canonical(run.options), weights, source)


def options_of(model: ModelFacts) -> dict[str, Any]:
    """Return a network's options with its class map, which may differ between rows of one checkpoint."""
    return model.options if model.classes_map is None else {**model.options, "classes_map": model.classes_map}


def labels_by_run(records: Sequence[RunRecord]) -> dict[str, str]:
    """Return by run id the label of its network, as ``disambiguate_labels`` makes them unique.

    Args:
        records: Records of runs; trials of tunings are left out.
    """
    known = [record for record in records if record.tuning is None or record.tuning.role == "tuned"]
    labels = _unique_labels((_key_of(record), options_of(record.model)) for record in known)
    return {record.id: labels[_key_of(record)] for record in known}


def _key_of(record: RunRecord) -> NetworkKey:
    model = record.model
    known = (model.name, canonical(options_of(model)), model.weights_digest or "", model.source_digest or "")
    return NetworkKey(record.label, *known)


def disambiguate_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs, renumbered from 0, with differing options added to labels that several networks share.

    The column ``label`` holds the labels as they were given.
    """
    runs = runs.reset_index(drop=True)
    runs = runs if "label" in runs else runs.assign(label=runs["model"])
    labels = _unique_labels((network_key(run), run.options) for run in runs[runs["options"].notna()].itertuples())
    return runs.assign(model=[labels.get(network_key(run), str(run.model)) for run in runs.itertuples()])


def drop_copies(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of several copies of a run, so that a copied folder is no second seed.

    A run on other test data is not a copy. Test data are identified by the digest of the evaluated inputs or, for a
    run that was not evaluated, by the test split.
    """
    splits = split_marks(runs)
    keys = [
        (run.protocol, _tested_on(run, split), *network_key(run), run.seed, run.status)
        for run, split in zip(runs.itertuples(), splits, strict=True)
    ]
    return runs[~pd.Series(keys, index=runs.index, dtype=object).duplicated()]


def _tested_on(run: Any, split: str) -> str:
    return split if is_absent(run.test_digest) else canonical(run.test_digest)


def _unique_labels(networks: Iterable[tuple[NetworkKey, Any]]) -> dict[NetworkKey, str]:
    """Return a label for each network, given their options."""
    by_label: dict[str, dict[NetworkKey, Any]] = defaultdict(dict)
    for key, options in networks:
        by_label[key.label][key] = options
    return {key: label for rivals in by_label.values() for key, label in _distinct_labels(rivals).items()}


def _distinct_labels(rivals: Mapping[NetworkKey, Mapping[str, Any]]) -> dict[NetworkKey, str]:
    """Return a label for each network of one label; the label itself when there is only one."""
    if len(rivals) == 1:
        return {key: key.label for key in rivals}
    names = sorted({name for options in rivals.values() for name in options})
    differing = [name for name in names if len({canonical(options.get(name)) for options in rivals.values()}) > 1]
    labels: dict[NetworkKey, str] = {}
    for key, options in rivals.items():
        values = ", ".join(f"{name}={options[name]}" for name in differing if name in options)
        label = f"{key.label} ({values})" if values else key.label
        same = sum(other == label or other.startswith(f"{label} #") for other in labels.values())
        labels[key] = f"{label} #{same + 1}" if same else label
    return labels
