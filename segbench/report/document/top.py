"""The top of a report: title, key facts and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Facts, Heading, Paragraph
from segbench.report.ranking.citations import data_title
from segbench.report.ranking.notes import Note
from segbench.report.text import is_absent, plural, printable, short_id
from segbench.results.record import Status

_WORDS = {"Time of all runs": "added up over runs"}


def top(runs: pd.DataFrame, answers: Sequence[str], notes: Sequence[Note]) -> list[Block]:
    """Return title, facts and answers.

    Args:
        runs: The rows of ``load_results``.
        answers: The sentences to lead with.
        notes: The caveats.
    """
    blocks: list[Block] = [Heading(title(runs), 1), Facts(tuple(_facts(runs, notes)), _WORDS)]
    return blocks + [Paragraph.of(answer, lead=True) for answer in answers]


def title(runs: pd.DataFrame) -> str:
    """Return a title such as ``CamVid · 13 epochs · 3 seeds``; the suites' names if the data set is unknown."""
    recipes = _recipes(runs)
    data = _distinct(data_title(str(name)) for recipe in recipes if (name := (recipe.get("dataset") or {}).get("name")))
    if not data:
        return f"Leaderboard: {_suites(runs)}"
    seeds = _seeds(runs)
    parts = [" + ".join(map(printable, data)), _length(recipes), seeds]
    parts += ["identical and tuned recipes"] if any(recipe.get("tuning") for recipe in recipes) else []
    return " · ".join(part for part in parts if part)


def _facts(runs: pd.DataFrame, notes: Sequence[Note]) -> Iterable[tuple[str, str]]:
    recipes, completed = _recipes(runs), runs[runs["status"] == Status.COMPLETED]
    facts = {
        "Suite": _suites(runs),
        "Networks": str(completed["model"].nunique()),
        "Data": ", ".join(_distinct(_data(run) for run in completed.itertuples())),
        "Images": ", ".join(_distinct(map(_images, sorted(completed.itertuples(), key=_training_images)))),
        "Test size": ", ".join(_distinct(_test_size(run) for run in completed.itertuples())),
        "Training": " | ".join(_distinct(filter(None, (_training(recipe) for recipe in recipes)))),
        "Runs": _runs(runs),
        "Device": ", ".join(_distinct(_device(run) for run in completed.itertuples())),
        "Time of all runs": _duration(completed["total_seconds"].dropna().sum()),
        "Date": _dates(completed["started"]),
        "Software": ", ".join(_distinct(_software(facts) for facts in completed["environment"])),
        "Caveats": _caveats(notes),
        "Protocol": ", ".join(_distinct(short_id(one) for one in runs["protocol"] if not is_absent(one))),
    }
    return [(name, printable(value)) for name, value in facts.items() if value]


def _caveats(notes: Sequence[Note]) -> str:
    """Return the number of caveats and where they are shown."""
    if not notes:
        return "none"
    return f"{len(notes)}, {'at the rows and ' if any(note.models for note in notes) else ''}below the ranking"


def _recipes(runs: pd.DataFrame) -> list[Any]:
    by_protocol = {str(run.protocol): run.recipe for run in runs.itertuples() if not is_absent(run.recipe)}
    return list(by_protocol.values())


def _distinct(values: Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]


def _suites(runs: pd.DataFrame) -> str:
    return " + ".join(dict.fromkeys(map(str, runs["suite"])))


def _seeds(runs: pd.DataFrame) -> str:
    completed = runs[runs["status"] == Status.COMPLETED]
    numbers = sorted(set(completed.groupby(["protocol", "model"], sort=False)["seed"].nunique()))
    if not numbers:
        return ""
    return plural(numbers[0], "seed") if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} seeds"


def _length(recipes: Sequence[Any]) -> str:
    """Return how long was trained, such as ``13 epochs``."""
    lengths = []
    for recipe in recipes:
        train = recipe.get("train")
        if not train:
            lengths.append("evaluated as loaded")
        elif not is_absent(train.get("steps")):
            lengths.append(plural(int(train["steps"]), "step"))
        elif not is_absent(train.get("epochs")):
            lengths.append(plural(int(train["epochs"]), "epoch"))
    return " | ".join(_distinct(lengths))


def _data(run: Any) -> str:
    name = ((run.recipe if not is_absent(run.recipe) else {}).get("dataset") or {}).get("name")
    classes = "" if is_absent(run.classes) else f" ({len(run.classes)} class{'es' if len(run.classes) > 1 else ''})"
    return f"{data_title(str(name))}{classes}" if name else ""


def _training_images(run: Any) -> int:
    return 0 if is_absent(run.train_images) else int(run.train_images)


def _images(run: Any) -> str:
    if not is_absent(run.folds):
        return f"{run.test_images:,} in {run.folds} folds"
    train = "" if is_absent(run.train_images) else f"{int(run.train_images):,} train, "
    return "" if is_absent(run.test_images) else f"{train}{int(run.test_images):,} test"


def _test_size(run: Any) -> str:
    """Return the size of the first test image as the network takes it, and whether others have another."""
    if is_absent(run.input_size):
        return ""
    steps = ((run.recipe if not is_absent(run.recipe) else {}).get("transforms") or {}).get("test") or []
    fixed = any(isinstance(step, dict) and step.get("size") for step in steps)
    vary = not fixed and not is_absent(run.image_areas) and len(run.image_areas) > 1
    return f"{run.input_size[0]}x{run.input_size[1]}{' and others' if vary else ''}"


def _training(recipe: Any) -> str:
    train = recipe.get("train")
    if not train:
        return ""
    optimizer = train.get("optimizer") or {}
    rate = "" if is_absent(optimizer.get("lr")) else f", lr {optimizer['lr']:g}"
    named = f"{optimizer['name']}{rate}" if optimizer.get("name") else ""
    batch = "" if is_absent(train.get("batch_size")) else f"batch {train['batch_size']}"
    return ", ".join(part for part in (_length([recipe]), named, batch) if part)


def _runs(runs: pd.DataFrame) -> str:
    """Return the number of completed runs, and of others by status."""
    counts: Counter[str] = Counter()
    for status, folds in zip(runs["status"], runs["folds"], strict=True):
        counts[str(status)] += 1 if status != Status.COMPLETED or is_absent(folds) else int(folds)
    others = [f"{number} {status}" for status, number in sorted(counts.items()) if status != Status.COMPLETED]
    return ", ".join([f"{counts[Status.COMPLETED]} completed", *others])


def _device(run: Any) -> str:
    facts = {} if is_absent(run.environment) else run.environment
    if is_absent(run.device):
        return ""
    threads = facts.get("threads")
    on_cpu = str(facts.get("device", "")) == "cpu"
    return f"{run.device}, {plural(int(threads), 'thread')}" if on_cpu and isinstance(threads, int) else str(run.device)


def _duration(seconds: float) -> str:
    """Return a time in its largest unit, such as ``1.9 h``."""
    if not seconds:
        return ""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _dates(started: pd.Series[Any]) -> str:
    """Return on which days runs were started."""
    days = []
    for text in started.dropna():
        try:
            days.append(datetime.fromisoformat(str(text)).date())
        except ValueError:
            continue
    if not days:
        return ""
    first, last = (f"{day.day} {day:%b %Y}" for day in (min(days), max(days)))
    return first if first == last else f"{first} to {last}"


def _software(facts: Any) -> str:
    versions = {} if is_absent(facts) else facts.get("versions") or {}
    known = [
        f"{name} {versions[name]}"
        for name in ("segbench", "torch")
        if isinstance(versions, dict) and versions.get(name)
    ]
    return ", ".join(known)
