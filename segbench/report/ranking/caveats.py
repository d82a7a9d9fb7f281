"""Caveats about comparing the rows of a leaderboard, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from segbench.report.ranking.network_caveats import checkpoint_notes, output_notes, teacher_notes
from segbench.report.ranking.notes import MEASURED_SPEED, RUN_SPEED, Note, about_columns
from segbench.report.ranking.speed_columns import speed_figures
from segbench.report.ranking.unpredicted import unpredicted_notes
from segbench.report.runs.copies import copy_notes
from segbench.report.runs.environments import FactDifference, fact_differences, facts_of, unknown_facts
from segbench.report.runs.network_identity import drop_copies, network_key
from segbench.report.runs.protocols import Comparison, comparisons, fed_alike
from segbench.report.runs.split_marks import split_marks
from segbench.report.runs.trials import batch_size_of
from segbench.report.text import (
    canonical,
    early_stopping_rule,
    is_absent,
    name_of_test_data,
    plural,
    printable,
    short_id,
)
from segbench.results.record import Status

_SPEED_KEYS = ("device", "accelerator", "processor", "threads")
_SHOWN_NETWORKS = 5


def caveats(runs: pd.DataFrame) -> list[Note]:
    """Return caveats about comparing rows, in sentences; empty if there are none."""
    tables: dict[str, list[Comparison]] = {}
    for table in comparisons(runs):
        if table.protocol is not None:
            completed = table.runs[table.runs["status"] == Status.COMPLETED]
            tables.setdefault(table.protocol, []).append(table._replace(runs=completed))
    notes: list[Note] = []
    for protocol, given in tables.items():
        of_protocol = [table for table in given if len(table.runs)]
        name = f"Protocol {short_id(protocol)}"
        notes += [Note.of(name, note, protocol=protocol) for note in _apart_notes(of_protocol)]
        for table in of_protocol:
            data = f", {name_of_test_data(table.test_data)}" if len(of_protocol) > 1 else ""
            notes += [
                Note.of(f"{name}{data}", note, protocol=protocol, test_data=table.test_data)
                for note in _table_notes(table.runs)
            ]
    return notes


def _apart_notes(tables: Sequence[Comparison]) -> Iterator[str]:
    if len(tables) < 2:
        return
    parts = (f"{name_of_test_data(table.test_data)}: {_named(_models(table.runs))}" for table in tables)
    yield (
        f"not all rows were tested on the same data, so that they are ranked in {len(tables)} tables "
        f"({' | '.join(parts)}). {_cause(tables)}"
    )


def _cause(tables: Sequence[Comparison]) -> str:
    """Return why digests of test data differ, based on the digests of files and decoded pixels."""
    runs = pd.concat([table.runs for table in tables])
    splits, files = set(split_marks(runs)), runs["test_fingerprint"].nunique()
    if "" in splits:
        return "Their files, or how they were decoded and resized, differ."
    if len(splits) > 1:
        return "Their files differ."
    if files > 1:
        return "The files decode to the same pixels; other library versions or processors resized them differently."
    return "The files are the same; other library versions or processors decoded or resized them differently."


def _table_notes(runs: pd.DataFrame) -> Iterator[Note]:
    yield from about_columns((), _row_notes(runs))
    yield from about_columns(RUN_SPEED, _speed_notes(runs))
    yield from about_columns(RUN_SPEED, _sharing_notes(runs))
    yield from about_columns(MEASURED_SPEED, _measured_notes(runs))


def _row_notes(stored: pd.DataFrame) -> Iterator[str]:
    runs = drop_copies(stored)
    yield from _fold_notes(runs)
    yield from _data_notes(runs)
    yield from _training_notes(runs)
    yield from _weights_notes(runs)
    yield from teacher_notes(runs)
    yield from output_notes(runs)
    yield from _class_notes(runs)
    yield from unpredicted_notes(runs)
    yield from copy_notes(stored)
    yield from _seed_notes(runs)
    yield from _memory_notes(runs)
    yield from _length_notes(runs)
    yield from _group_notes(runs)
    yield from _metric_notes(runs)
    yield from _process_notes(runs)
    yield from _environment_notes(runs)
    yield from _repeatability_notes(runs)


def _fold_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield how scores of a cross-validation are computed."""
    pooled = runs[runs["folds"].notna()]
    if len(pooled):
        run = pooled.iloc[0]
        groups = "" if is_absent(run["image_groups"]) else f" of {plural(len(set(run['image_groups'])), 'group')}"
        yield (
            f"cross-validation: each of the {run['test_images']} images{groups} was tested once, in one of "
            f"{run['folds']} folds, by a network that was trained on other folds; the confusion matrices of all folds "
            "are summed before scoring."
        )


