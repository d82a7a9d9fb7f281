"""The sections of a report on tuning: trials, chosen values, and each network with both recipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from segbench.config.plan import digest
from segbench.config.titles import in_words
from segbench.errors import StoreError
from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import SIGNIFICANT
from segbench.report.blocks import Block, Cell, Heading, Paragraph, Table
from segbench.report.compare.compare import compare
from segbench.report.document.summary import listed
from segbench.report.figures.plot import Plot
from segbench.report.figures.tuned import tuning_slopes
from segbench.report.runs.network_identity import network_key
from segbench.report.runs.protocols import protocol_groups
from segbench.report.runs.trials import Tried, by_fold, by_place, chosen_of, search_in_words, tried_for, values_in_words
from segbench.report.text import is_absent, printable, short_id, with_spread
from segbench.results.record import Status


class Search(NamedTuple):
    """One tuned protocol.

    Attributes:
        protocol: Its id.
        untuned: That of the recipe that is the same for all networks.
        recipe: The recipe before anything was chosen, and the search.
        runs: Its runs, completed or not.
    """

    protocol: str
    untuned: str
    recipe: Mapping[str, Any]
    runs: pd.DataFrame


def searches(runs: pd.DataFrame) -> list[Search]:
    """Return the tuned protocols among runs."""
    found = []
    for protocol, group in protocol_groups(runs):
        recipe = group["recipe"].iloc[0]
        if protocol is not None and search_in_words(recipe):
            untuned = digest({key: value for key, value in recipe.items() if key != "tuning"})
            found.append(Search(protocol, untuned, recipe, group))
    return found


def tuning_section(runs: pd.DataFrame, trials: pd.DataFrame) -> list[Block]:
    """Return the sections on tuning; nothing if nothing was tuned.

    Args:
        runs: Rows of ``load_results``, each run once.
        trials: The trials that are stored beside them.
    """
    blocks: list[Block] = []
    for search in searches(runs):
        name = f"Tuning for protocol {short_id(search.protocol)}"
        blocks += [
            Heading(name, anchor="trials", link=name),
            Paragraph.of(_rule(search.recipe)),
        ]
        blocks += _trials(search, trials)
        blocks += _both(search, runs)
    return blocks


def both_protocols(search: Search, runs: pd.DataFrame) -> pd.DataFrame | None:
    """Compare each network by the identical recipe (first) and tuned (second), with the columns of ``compare``.

    Args:
        search: The tuned protocol.
        runs: Rows of ``load_results``.

    Returns:
        The comparison; None if no network was completed by both.
    """
    untuned = runs[[protocol == search.untuned for protocol in runs["protocol"]]]
    try:
        return compare(untuned, search.runs.assign(tuning=None)).networks
    except StoreError:
        return None


def tuning_plots(runs: pd.DataFrame) -> Iterator[tuple[str, Plot]]:
    """Yield a figure for each tuning, with its protocol; none if no network was completed with both recipes."""
    for search in searches(runs):
        if (found := both_protocols(search, runs)) is not None:
            yield search.protocol, tuning_slopes(found, (search.untuned, search.protocol))


def tuning_answers(runs: pd.DataFrame) -> list[str]:
    """Return two sentences on each tuning; none if no network was completed with both recipes."""
    compared = (both_protocols(search, runs) for search in searches(runs))
    return [f"{_changes(found)} {_certainty(found)}" for found in compared if found is not None]


def _changes(found: pd.DataFrame) -> str:
    """Return which networks tuning made better and worse, as a sentence."""
    rows = found.assign(shown=found["difference"].astype(float).round(3)).sort_values("shown", ascending=False)
    better, worse = rows[rows["shown"] > 0], rows[rows["shown"] < 0].iloc[::-1]
    parts = [f"raised the mean IoU of {_with_changes(better)}"] if len(better) else []
    if len(worse):
        parts.append(f"lowered {'that' if parts else 'the mean IoU'} of {_with_changes(worse)}")
    same = [printable(model) for model in rows[rows["shown"] == 0]["first"]]
    if same:
        parts.append(f"left {listed(same)} unchanged")
    return f"Tuning {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}."


def _with_changes(rows: pd.DataFrame) -> str:
    return listed([f"{printable(row['first'])} ({row['shown']:+.3f})" for _, row in rows.iterrows()])


def _certainty(found: pd.DataFrame) -> str:
    """Return a sentence on the significance of these differences."""
    if found["p_value"].isna().all():
        return "Networks were trained once by each recipe: another seed may change these differences."
    sure = [printable(row["first"]) for _, row in found[found["p_value"] < SIGNIFICANT].iterrows()]
    bound = f"(Holm-adjusted p below {SIGNIFICANT:.2f})"
    return f"Significant {bound}: {listed(sure)}." if sure else f"No difference is significant {bound}."


def tuning_facts(runs: pd.DataFrame, trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the same for programs: for each tuned protocol its trials and its networks by both protocols."""
    facts = []
    for search in searches(runs):
        tried = [
            {"network": model, "values": one.values, "validation_mean_iou": one.mean_iou, "chosen": one is chosen}
            for model, found in _by_network(search, trials)
            for chosen in [chosen_of(found)]
            for one in found
        ]
        facts.append(
            {
                "protocol": search.protocol,
                "untuned_protocol": search.untuned,
                "trials": tried,
                "networks": _records(search, runs),
            }
        )
    return facts


