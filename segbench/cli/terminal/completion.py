"""Completes suites, networks and data sets for the shell: without torch, and without any message."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from segbench.errors import SegbenchError

_VARIABLE = "_SEGBENCH_COMPLETE"
"""Environment variable by which a shell asks for completions."""

_SUITE_SUFFIXES = (".yaml", ".yml")


def is_completing() -> bool:
    """Return whether a shell asks for completions."""
    return _VARIABLE in os.environ


def complete_suite(incomplete: str) -> list[str]:
    """Return the shipped suites whose names begin like this, and the suite files of the current folder that do.

    Empty if no shipped suite does: the shell then completes paths.
    """
    from segbench.config.shipped import shipped_suites

    names = _beginning(incomplete, shipped_suites())
    return [*names, *_beginning(incomplete, _suite_files())] if names else []


def complete_model(incomplete: str) -> list[str]:
    """Return the models of the catalogue whose names begin like this."""
    from segbench.registry import MODELS

    return _beginning(incomplete, MODELS.entries())


def complete_models(context: typer.Context, incomplete: str) -> list[str]:
    """Return the models that can end a list such as ``unet,seg``: of the command's suite, else of the catalogue."""
    before, comma, last = incomplete.rpartition(",")
    listed = before.split(",")
    # After an option that still lacks its value, arguments are left over instead of being read.
    suite = context.params.get("suite") or next(iter(context.args), None)
    known = _models_of(suite) or complete_model("")
    return [f"{before}{comma}{name}" for name in _beginning(last, known) if name not in listed]


def complete_dataset(incomplete: str) -> list[str]:
    """Return the data sets of the catalogue whose names begin like this."""
    from segbench.registry import DATASETS

    return _beginning(incomplete, DATASETS.entries())


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _suite_files() -> list[str]:
    with suppress(OSError):
        return sorted(path.name for path in Path().iterdir() if path.suffix in _SUITE_SUFFIXES)
    return []


def _models_of(suite: Path | str | None) -> list[str]:
    """Return names and labels of a suite's models, without labels that a shell would split; none if it is invalid."""
    from segbench.config.load import load_suite

    with suppress(SegbenchError, OSError):
        models = load_suite(suite).models if suite is not None else ()
        names = dict.fromkeys(name for model in models for name in (model.name, model.label))
        return [name for name in names if not set(name) & set(" ,()")]
    return []