def _data_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield the notes of the data check."""
    for note in dict.fromkeys(note for notes in runs["data_notes"] for note in notes):
        yield f"data, {printable(note)}."


def _training_notes(runs: pd.DataFrame) -> Iterator[str]:
    yield from _split_notes(runs)
    for seed, group in runs.groupby("seed", dropna=False):
        fed = pd.Series(map(canonical, fed_alike(group)), index=group.index, dtype=object)
        trained = [_models(same) for _, same in group.groupby(fed, sort=False)]
        if len(trained) > 1:
            named = " | ".join(map(_named, sorted(trained, key=len, reverse=True)))
            yield f"with seed {seed}, not all rows were trained on the same data: {named}."


def _split_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which runs were trained on other images than others."""
    marks = pd.Series(split_marks(runs, "train"), index=runs.index, dtype=object)
    groups = [group for _, group in runs.groupby(marks, sort=False)]
    if len(groups) > 1:
        parts = " | ".join(map(_trained_on, sorted(groups, key=len, reverse=True)))
        yield (
            f"not all runs were trained on the same images: {parts}. A mean over such seeds is of no one training "
            "split; train the others again."
        )


def _trained_on(runs: pd.DataFrame) -> str:
    """Return which runs were trained on some split, and how many images it has."""
    counts = sorted({int(count) for count in runs["train_images"].dropna()})
    images = f" ({plural(counts[0], 'image')})" if len(counts) == 1 else ""
    seeds = sorted({int(seed) for seed in runs["seed"].dropna()})
    of_seeds = f" with seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" if seeds else ""
    return f"{_named(_models(runs))}{of_seeds}{images}"


def _weights_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which parts of rows were loaded from VGG-16 weights, and which were not."""
    for loaded, group in runs[runs["weights_loaded"].notna()].groupby("weights_loaded", sort=False):
        yield f"pretrained weights of {_named(_models(group))}: {printable(loaded)}."
    yield from checkpoint_notes(runs)


def _class_notes(runs: pd.DataFrame) -> Iterator[str]:
    for model, group in runs.groupby("model", sort=False):
        names = dict.fromkeys(name for names in group["predicted_but_unlabelled"] for name in names)
        if names:
            listed = ", ".join(map(printable, names))
            sentence = f"{printable(model)} predicts classes that no test label holds; their IoU counts as 0: {listed}."
            yield Note.about([str(model)], sentence)
    numbers = sorted(set(runs["averaged_classes"].dropna()))
    if len(numbers) > 1:
        yield f"the means are not taken over equally many classes in all rows ({numbers[0]} to {numbers[-1]})."


def _seed_notes(runs: pd.DataFrame) -> Iterator[str]:
    seeds: dict[tuple[str, ...], set[Any]] = {}
    for run in runs.itertuples():
        seeds.setdefault(network_key(run), set()).add(run.seed)
    numbers = sorted({len(group) for group in seeds.values()})
    if len(numbers) > 1:
        yield f"not all rows have equally many seeds ({numbers[0]} to {numbers[-1]})."
    several = sum(len(group) > 1 for group in seeds.values())
    if several == 1 < len(seeds):  # from two lenders on, simulated tables hold: benchmarks/interval_coverage.py
        yield (
            f"one network of {len(seeds)} had several trainings, and the others borrow its variance: orders that are "
            "told may be due to chance. Train more networks several times."
        )


def _memory_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows were trained in micro-batches because whole batches did not fit into memory."""
    for model, size, recipe, part, options in zip(
        runs["model"], runs["micro_batch"], runs["recipe"], runs["tuning"], runs["options"], strict=True
    ):
        train = (recipe or {}).get("train") or {}
        if is_absent(size) or train.get("micro_batch") != "auto":
            continue
        batch = batch_size_of(train, part)
        norm = (options or {}).get("norm")
        whose = "its batch norm" if norm == "batch" else "batch norm, where it has any,"
        seen = f"; {whose} saw {size} images at a time, not {batch}" if norm in (None, "batch") else ""
        yield Note.about(
            [str(model)],
            f"{printable(model)} was trained in parts of {size} of {batch} images, since whole batches "
            f"did not fit into memory{seen}.",
        )


def _length_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield the lengths of trainings with early stopping."""
    asked = [((recipe or {}).get("train") or {}).get("early_stopping") for recipe in runs["recipe"]]
    if not any(asked):
        return
    lengths = []
    for model, group in runs.groupby("model", sort=False):
        stops = [stop for stop in group["early_stop"] if not is_absent(stop)]
        if stops:
            epochs = sorted({stop["epoch"] for stop in stops})
            span = str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
            of_runs = "" if len(stops) == len(group) else f" ({len(stops)} of {plural(len(group), 'run')})"
            lengths.append(f"{printable(model)} after {span} of {stops[0]['epochs']} epochs{of_runs}")
    if lengths:
        train = next((recipe or {})["train"] for recipe, rule in zip(runs["recipe"], asked, strict=True) if rule)
        rule = f"their mean IoU on the validation split did not rise{early_stopping_rule(train['early_stopping'])}"
        weights = "the epoch that was best there" if train.get("select") == "best" else "the last of these epochs"
        yield (
            f"rows were not trained equally long; these stopped early, since {rule}: {_named(lengths)}. "
            f"Reported are the weights of {weights}."
        )


def _group_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows have no parameters of an optimizer group."""
    lacking: dict[str, list[str]] = {}
    for model, groups in zip(runs["model"], runs["parameter_groups"], strict=True):
        for group in [] if is_absent(groups) else groups:
            if not group["tensors"]:
                lacking.setdefault(", ".join(group["parameters"]), []).append(printable(model))
    for patterns, models in lacking.items():
        named = _named(list(dict.fromkeys(models)))
        yield f"train.optimizer.groups: {printable(patterns)} fits no parameter of {named}."


