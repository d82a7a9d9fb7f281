"""Caveats about the networks of rows: checkpoints they started from, outputs of external ones, padding, teachers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from segbench.report.runs.teachers import teacher_label
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
        outputs = "; ".join(f"{printable(one)}: {', '.join(map(str, given))}" for one, given in run.classes_map.items())
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


def output_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows were trained with auxiliary losses, and which outputs are unusual."""
    yield from _padding_notes(runs)
    told: dict[str, None] = {}
    trained: dict[str, str] = {}
    for model, outputs, recipe in zip(runs["model"], runs["outputs"], runs["recipe"], strict=True):
        if is_absent(outputs):
            continue
        if outputs.trained_auxiliary:
            trained[printable(model)] = printable(outputs.trained_auxiliary)
        notes = outputs.notes(trained=bool((recipe or {}).get("train")))
        told |= dict.fromkeys(f"{printable(model)} {printable(note)}." for note in notes)
    weighs = any(((recipe or {}).get("train") or {}).get("auxiliary") is not None for recipe in runs["recipe"])
    if weighs and not trained:
        yield "no network has auxiliary outputs that train.auxiliary could weigh."
    elif trained:
        rows = ", ".join(f"{model} ({weights})" for model, weights in trained.items())
        others = "" if len(trained) == runs["model"].nunique() else "; the other rows have none, or none with a weight"
        yield f"the losses of auxiliary outputs, with their weights, were added in training: {rows}{others}."
    yield from told


def _padding_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows used padded images."""
    multiples = zip(runs["model"], runs["options"], strict=True)
    found = {printable(model): options["pad_to"] for model, options in multiples if (options or {}).get("pad_to")}
    if found:
        rows = ", ".join(f"{model} ({multiple})" for model, multiple in found.items())
        yield (
            f"images were padded to a multiple of what stands behind the row: {rows}; its multiply-adds, memory and "
            "times are those of the padded images."
        )


def teacher_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which network taught the rows of a table, and what their scores may be compared with."""
    labels = [teacher_label(teacher) for teacher in runs["teacher"]]
    pairs = dict.fromkeys((model, label) for model, label in zip(runs["model"], labels, strict=True) if label)
    if pairs:
        named = ", ".join(f"{printable(model)} from {printable(label)}" for model, label in pairs)
        yield (
            f"distilled, which is trained on the outputs of a trained network beside the labels: {named}. A score "
            "says what a network learned from labels and this teacher; what distillation is worth is its difference "
            "to the same network with the same seeds and no teacher."
        )
