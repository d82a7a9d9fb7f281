"""Caveats about rows that started from a checkpoint, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from segbench.report.text import is_absent, printable
from segbench.results.wording import first, in_words, percent

_SHOWN = 3
"""Number of tensors named in a sentence."""


def checkpoint_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which checkpoints match only in part, had several candidate weights, or map classes."""
    told: dict[str, None] = {}
    for run in runs.itertuples():
        told.update(dict.fromkeys(_of_run(run)))
    yield from told


def _of_run(run: Any) -> Iterator[str]:
    name = printable(run.model)
    if not is_absent(run.weights_left_out):
        yield _partial(name, run)
    if not is_absent(run.weights_key):
        key = printable(run.weights_key)
        yield f"the weights of {name} are those under {key}; others in its file would have fitted as well."
    if not is_absent(run.weights_moved):
        yield f"a part of {name} has another name in its checkpoint, and was taken: {printable(run.weights_moved)}."
    if not is_absent(run.weights_unused):
        names = run.weights_unused
        tensors = f"{len(names)} tensor{'s' if len(names) > 1 else ''}"
        yield f"the checkpoint of {name} holds {tensors} beside the network, not used: {first(_shown(names), _SHOWN)}."
    if not is_absent(run.classes_map):
        outputs = "; ".join(f"{printable(one)}: {_listed(given)}" for one, given in run.classes_map.items())
        yield (
            f"{name} has outputs of its own, and each pixel the most probable of the classes that these stand for "
            f"({outputs}); outputs that are not named are left out."
        )


def _partial(name: str, run: Any) -> str:
    """Describe how much of a network was loaded, what was not, and the consequence for its score."""
    share = "the network in part" if is_absent(run.weights_share) else f"{percent(run.weights_share)} of the network"
    what = in_words({kind: _shown(names) for kind, names in run.weights_left_out.items()}, shown=_SHOWN)
    untrained = isinstance(run.recipe, Mapping) and run.recipe.get("train", ...) is None
    lacking = any(run.weights_left_out.get(kind) for kind in ("missing", "misshapen"))
    rest = "; the rest of it was scored as drawn at random" if untrained and lacking else ""
    return f"the checkpoint of {name} fits {share} ({what}){rest}."


def _shown(names: Sequence[str]) -> list[str]:
    return [printable(name) for name in names]


def _listed(outputs: list[int]) -> str:
    return ", ".join(map(str, outputs))
