"""The sections of a report in Markdown."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from segbench.report.drawing import Plot
from segbench.report.figures import MOST_NETWORKS, class_iou
from segbench.report.protocols import Difference
from segbench.report.tables import markdown_table
from segbench.report.text import code_block, code_span, escape_markdown, is_absent, plural, short_id, with_spread
from segbench.results.record import Status
from segbench.results.store import SUITE_FILE

_HOW_SCORED = (
    "Scores are fractions of 1, from confusion matrices over the whole test split; "
    "rows of different protocols, or tested on different data, are not ranked together."
)
_DIGESTS = 12
"""Signs that are shown of a digest."""


def opening(runs: pd.DataFrame, notes: Sequence[str]) -> str:
    """Return title, extent and what a reader must know before comparing rows."""
    suites = " + ".join(dict.fromkeys(map(str, runs["suite"])))
    counts = Counter(map(str, runs["status"]))
    others = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()) if status != Status.COMPLETED)
    extent = f"{plural(counts[Status.COMPLETED], 'run')} completed" + (f", {others}." if others else ".")
    parts = [
        f"# Leaderboard: {escape_markdown(suites)}",
        f"{extent} {_HOW_SCORED}",
    ]
    if notes:
        parts.append("\n".join(["**Before comparing rows:**", "", *(f"- {escape_markdown(note)}" for note in notes)]))
    return "\n\n".join(parts)


def figure(plot: Plot, file: str) -> str:
    """Return an embedded figure with its caption."""
    return f"![{escape_markdown(plot.title)}]({file})\n\n*{escape_markdown(plot.caption)}*"


def class_table(board: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return the IoU of every class (rows) and ranked network (columns); empty without completed runs."""
    models = list(board[board["rank"].notna()]["model"])
    if not models:
        return ""
    table = class_iou(runs).reindex(models[:MOST_NETWORKS]).T
    rows = [
        [escape_markdown(name), *(with_spread(value, None) or "-" for value in values)]
        for name, values in zip(table.index, table.to_numpy(dtype=float).tolist(), strict=True)
    ]
    titles = ["IoU by class", *map(escape_markdown, table.columns)]
    left = f"\n\nThe best {MOST_NETWORKS} of {len(models)} networks." if len(models) > MOST_NETWORKS else ""
    return markdown_table(titles, rows, ":" + "-" * len(table.columns)) + left


def differences(given: Sequence[Difference], protocols: Sequence[str]) -> str:
    """Return a table of the keys in which protocols differ; empty when there is one protocol."""
    if len(protocols) < 2:
        return ""
    rows = [
        [code_span(key), *(code_span(_value(values[name])) if name in values else "absent" for name in protocols)]
        for key, values in given
    ]
    titles = ["key", *(code_span(short_id(name)) for name in protocols)]
    return "## Where the protocols differ\n\n" + markdown_table(titles, rows, ":" * len(titles))


def protocol(protocol_id: str, runs: pd.DataFrame) -> str:
    """Return one protocol: the rule by which weights were chosen, the data's digests and the whole recipe."""
    recipe = runs["recipe"].iloc[0]
    lines = [f"## Protocol {escape_markdown(short_id(protocol_id))}", selection_rule(recipe)]
    for name, what in (("train_digest", "trained"), ("test_digest", "tested")):
        found = sorted({str(value)[:_DIGESTS] for value in runs[name] if not is_absent(value)})
        if found:
            lines.append(f"Digest of the data that was {what} on, in order: {', '.join(map(code_span, found))}.")
    text = yaml.safe_dump(json.loads(json.dumps(recipe)), sort_keys=False, allow_unicode=True)
    return "\n\n".join([*lines, code_block(text, language="yaml")])


def selection_rule(recipe: Mapping[str, Any]) -> str:
    """Return in a sentence which weights a recipe reports."""
    train = recipe.get("train")
    if not isinstance(train, Mapping):
        return "Nothing was trained: the networks were evaluated as loaded."
    if train.get("select") == "best":
        split = (recipe.get("dataset") or {}).get("validation_split")
        return f"Reported weights: those with the best mean IoU on the split {code_span(split)}."
    return "Reported weights: those of the last epoch."


def environment(runs: pd.DataFrame) -> str:
    """Return where the runs were done: one line a fact, with the number of runs where they differ."""
    known = [facts for facts in runs["environment"] if not is_absent(facts) and facts]
    if not known:
        return ""
    counts: dict[str, Counter[str]] = {}
    for facts in known:
        for key, value in _facts(facts):
            counts.setdefault(key, Counter())[value] += 1
    rows = [[code_span(key), _counted(values, len(known))] for key, values in counts.items()]
    return "## Environment\n\n" + markdown_table(["fact", "value"], rows, "::")


def reproduction(runs: pd.DataFrame) -> str:
    """Return the commands that do the runs again and that rank the stored ones."""
    folders = {Path(str(path)).resolve().parent for path in runs["path"]}
    commands = []
    for folder in sorted(folders):
        place = f"{folder.parent.name}/{folder.name}"
        if (folder / SUITE_FILE).is_file():
            commands.append(shlex.join(["segbench", "run", f"{place}/{SUITE_FILE}", "--set", f"name={folder.name}"]))
        commands.append(shlex.join(["segbench", "leaderboard", place]))
    return "## Reproduce\n\n" + code_block("\n".join(commands), language="sh")


def _facts(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return dotted keys and values as text; what is absent is left out."""
    lines: list[tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            lines += _facts(value, f"{prefix}{key}.")
        elif not is_absent(value):
            lines.append((f"{prefix}{key}", _value(value)))
    return lines


def _counted(values: Counter[str], total: int) -> str:
    if len(values) == 1 and sum(values.values()) == total:
        return escape_markdown(next(iter(values)))
    return ", ".join(f"{escape_markdown(value)} ({plural(number, 'run')})" for value, number in values.most_common())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