def _records(search: Search, runs: pd.DataFrame) -> list[dict[str, Any]]:
    found = both_protocols(search, runs)
    if found is None:
        return []
    names = ["first", "first_value", "second_value", "difference", "low", "high", "p_value"]
    renamed = {"first": "network", "first_value": "identical_recipe", "second_value": "tuned"}
    frame = found[names].rename(columns=renamed)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _rule(recipe: Mapping[str, Any]) -> str:
    """Return a description of the search."""
    search, dataset = recipe["tuning"], recipe["dataset"]
    if dataset.get("folds"):
        return _rule_of_folds(recipe)
    listed = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in search["grid"].items())
    words = search_in_words(recipe)
    return (
        f"Every network was {words} ({listed}), trained on the split {dataset['train_split']} with seed "
        f"{search['seed']} and scored on {dataset['validation_split']}, never on {dataset['test_split']}. Each was "
        "then trained with the full recipe and its best values, on a tie the earlier ones."
    )


def _rule_of_folds(recipe: Mapping[str, Any]) -> str:
    """Return a description of a cross-validation's search."""
    search = recipe["tuning"]
    listed = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in search["grid"].items())
    return (
        f"For each fold, every network was {search_in_words(recipe)} ({listed}), trained with seed {search['seed']} on "
        "the folds but this one and the next, scored on the next, and never on the fold itself. Each was then trained "
        "with the full recipe on all folds but the tested one, with its best values, on a tie the earlier ones."
    )


def _by_network(search: Search, trials: pd.DataFrame) -> Iterator[tuple[str, list[Tried]]]:
    """Yield each network's name with its trials; once for all its seeds."""
    stored, seen = by_place(trials), set()
    for run in by_fold(search.runs):
        key = network_key(run)
        tried = [] if key in seen else tried_for(run, stored)
        if tried:
            seen.add(key)
            yield str(run.model), tried


def _trials(search: Search, trials: pd.DataFrame) -> list[Block]:
    rows: list[list[Cell | str]] = []
    for model, tried in _by_network(search, trials):
        chosen = chosen_of(tried)
        rows += [[model, in_words(one.values), *_scored(one), "yes" if one is chosen else ""] for one in tried]
    if not rows:
        return [Paragraph.of("The trials are not among these results.")]
    titles = ["network", "tried", "validation mIoU", "outcome", "chosen"]
    return [Table.of("trials", titles, rows, "::-::")]


def _scored(one: Tried) -> list[Cell | str]:
    return [Cell(with_spread(one.mean_iou, None) or "-", one.mean_iou), one.reason or "completed"]


def _both(search: Search, runs: pd.DataFrame) -> list[Block]:
    found = both_protocols(search, runs)
    if found is None:
        return [Paragraph.of("No network was completed by both the identical recipe and its tuned one.")]
    completed = search.runs[search.runs["status"] == Status.COMPLETED]
    chosen = {str(run.model): values_in_words(run.tuning) for run in completed.itertuples()}
    rows = [_beside(row, chosen.get(str(row["second"])) or "") for _, row in found.iterrows()]
    titles = ["network", "identical recipe", "tuned", "tuned to", "difference", "95 % interval", "p"]
    known = found[found["low"].notna()]
    once = known[known["scope"] == Scope.WEIGHTS]
    certainty = "p values are Holm-adjusted over networks"
    if len(once):
        whose = "" if len(once) == len(known) else f" of {', '.join(map(str, once['first']))}"
        certainty = f"one training on a side: the intervals{whose} are of these weights, without a p value"
    words = (
        f"Test mIoU by the identical recipe (protocol {short_id(search.untuned)}) and tuned, the mean over seeds; "
        f"{certainty}."
    )
    notes = [Paragraph.of(f"No interval: {note}.") for note in dict.fromkeys(found["note"].dropna())]
    return [Paragraph.of(words), Table.of("both-protocols", titles, rows, ":--:-:-"), *notes]


def _beside(row: pd.Series[Any], chosen: str) -> Sequence[Cell | str]:
    interval = "" if is_absent(row["low"]) else f"{row['low']:+.3f} to {row['high']:+.3f}"
    p_value = "" if is_absent(row["p_value"]) else f"{row['p_value']:.3f}" if row["p_value"] >= 0.001 else "<0.001"
    return [
        str(row["first"]),
        Cell(with_spread(row["first_value"], None), row["first_value"]),
        Cell(with_spread(row["second_value"], None), row["second_value"]),
        chosen,
        Cell(f"{row['difference']:+.3f}", row["difference"]),
        interval,
        p_value,
    ]
