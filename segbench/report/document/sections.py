"""The sections of a report, as blocks."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from segbench.report.blocks import Block, Bullets, Cell, Code, Folded, Heading, Inline, Listing, Paragraph, Table
from segbench.report.figures.captions import MOST_NETWORKS, scored_rows
from segbench.report.ranking.notes import Note
from segbench.report.ranking.published import Published, published_of
from segbench.report.runs.class_iou import class_iou
from segbench.report.runs.protocols import Difference, ProtocolRuns
from segbench.report.text import early_stopping_rule, is_absent, plural, short_id, shown_path, with_spread
from segbench.results.record import Status
from segbench.results.store import SUITE_FILE

HOW_SCORED = (
    "Scores are fractions of 1, from confusion matrices over the whole test split; "
    "rows of different protocols, or tested on different data, are not ranked together."
)
LARGEST_ALONE = "Of recipes that differ in the fraction of the training split, the largest one has all figures."
_MOST_APART = 5
"""Up to so many protocols have a column of their own in the table of what differs, and a fold of their own."""
_DIGESTS = 12
"""Characters shown of a digest."""


def notes(found: Sequence[Note]) -> list[Block]:
    """Return the caveats of a table; nothing without any.

    A page shows caveats about single networks beside their rows.
    """
    if not found:
        return []
    of_table, of_rows = ([note for note in found if bool(note.models) is single] for single in (False, True))
    lists = [tuple(_capital(note.sentence) for note in notes) for notes in (of_table, of_rows)]
    return [Bullets("Before comparing rows:", lists[0], beside=lists[1])]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def class_table(board: pd.DataFrame, runs: pd.DataFrame) -> list[Block]:
    """Return the IoU of every class (rows) and network (columns); nothing without completed runs."""
    models = list(scored_rows(board)["model"])
    if not models:
        return []
    table = class_iou(runs).reindex(models[:MOST_NETWORKS]).T
    rows: list[list[Cell | str]] = [
        [str(name), *(Cell(with_spread(value, None) or "-", None if is_absent(value) else value) for value in values)]
        for name, values in zip(table.index, table.to_numpy(dtype=float).tolist(), strict=True)
    ]
    titles = ["IoU by class", *map(str, table.columns)]
    blocks: list[Block] = [Table.of("classes", titles, rows, ":" + "-" * len(table.columns))]
    if len(models) > MOST_NETWORKS:
        blocks.append(Paragraph.of(f"The best {MOST_NETWORKS} of {len(models)} networks."))
    return blocks


def own_class_tables(board: pd.DataFrame, runs: pd.DataFrame) -> list[Block]:
    """Return a table for each custom metric with values by class, means over seeds."""
    models = list(scored_rows(board)["model"])[:MOST_NETWORKS]
    completed = runs[(runs["status"] == Status.COMPLETED) & runs["model"].isin(models)]
    known = [dict(own) for own in completed["own_class_metrics"] if isinstance(own, Mapping)]
    return [
        _own_class_table(label, models, completed) for label in dict.fromkeys(label for own in known for label in own)
    ]


def _own_class_table(label: str, models: Sequence[str], completed: pd.DataFrame) -> Block:
    means = {}
    for model in models:
        own = completed[completed["model"] == model]["own_class_metrics"]
        values = pd.DataFrame([one[label] for one in own if isinstance(one, Mapping) and label in one], dtype="float64")
        means[model] = values.mean().tolist() if len(values) else []
    rows: list[list[Cell | str]] = [
        [str(name), *(_fraction(values[index] if index < len(values) else None) for values in means.values())]
        for index, name in enumerate(completed["classes"].iloc[0])
    ]
    return Table.of("classes", [f"{label} by class", *models], rows, ":" + "-" * len(models))


def published(board: pd.DataFrame, runs: pd.DataFrame) -> list[Block]:
    """Return published scores of the networks on this data set; nothing without any."""
    completed = runs[runs["status"] == Status.COMPLETED]
    first = completed.drop_duplicates("model").set_index("model")
    rows: list[list[Cell | str]] = []
    for _, row in scored_rows(board).iterrows():
        run, own = first.loc[row["model"]], completed[completed["model"] == row["model"]]
        as_error = float(own["mean_iou_void_as_error"].mean(skipna=False))
        rows += [_beside(row, as_error, one) for one in published_of(run["name"], run["recipe"], run["classes"])]
    if not rows:
        return []
    words = (
        "Scores from papers, beside ours but not ranked with them: the papers use recipes, image sizes and weights of "
        'their own. Ours ignore void pixels. Compare "void as error" with papers that count void pixels as errors '
        "(unknown if predictions on void pixels were not counted)."
    )
    titles = ["network", "mIoU here", "void as error", "mIoU published", "pixel acc. published", "void", "paper"]
    table = Table.of("published", [*titles, "trained or tested on"], rows, ":----:::")
    return [Heading("Published figures", 3), Paragraph.of(words), table]


def _beside(row: pd.Series[Any], void_as_error: float, paper: Published) -> list[Cell | str]:
    """Return a row with our score and a paper's."""
    return [
        str(row["model"]),
        _fraction(row["mean_iou"]),
        "unknown" if is_absent(void_as_error) else _fraction(void_as_error),
        _fraction(paper.mean_iou),
        _fraction(paper.pixel_accuracy),
        paper.convention,
        paper.source,
        paper.note,
    ]


def _fraction(value: float | None) -> Cell:
    return Cell(with_spread(value, None), value)


