"""Compares the environments of runs: versions, threads, precision and other facts that affect scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from segbench.report.runs.protocols import as_most
from segbench.report.text import is_absent
from segbench.results.environment import precision_in_words

_VERSIONS = {"torch": "torch", "torchvision": "torchvision", "timm": "timm", "numpy": "NumPy", "pillow": "Pillow"}
"""Packages that affect scores, with their display names."""
_ON_CUDA = {"cuda": "CUDA", "cudnn": "cuDNN"}

Facts = Mapping[str, str | None]
"""Facts, other than network, data and recipe, that affect scores, by display name; None if unrecorded."""


class FactDifference(NamedTuple):
    """An environment fact whose value differs between runs.

    Attributes:
        fact: Its name, such as ``threads``.
        holders: The runs with each value, the most common value first.
    """

    fact: str
    holders: Mapping[str, tuple[str, ...]]


def facts_of(runs: pd.DataFrame) -> list[Facts]:
    """Return the facts of each row of ``load_results``; those of CUDA are of runs on CUDA alone."""
    columns = (runs[name] for name in ("environment", "device", "recipe", "tuning"))
    return [_facts(*(None if is_absent(value) else value for value in cells)) for cells in zip(*columns, strict=True)]


def _facts(environment: Any, device: Any, recipe: Any, tuning: Any) -> Facts:
    place: Mapping[str, Any] = environment or {}
    versions = place.get("versions") or {}
    earlier = {"threads": "earlier_threads", "cpu_capability": "earlier_cpu_capabilities"}
    found = {
        "threads": _with_earlier(place.get("threads"), place.get(earlier["threads"])),
        "CPU capability": _with_earlier(place.get("cpu_capability"), place.get(earlier["cpu_capability"])),
        "device": _with_earlier(device, place.get("earlier_accelerators")),
        "precision": _precision(place, recipe or {}, tuning),
        **{word: _version(versions, package) for package, word in _VERSIONS.items()},
    }
    on_cuda = str(place.get("device", "")).startswith("cuda")
    return found | ({word: _text(place.get(key)) for key, word in _ON_CUDA.items()} if on_cuda else {})


def differing_facts(runs: pd.DataFrame) -> pd.Series[Any]:
    """Return, for each completed run of one table, the facts in which it differs from most runs of its seed.

    An unrecorded fact counts as no difference. Without a majority value, every recorded one differs.
    """
    facts = facts_of(runs)
    found: list[list[str]] = [[] for _ in facts]
    seeds = [str(seed) for seed in runs["seed"]]
    for seed in dict.fromkeys(seeds):
        places = [place for place, other in enumerate(seeds) if other == seed]
        for fact in _names(facts):
            known = [place for place in places if facts[place].get(fact) is not None]
            for place, same in zip(known, as_most([facts[place][fact] for place in known]), strict=True):
                if not same:
                    found[place].append(fact)
    return pd.Series([tuple(names) for names in found], index=runs.index, dtype=object)


def mixed_facts(runs: pd.DataFrame) -> tuple[str, ...]:
    """Return the facts that vary within a group of runs, such as the seeds of one network."""
    return tuple(difference.fact for difference in fact_differences([(facts, "") for facts in facts_of(runs)]))


def fact_differences(given: Sequence[tuple[Facts, str]]) -> list[FactDifference]:
    """Return the facts with several known values, and which runs have each."""
    found = []
    for fact in _names([facts for facts, _ in given]):
        known = [(str(facts[fact]), name) for facts, name in given if facts.get(fact) is not None]
        counts = Counter(value for value, _ in known)
        order = sorted(counts, key=lambda value: (-counts[value], value))
        holders = {value: tuple(name for other, name in known if other == value) for value in order}
        if len(holders) > 1:
            found.append(FactDifference(fact, holders))
    return found


def unknown_facts(given: Sequence[Facts]) -> dict[str, int]:
    """Return the facts that some runs did not record, with the number of such runs."""
    lacking = {fact: sum(facts.get(fact, "") is None for facts in given) for fact in _names(given)}
    return {fact: number for fact, number in lacking.items() if number}


def _names(given: Sequence[Facts]) -> list[str]:
    return list(dict.fromkeys(fact for facts in given for fact in facts))


def _precision(place: Mapping[str, Any], recipe: Mapping[str, Any], tuning: Any) -> str | None:
    """Return a run's precision; for runs of earlier versions, that of the recipe."""
    if "precision" in place:
        return str(place["precision"])
    train, evaluate = recipe.get("train") or {}, recipe.get("evaluate") or {}
    if "precision" not in {**train, **evaluate} or tuning is not None:  # its trials may have chosen another
        return None
    return precision_in_words(train.get("precision"), evaluate.get("precision"))


def _version(versions: Mapping[str, Any], package: str) -> str | None:
    """Return a package's version; None if it was not recorded (which differs from not installed)."""
    return None if package not in versions else str(versions[package] or "not installed")


def _with_earlier(value: Any, earlier: Any) -> str | None:
    """Return all values of a fact, in order, for a run that was resumed in another environment."""
    return None if value is None else ", then ".join([*map(str, earlier or ()), str(value)])


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
