"""Selects and orders the runs of a suite for a command; it imports nothing heavy."""

from __future__ import annotations

import difflib
import random
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from segbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from segbench.config.plan import Run

SHOWN_IDS = 8
"""Number of similar ids listed in the error about an unknown id."""


class RunOrder(StrEnum):
    """The order of runs; results do not depend on it."""

    SUITE = "suite"
    CHEAPEST = "cheapest"
    RANDOM = "random"


class Selection(NamedTuple):
    """Which of a suite's runs a command is about; None stands for all.

    Attributes:
        models: Labels or names of their models.
        seeds: Their seeds.
        ids: Their ids, or the beginnings of these.
    """

    models: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    ids: Sequence[str] | None = None


def ordered(
    runs: Sequence[Run],
    order: RunOrder,
    *,
    seconds: Mapping[str, float],
    begun: Collection[str] = (),
    failed: Collection[str] = (),
) -> list[Run]:
    """Return runs in the order of execution: teachers before their students, started runs first, failed runs last.

    Args:
        runs: The runs, in the plan's order.
        order: The order of all other runs.
        seconds: Estimated durations by id; if the cheapest come first, runs without an estimate come last.
        begun: Ids of runs with training states.
        failed: Ids of runs that failed before.
    """
    found = list(runs)
    if order is RunOrder.RANDOM:
        random.SystemRandom().shuffle(found)
    if order is RunOrder.CHEAPEST:
        found.sort(key=lambda run: seconds.get(run.id, float("inf")))
    return sorted(found, key=lambda run: (run.generation, run.id in failed, run.id not in begun))


def chosen(runs: Sequence[Run], models: Sequence[str] | None, seeds: Sequence[int] | None) -> tuple[Run, ...]:
    """Return the runs of the given models and seeds; trials of a model are included for any seed.

    Raises:
        UnknownNameError: No model of the suite has this label or name.
        UsageError: Several models have this name, or the suite does not have the seed.
    """
    from segbench.config.reading.dotted_keys import MODEL_OF_SUITE, Named, matching

    entries = list(dict.fromkeys(Named(run.model.label, run.model.name) for run in runs))
    labels = [entry.label for entry in entries]
    wanted = set()
    for model in models or ():
        found = {labels[index] for index in matching(model, entries)}
        if not found:
            raise UnknownNameError(MODEL_OF_SUITE, model, {name for entry in entries for name in entry})
        if len(found) > 1:
            several = ", ".join(sorted(found))
            raise UsageError(f"--models: {model!r} is the name of several models; give a label: {several}")
        wanted |= found
    known_seeds = {run.seed for run in runs if run.role != "trial"}
    for seed in seeds or ():
        if seed not in known_seeds:
            raise UsageError(f"--seeds: the suite has no seed {seed}; it has {sorted(known_seeds)}")
    return tuple(
        run
        for run in runs
        if (models is None or run.model.label in wanted) and (seeds is None or run.role == "trial" or run.seed in seeds)
    )


def named(runs: Sequence[Run], only: Sequence[str] | None) -> tuple[Run, ...]:
    """Return the runs with the given ids or prefixes of ids.

    Raises:
        UsageError: No run has such an id; lists similar ones.
    """
    ids = [run.id for run in runs]
    for wanted in only or ():
        if not any(known.startswith(wanted) for known in ids):
            near = difflib.get_close_matches(wanted, ids, n=SHOWN_IDS, cutoff=0.4) or ids[:SHOWN_IDS]
            more = f" and {len(ids) - len(near)} more ('segbench plan' lists them)" if len(ids) > len(near) else ""
            text = f"no run has the id {wanted!r}, or one that begins so; there are: {', '.join(near)}{more}"
            raise UsageError(f"--only: {text}")
    return starting_with(runs, only)


def starting_with(runs: Sequence[Run], only: Sequence[str] | None) -> tuple[Run, ...]:
    """Return the runs whose ids begin with a prefix; all without one."""
    return tuple(run for run in runs if only is None or run.id.startswith(tuple(only)))
