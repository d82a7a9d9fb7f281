"""Writes docs/what-changed.md: whether other data, recipes and forms, less data and other weather change the ranking.

    python benchmarks/what_changed.py > docs/what-changed.md

Every sentence and number below the introductions comes from the stored results under published/results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from segbench.cli.terminal.output import duration
from segbench.report.blocks import Block, Drawing, Heading, Paragraph
from segbench.report.deployment.section import deployment_section
from segbench.report.document.efficiency import efficiency_section
from segbench.report.formats.markdown import render_markdown
from segbench.report.further import Further
from segbench.report.joint.section import joint_of, joint_section
from segbench.report.joint.tables import NamedTable, leaderboards_of
from segbench.report.ranking.ranking import rank
from segbench.report.robustness.section import robustness_section
from segbench.report.runs.load import load_results

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "published" / "results"

TITLE = "# What changed the ranking?"
INTRODUCTION = """
Five questions that a leaderboard leaves open: is the best network still the best on other data, under another recipe,
in another runtime or at int8, with less data, and in fog? Below is what is known for small networks on two real data
sets and generated scenes, trained and tested on two CPU cores; each section says what it leaves open. All of it holds
for these networks and protocols. This page is written by `python benchmarks/what_changed.py` from the results under
`published/results`.
"""
DATA = """
The same ten small networks on cell nuclei (`suites/nuclei.yaml`), CamVid (`suites/camvid-cpu.yaml`) and generated
scenes (`suites/scenes.yaml`), two or three trainings each, with one recipe for each data set: optimizer, learning rate
and schedule are the same in all; the loss, the number of epochs, the augmentation and mirrored views of test images are
each suite's own. [How such tables are read together](robustness.md#several-data-sets-or-recipes); reports of the
[nuclei]({}), of [CamVid]({}) and of the [scenes]({}).
"""
DEPLOYED = """
Ten small networks of CamVid (`suites/camvid-challenges.yaml`), exported to other runtimes and quantised to int8:
[how](deploy.md), [report]({}). Times are of one process a case, while the other core was busy.
"""
LESS_DATA = """
Eight small networks on 383 to 48 images of cell nuclei, three trainings each, with the same number of optimizer steps
(`suites/data-efficiency.yaml`): [how](data-efficiency.md), [report]({}).
"""
WEATHER = """
The same ten networks of CamVid on 100 test images under eight corruptions at three severities:
[how](robustness.md), [report]({}).
"""

RECIPES = """
Four small networks on cell nuclei under fifteen recipes, three trainings of 188 steps each: one thing at a time is
changed, the learning rate, the loss, the optimizer (with a learning rate of its own), the initial weights or the
augmentation (`suites/ablation.yaml`): [what that allows to say](claims.md), [report]({}).
"""

SAME_NETWORKS = ("nuclei", "camvid-cpu", "scenes")
"""Suites of the same networks on different data."""
FOUND = 0.01
"""The share of a class's pixels that a network which has begun to learn it finds."""
FURTHER = {"Other runtimes, int8": "deployments", "Other weather": "robustness"}
"""Folders of the further tests that a section tells of."""


def main() -> int:
    """Write the page."""
    sys.stdout.write(page())
    return 0


def page() -> str:
    """Return the page."""
    challenges, nuclei = (Further.of(load_results(RESULTS / name)) for name in ("camvid-challenges", "data-efficiency"))
    parts = {
        "Other data": (DATA, SAME_NETWORKS, joint_view(*SAME_NETWORKS)),
        "Other recipes": (RECIPES, ("ablation",), [*joint_view("ablation"), *learning("ablation")]),
        "Other runtimes, int8": (DEPLOYED, ("camvid-challenges",), deployment_section(challenges.deployed, drawn)),
        "Less data": (
            LESS_DATA,
            ("data-efficiency",),
            efficiency_section(nuclei.efficiency, [drawn(None, "")] * len(nuclei.efficiency)),
        ),
        "Other weather": (WEATHER, ("camvid-challenges",), robustness_section(challenges.retested, drawn)),
    }
    sections = [
        f"## {title}\n{words.format(*map(link, suites))}{cost(suites, FURTHER.get(title))}\n"
        + render_markdown(told(blocks)).strip()
        for title, (words, suites, blocks) in parts.items()
    ]
    return "\n\n".join([f"{TITLE}\n{INTRODUCTION}".rstrip(), *sections]) + "\n"


