"""The table of ``segbench speed``, of the speed records that are published."""

import io
import re
from pathlib import Path

import pytest

from segbench.cli.commands.speed import _show
from segbench.results.speed.store import scan_speeds

PUBLISHED = Path(__file__).parents[4] / "published" / "results" / "camvid-cpu" / "speed"


@pytest.fixture(scope="module")
def records():
    if not PUBLISHED.is_dir():
        pytest.skip("the published results are in the repository only")
    return scan_speeds(PUBLISHED).records


@pytest.fixture
def lines(monkeypatch, records):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def show(width, of=records):
        stream = Terminal()
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", stream)
            patched.setenv("COLUMNS", str(width))
            patched.setenv("TERM", "xterm")
            _show(of, as_json=False)
        return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()

    return show


def test_at_80_columns_every_case_is_one_line_with_whole_numbers(lines, records):
    shown = lines(80)
    assert max(map(len, shown)) <= 80
    names = {record.case.label for record in records}
    rows = [line for line in shown if any(line.startswith(f"{name} ") for name in names)]
    assert len(rows) == len(records)
    assert all(line.endswith(" MB") for line in rows)


def test_each_task_has_its_table_and_says_once_what_is_the_same_for_all_its_cases(lines):
    titles = [line for line in lines(120) if line.startswith(("inference", "loading", "training"))]
    assert titles == [
        "inference, images of 120x160, fp32 eager logits channels-last",
        "loading, images of 120x160, batches of 4, fp32 eager",
        "training, images of 120x160, batches of 4, fp32 eager channels-last",
    ]


def test_a_figure_that_no_case_has_takes_no_column(lines):
    assert not any("p99" in line for line in lines(200)[lines(200).index("") :] if "loading" in line)
    assert all("-" not in line.split() for line in lines(200))


def test_one_restart_has_no_spread(lines, records):
    alone = [record.model_copy(update={"restarts": record.restarts[:1]}) for record in records]
    assert "±0.0%" not in "\n".join(lines(120, of=alone))
    assert any("±" in line for line in lines(120))