def _metric_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which of the suites' own metrics cannot be shown."""
    yield from dict.fromkeys(
        printable(problem)
        for problems in runs["metric_problems"]
        if isinstance(problems, tuple | list)
        for problem in problems
    )


def _process_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows were trained by several processes, whose batch norm sees only a part of each batch."""
    for model, count, recipe, part in zip(
        runs["model"], runs["processes"], runs["recipe"], runs["tuning"], strict=True
    ):
        train = (recipe or {}).get("train")
        if is_absent(count) or count == 1 or not train:
            continue
        batch = batch_size_of(train, part)
        share = int(batch // count)
        parts = train.get("micro_batch")
        seen = min(share, parts) if isinstance(parts, int) else share
        norm = (
            f"took its statistics over all {batch} images of a batch"
            if train.get("sync_batch_norm")
            else f"saw {seen} of the {batch} images of a batch at a time"
        )
        sentence = (
            f"{printable(model)} was trained by {count} processes together; its batch norm, where it has any, {norm}."
        )
        yield Note.about([str(model)], sentence)


def _repeatability_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows are not bit-reproducible on the same machine."""
    loose = []
    for model, place, recipe in zip(runs["model"], runs["environment"], runs["recipe"], strict=True):
        on_cuda = str((place or {}).get("device", "")).startswith("cuda")
        if on_cuda and not ((recipe or {}).get("train") or {}).get("deterministic"):
            loose.append(printable(model))
    if loose:
        yield (
            "done on CUDA without train.deterministic: the same run again may differ in its last digits: "
            f"{_named(list(dict.fromkeys(loose)))}."
        )


def _environment_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield in which facts rows, or the seeds of a row, were computed differently, and which are not recorded."""
    facts = facts_of(runs)
    found = [_values_in_words(one) for one in fact_differences(list(zip(facts, _titles(runs), strict=True)))]
    if found:
        yield f"not all rows were computed alike, and scores depend on it: {'; '.join(found)}."
    lacking = [
        fact if number == len(facts) else f"{fact} (of {plural(number, 'run')})"
        for fact, number in unknown_facts(facts).items()
    ]
    if lacking:
        yield f"not recorded, so that rows may differ in it unseen: {', '.join(lacking)}."


def _values_in_words(difference: FactDifference) -> str:
    """Describe a fact's values: the most common first, each other one with its rows."""
    (most, _), *others = difference.holders.items()
    parts = (f"{printable(value)}: {_named(list(dict.fromkeys(titles)))}" for value, titles in others)
    return f"{difference.fact} {printable(most)} | {' | '.join(parts)}"


def _titles(runs: pd.DataFrame) -> list[str]:
    """Return the title of each run: only its network if that has a single run."""
    alone = Counter(runs["model"])
    pairs = zip(runs["model"], runs["seed"], strict=True)
    return [printable(model) if alone[model] == 1 else f"{printable(model)} seed {seed}" for model, seed in pairs]


def _speed_notes(runs: pd.DataFrame) -> Iterator[str]:
    places = {canonical([facts.get(key) for key in _SPEED_KEYS]) for facts in runs["environment"] if facts}
    if len(places) > 1:
        yield f"runs were done in {len(places)} different environments, so that their speeds do not compare."


def _sharing_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows shared their device with other runs, so that their speeds are not comparable."""
    shared = runs[runs["runs_at_once"].map(lambda at_once: not is_absent(at_once) and at_once > 1)]
    if len(shared):
        yield (
            f"up to {max(shared['runs_at_once'])} runs at once shared a device: the images a second of the runs marked "
            f"as shared ({_named(_models(shared))}) are no measure of speed."
        )


def _measured_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows lack a speed that others have, and which measurements did not become steady."""
    networks: dict[str, Any] = {str(run.model): run.speed for run in runs.itertuples()}
    sizes = [size for size in runs["input_size"] if not is_absent(size)]
    figures = speed_figures(list(networks.values()), input_size=sizes[0] if sizes else None)
    known = {model for model, figure in zip(networks, figures, strict=True) if figure["speed_situation"]}
    if known and len(known) < len(networks):
        apart = [printable(model) for model in networks if model not in known]
        yield f"no speed stands beside {_named(apart)}: it was not measured, or not in the situation of the other rows."
    restless = [
        printable(model) for model, figure in zip(networks, figures, strict=True) if figure["speed_steady"] is False
    ]
    if restless:
        yield f"the measured speed did not become steady while warming up: {_named(restless)}."
    for problem in dict.fromkeys(text for problems in runs["speed_problems"] for text in problems):
        yield f"a speed record was left out: {problem}."


def _models(runs: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(map(printable, runs["model"])))


def _named(models: Sequence[str]) -> str:
    return ", ".join(models[:_SHOWN_NETWORKS]) + (", …" if len(models) > _SHOWN_NETWORKS else "")