def joint_view(*suites: str) -> list[Block]:
    """Return what is known of the networks over the tables of suites."""
    return joint_section(joint_of(rank(*(RESULTS / suite for suite in suites))), drawn)


def learning(suite: str) -> list[Block]:
    """Say how far recipes move each network, which networks hardly find a class, and which failed."""
    tables = leaderboards_of(rank(RESULTS / suite))
    labels = sorted({label for table in tables for label in table.scored})
    told = [moved(tables, labels), *(hardly(tables, label) for label in labels), *failures(tables)]
    return [Paragraph.of(text) for text in told if text]


def moved(tables: Sequence[NamedTable], labels: Sequence[str]) -> str:
    """Say between which means each network moves."""
    scores = {label: [table.scored[label].mean_iou for table in tables if label in table.scored] for label in labels}
    ranges = [f"{label} {min(means):.3f} to {max(means):.3f}" for label, means in scores.items()]
    return f"Mean IoU from the worst to the best of the {len(tables)} recipes: {', '.join(ranges)}."


def hardly(tables: Sequence[NamedTable], label: str) -> str | None:
    """Say under which recipes a network finds less than 1 % of a class's pixels in all its trainings, and in none."""
    recalls = {table.name: table.runs[table.runs["label"] == label]["class_recall"].dropna() for table in tables}
    missed = {name: [min(recall) < FOUND for recall in each] for name, each in recalls.items() if len(each)}
    always, never = ([f"'{name}'" for name in missed if set(missed[name]) == {wanted}] for wanted in (True, False))
    if len(never) == len(missed):
        return None
    return (
        f"{label} finds less than {100 * FOUND:.0f} % of the pixels of a class in all its trainings under "
        f"{len(always)} recipes ({', '.join(always)}), in some of them under {len(missed) - len(always) - len(never)}, "
        f"and in none under {len(never)} ({', '.join(never)}). Its place tells whether it has begun to learn, not how "
        "well it would end."
    )


def failures(tables: Sequence[NamedTable]) -> Iterator[str]:
    """Tell of networks that have no score under a recipe, with the reason of the first training."""
    for table in tables:
        for label, runs in table.runs[table.runs["status"] != "completed"].groupby("label"):
            yield f"{label} failed under '{table.name}' in {len(runs)} trainings: {runs['reason'].iloc[0]}."


def cost(suites: Sequence[str], further: str | None) -> str:
    """Say how long suites' runs took, and their further tests, as their records have it; added up over all of them."""
    runs = [read_json(file) for suite in suites for file in sorted((RESULTS / suite).glob("*/run.json"))]
    took = (
        f"Training and testing {len(runs)} runs took {duration(sum(run['timings']['total_seconds'] for run in runs))}"
    )
    if further is not None:
        folders = [RESULTS / suite / further for suite in suites]
        tests = [read_json(file) for folder in folders for file in sorted(folder.glob("*/*.json"))]
        took += f", and these {len(tests)} tests {duration(sum(test['seconds'] or 0.0 for test in tests))}"
    machines = sorted({(run["environment"]["processor"], run["environment"]["cores"]) for run in runs})
    where = "; ".join(f"{processor}, {cores} cores" for processor, cores in machines)
    most = max(run["runs_at_once"] for run in runs)
    at_once = f"up to {most} at a time" if most > 1 else "one at a time"
    return f"{took} ({where}; the times of all runs added up, {at_once}, one thread each).\n"


def read_json(file: Path) -> Any:
    """Read a record as it is stored."""
    return json.loads(file.read_text(encoding="utf-8"))


def told(blocks: Iterable[Block]) -> list[Block]:
    """Return verdicts and tables, without headings and figures."""
    return [block for block in blocks if not isinstance(block, Drawing | Heading)]


def drawn(plot: object, ending: str) -> Drawing:
    """Stand in the place of a figure."""
    del plot, ending
    return Drawing("", "", "", "", 0.0, 0.0)


def link(suite: str) -> str:
    """Return the address of a committed report."""
    return f"../published/reports/{suite}/leaderboard.md"


if __name__ == "__main__":
    sys.exit(main())
