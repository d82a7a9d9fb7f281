"""The command that lists the suites that come with segbench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segbench.cli.support.options import AsJson
from segbench.cli.terminal.output import tell, write_json, write_table


def suites(*, as_json: AsJson = False) -> None:
    """List the suites that come with segbench.

    Every command that takes a suite takes one of these by its name, such as 'segbench run quickstart'.
    """
    from segbench.config.shipped import shipped_suites

    facts = [_facts(name, file) for name, file in shipped_suites().items()]
    if as_json:
        write_json(facts)
        return
    titles = {"name": "name", "dataset": "data set", "networks": "networks", "seeds": "seeds", "description": "what"}
    rows = [[one[key] for key in titles] for one in facts]
    columns = list(titles.values())
    write_table(columns, rows, right=["networks", "seeds"], whole=["name", "data set"], drop=["seeds", "networks"])
    tell("'segbench run NAME' runs one; a copy of its file is the beginning of your own")


def _facts(name: str, file: Path) -> dict[str, Any]:
    from segbench.config.load import load_suite

    suite = load_suite(file)
    return {
        "name": name,
        "dataset": suite.dataset.name,
        "networks": len(suite.models),
        "seeds": len(suite.seeds),
        "description": suite.description,
        "file": str(file),
    }
