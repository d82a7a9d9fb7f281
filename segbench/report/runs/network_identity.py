"""Which runs are of one network, and what each network is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from segbench.report.runs.split_marks import split_marks
from segbench.report.text import canonical, is_absent


class NetworkKey(NamedTuple):
    """What two runs of one network have in common.

    Attributes:
        label: What the row is called.
        factory: The registered name.
        options: The options, as canonical JSON.
        weights: The digest of the weights that it started from; empty without.
        source: The digest of its code, where that is not part of a package; empty without.
    """

    label: str
    factory: str
    options: str
    weights: str
    source: str


def network_key(run: Any) -> NetworkKey:
    """Return what a row of ``load_results`` is a run of."""
    known = (run.name, run.weights_digest, run.source_digest)
    factory, weights, source = ("" if is_absent(value) else str(value) for value in known)
    return NetworkKey(str(run.model), factory, canonical(run.options), weights, source)


def disambiguate_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs, numbered from 0, in which different networks of one label carry their differing options in it."""
    runs = runs.reset_index(drop=True)
    kinds: dict[str, dict[NetworkKey, Any]] = {}
    for run in runs[runs["options"].notna()].itertuples():
        kinds.setdefault(str(run.model), {})[network_key(run)] = run.options
    labels = {key: label for rivals in kinds.values() for key, label in _distinct_labels(rivals).items()}
    return runs.assign(model=[labels.get(network_key(run), str(run.model)) for run in runs.itertuples()])


def drop_copies(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of several copies of a run, so that a copied folder is no second seed.

    A run on other test data is no copy. Which data that was, the digest of what was fed tells or, where a run did not
    come so far, its test split.
    """
    splits = split_marks(runs)
    keys = [
        (run.protocol, _tested_on(run, split), *network_key(run), run.seed, run.status)
        for run, split in zip(runs.itertuples(), splits, strict=True)
    ]
    return runs[~pd.Series(keys, index=runs.index, dtype=object).duplicated()]


def _tested_on(run: Any, split: str) -> str:
    return split if is_absent(run.test_digest) else canonical(run.test_digest)


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