def differences(given: Sequence[Difference], protocols: Sequence[str]) -> list[Block]:
    """Return a table of the recipe keys that differ between protocols; nothing with one protocol."""
    if len(protocols) < 2:
        return []
    rows: list[list[Cell | str]] = [
        [_code(key), *(_value_in(values, name) for name in protocols)] for key, values in given
    ]
    titles = ["key", *map(short_id, protocols)]
    if len(protocols) > _MOST_APART:
        titles, rows = ["key", "value", "protocols"], _by_value(given, protocols)
    table = Table.of("differences", titles, rows)
    return [Folded("Where the protocols differ", (table,), anchor="differences")]


def _by_value(given: Sequence[Difference], protocols: Sequence[str]) -> list[list[Cell | str]]:
    """Return a row for each value of a key, with the protocols that have it: many would not fit beside each other."""
    rows: list[list[Cell | str]] = []
    for key, values in given:
        cells = {name: _value_in(values, name) for name in protocols}
        rows += [
            [_code(key), cell, ", ".join(short_id(name) for name in protocols if cells[name] == cell)]
            for cell in dict.fromkeys(cells.values())
        ]
    return rows


def protocols(groups: Sequence[ProtocolRuns]) -> list[Block]:
    """Return each protocol: the rule for selecting weights, the data's digests and the recipe; many in one fold."""
    told = {f"Protocol {short_id(group.protocol)}": _protocol(group.runs) for group in groups}
    if len(told) > _MOST_APART:
        whole = [block for name, blocks in told.items() for block in (Heading(name, 3), *blocks)]
        return [Folded("Protocols", tuple(whole), anchor="protocol")]
    return [Folded(name, tuple(blocks), anchor="protocol") for name, blocks in told.items()]


def _protocol(runs: pd.DataFrame) -> list[Block]:
    recipe = runs["recipe"].iloc[0]
    blocks: list[Block] = [Paragraph(selection_rule(recipe))]
    for name, what in (("train_digest", "trained"), ("test_digest", "tested")):
        found = sorted({str(value)[:_DIGESTS] for value in runs[name] if not is_absent(value)})
        if found:
            listed = [part for digest in found for part in (", ", Code(digest))][1:]
            blocks.append(Paragraph.of(f"Digest of the data that was {what} on, in order: ", *listed, "."))
    text = yaml.safe_dump(json.loads(json.dumps(recipe)), sort_keys=False, allow_unicode=True)
    return [*blocks, Listing(text, "yaml")]


def selection_rule(recipe: Mapping[str, Any]) -> tuple[Inline, ...]:
    """Return a sentence on which weights are reported."""
    train = recipe.get("train")
    if not isinstance(train, Mapping):
        return ("Nothing was trained: the networks were evaluated as loaded.",)
    return (*_reported_weights(train, recipe), *_length_rule(train))


def _length_rule(train: Mapping[str, Any]) -> tuple[Inline, ...]:
    """Return a sentence on early stopping; nothing without it."""
    rule = train.get("early_stopping")
    if not isinstance(rule, Mapping):
        return ()
    return (f" A training ends early once its mean IoU there did not rise{early_stopping_rule(rule)}.",)


def _reported_weights(train: Mapping[str, Any], recipe: Mapping[str, Any]) -> tuple[Inline, ...]:
    """Return a sentence on which weights of a training are reported."""
    if train.get("select") == "best":
        dataset = recipe.get("dataset") or {}
        if dataset.get("folds"):
            return ("Reported weights: those with the best mean IoU on the fold after the one that is tested.",)
        split = dataset.get("validation_split")
        return ("Reported weights: those with the best mean IoU on the split ", Code(str(split)), ".")
    return (
        "Reported weights: those of the last epoch"
        + (
            " trained; the mean IoU on the validation split decides which that is."
            if train.get("early_stopping")
            else "."
        ),
    )


def environment(runs: pd.DataFrame) -> list[Block]:
    """Return the environment of the runs: one line per fact, with numbers of runs if they differ."""
    known = [facts for facts in runs["environment"] if not is_absent(facts) and facts]
    if not known:
        return []
    counts: dict[str, Counter[str]] = {}
    for facts in known:
        for key, value in _facts(facts):
            counts.setdefault(key, Counter())[value] += 1
    rows: list[list[Cell | str]] = [[_code(key), _counted(values, len(known))] for key, values in counts.items()]
    return [Folded("Environment", (Table.of("environment", ["fact", "value"], rows),), printed=False)]


def suites_as_run(runs: pd.DataFrame) -> list[Block]:
    """Return each suite as it was run, with defaults and overrides; nothing if none was stored."""
    blocks: list[Block] = []
    for folder in sorted(_folders(runs)):
        try:
            text = (folder / SUITE_FILE).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        listing = Listing(text, "yaml")
        blocks.append(Folded(f"Suite {folder.name} as run", (listing,), anchor="suite", printed=False))
    return blocks


def reproduction(runs: pd.DataFrame) -> list[Block]:
    """Return the commands that repeat the runs and that rank the stored ones."""
    commands = []
    for folder in sorted(_folders(runs)):
        place = shown_path(folder)
        if (folder / SUITE_FILE).is_file():
            commands.append(shlex.join(["segbench", "run", f"{place}/{SUITE_FILE}", "--set", f"name={folder.name}"]))
        commands.append(shlex.join(["segbench", "leaderboard", place]))
    return [Heading("Reproduce", link="Reproduce"), Listing("\n".join(commands), "sh")]


def _folders(runs: pd.DataFrame) -> set[Path]:
    return {Path(str(path)).resolve().parent for path in runs["path"]}


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
        return next(iter(values))
    return ", ".join(f"{value} ({plural(number, 'run')})" for value, number in values.most_common())


def _value_in(values: Mapping[str, Any], name: str) -> Cell | str:
    return _code(_value(values[name])) if name in values else "absent"


def _code(text: str) -> Cell:
    return Cell(text, code=True)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
