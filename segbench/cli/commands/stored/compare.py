"""Commands that compare results: compare, joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.support.options import AsJson
from segbench.cli.terminal.output import counted, shown, tell, write_json, write_table
from segbench.cli.terminal.waiting import doing
from segbench.report.compare.caveats import caveats, named
from segbench.report.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from segbench.report.compare.compare import Compared

_WORDS = {
    "mean_iou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_recall": "mean recall",
    "frequency_weighted_iou": "fw-IoU",
    "mean_dice": "Dice",
    "mean_precision": "precision",
}


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A run's folder, a suite's, or a folder of suites.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="What it is compared with.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Compare two runs, or two folders of results.

    Of folders, the networks that both have are compared. Differences are B minus A, with 95 % intervals where both were
    tested on the same data. Of networks with several seeds each, these are about the networks. Else they are about the
    weights at hand: one training cannot tell networks apart.
    """
    from segbench.report.compare.compare import compare as compared
    from segbench.report.runs.load import load_results

    with doing("reading and comparing the runs"):
        found = compared(load_results(first), load_results(second))
    if as_json:
        write_json(_facts(found) | {"notes": caveats(found.networks)})
        return
    _show(found)
    for text in caveats(found.networks):
        tell(f"note: {text}")


def _facts(found: Compared) -> dict[str, Any]:
    return {
        "networks": _records(found.networks),
        "scores": _records(found.scores),
        "classes": _records(found.classes.rename_axis("class").reset_index()),
        "protocols": dict(zip(("first", "second"), found.protocols, strict=True)),
        "recipe": [{"key": key, "values": values} for key, values in found.recipe],
        "only_first": found.only_first,
        "only_second": found.only_second,
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _show(found: Compared) -> None:
    single = len(found.scores) > 0
    rows, title = (found.scores, "score") if single else (found.networks, "network")
    if single:
        row = rows.iloc[0]
        for side, which in (("A", "first"), ("B", "second")):
            typer.echo(f"{side}: {printable(row[which])} ({counted(row[f'{which}_seeds'], 'seed')})")
        typer.echo()
    of_weights = bool(((rows["scope"] == "weights") & rows["trained"]).all())
    titles = [title, "A", "B", "B - A", "95 %, these weights" if of_weights else "95 % interval", "p"]
    cells = [
        [_WORDS[row["score"]] if single else named(row["first"], row["second"]), *_figures(row)]
        for _, row in rows.iterrows()
    ]
    if rows["p_value"].isna().all():
        titles, cells = titles[:-1], [line[:-1] for line in cells]
    if rows["speed_ratio"].notna().any() and not single:
        titles.append("speed B/A")
        cells = [[*line, _ratio(value)] for line, value in zip(cells, rows["speed_ratio"], strict=True)]
    write_table(titles, cells, right=titles[1:])
    if single:
        _show_classes(found.classes)
    _tell_more(found, rows)


def _show_classes(classes: pd.DataFrame) -> None:
    typer.echo()
    lines = [
        [str(name), _fraction(first), _fraction(second), "" if _missing(difference) else f"{difference:+.3f}"]
        for name, (first, second, difference) in zip(classes.index, classes.to_numpy(), strict=True)
    ]
    write_table(["IoU by class", "A", "B", "B - A"], lines, right=["A", "B", "B - A"])


def _tell_more(found: Compared, rows: pd.DataFrame) -> None:
    """Report what the tables do not show."""
    for note in dict.fromkeys(rows["note"].dropna()):
        tell(f"note: no interval: {note}")
    for which, side in (("A", "first"), ("B", "second")):
        over = rows[f"{side}_precision_over"].iloc[0]
        if len(found.scores) and isinstance(over, str):
            tell(f"note: mean precision of {which} is {over}: the others are labelled but never predicted")
    ratio = rows["speed_ratio"].iloc[0]
    if len(found.scores) and ratio == ratio and ratio is not None:  # noqa: PLR0124 - NaN is what it does not equal
        tell(f"speed: B makes {_ratio(ratio)} times the images a second of A")
    for _, row in found.networks.iterrows():
        for name, values in row["differing"].items():
            shown_values = " | ".join(map(shown, values))
            tell(printable(f"not the same network: {named(row['first'], row['second'])}: {name}: {shown_values}"))
    for key, values in found.recipe:
        both = (_under(values, protocols) for protocols in found.protocols)
        tell(printable(f"the recipes differ: {key}: {' | '.join(both)}"))
    for which, models in (("A", found.only_first), ("B", found.only_second)):
        if models:
            tell(printable(f"only in {which}: {', '.join(models)}"))


def _under(values: Mapping[str, Any], protocols: Sequence[str]) -> str:
    """Return the values of a recipe key under the protocols of one side."""
    known = (shown(values[name]) if name in values else "absent" for name in protocols)
    return ", ".join(dict.fromkeys(known))


def _figures(row: pd.Series[Any]) -> list[str]:
    interval = "" if _missing(row["low"]) else f"{row['low']:+.3f} to {row['high']:+.3f}"
    p_value = "" if _missing(row["p_value"]) else _probability(row["p_value"])
    values = (_fraction(row["first_value"]), _fraction(row["second_value"]), f"{row['difference']:+.3f}")
    return [*values, interval, p_value]


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124


def _fraction(value: float) -> str:
    return "-" if _missing(value) else f"{value:.3f}"


def _ratio(value: float) -> str:
    return "" if _missing(value) else f"{value:.2f}"


def joint(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of suites below a results root.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Rank networks over several data sets or recipes.

    Shown are the ranks in each table, the mean rank, and how near networks come to the best. Networks are
    the same where their labels are. Scores of different tables are never averaged. 'segbench report' draws the same.
    """
    from segbench.report.joint import section
    from segbench.report.joint.joint import joint as joined
    from segbench.report.joint.words import caveats as notes_of
    from segbench.report.joint.words import how_sure, verdict
    from segbench.report.ranking.ranking import rank

    with doing("reading and comparing the runs"):
        found = joined(rank(*folders))
    if as_json:
        write_json(section.joint_facts(found))
        return
    for table in (section.ranks(found), section.summary(found)):
        write_table(table.titles, [[cell.text for cell in row] for row in table.rows], right=table.titles[1:])
        typer.echo()
    tell(f"{verdict(found)} {how_sure(found)}")
    tell(
        "In the tables: rank (mean IoU); 'left open': the mean ranks that trainings and images leave open; 'within': "
        "in which share of the tables a network comes so near to the best."
    )
    for text in notes_of(found):
        tell(f"note: {text}")
