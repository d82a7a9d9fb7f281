"""Running a suite from Python: what is shown of it, and where it is done."""

import linecache
import sys
from types import ModuleType

import pytest

from segbench import load_suite, run_suite
from segbench.engine.events import Notice, RunEnded, RunStarted
from segbench.errors import UsageError

CELL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.layer = nn.Conv2d(channels, classes, 1)

    def forward(self, images):
        return self.layer(images)
"""


@pytest.fixture
def with_own_network(suite, monkeypatch):
    """The suite, with a network that a notebook's cell defines."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setitem(linecache.cache, "<cell>", (len(CELL), None, CELL.splitlines(keepends=True), "<cell>"))
    exec(compile(CELL, "<cell>", "exec"), vars(main))
    return load_suite({**suite.written, "models": [main.Net]})


def test_runs_are_shown_as_lines_where_nobody_watches(suite, tmp_path, capsys):
    outcome = run_suite(suite, results=tmp_path, in_process=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "[1/1] cnn, seed 0" in shown.err
    assert "completed after" in shown.err
    assert repr(outcome) == f"<SuiteOutcome of {tmp_path / 'small'}: 1 runs done, 0 done before, 0 left>"


def test_without_progress_nothing_is_shown(suite, tmp_path, capsys):
    assert run_suite(suite, results=tmp_path, in_process=True, progress=False).complete
    assert capsys.readouterr() == ("", "")


def test_an_observer_is_told_in_place_of_the_progress(suite, tmp_path, capsys):
    told = []
    run_suite(suite, results=tmp_path, in_process=True, observer=told.append)
    assert capsys.readouterr() == ("", "")
    assert [type(event) for event in told if isinstance(event, RunStarted | RunEnded)] == [RunStarted, RunEnded]


def test_a_network_of_a_notebook_runs_in_its_process_and_that_is_told(with_own_network, tmp_path):
    told = []
    outcome = run_suite(with_own_network, results=tmp_path, observer=told.append)
    assert outcome.complete
    assert outcome.records[0].model.parameters == 3 * 8 + 8
    assert outcome.records[0].model.source_digest
    notices = [event.text for event in told if isinstance(event, Notice)]
    assert notices[0].startswith("Net is defined in this notebook or prompt alone: its runs are done in this process")


@pytest.mark.parametrize("given", [{"in_process": False}, {"launcher": object()}])
def test_a_network_of_a_notebook_has_no_other_process(with_own_network, tmp_path, given):
    with pytest.raises(UsageError, match=r"Net is defined in this notebook .* leave in_process and launcher out"):
        run_suite(with_own_network, results=tmp_path, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_is_told_to_be_loaded_first():
    with pytest.raises(UsageError, match=r"run_suite takes what load_suite returns, not a dict"):
        run_suite({"dataset": "scenes"})
