"""What a notebook shows while a suite runs."""

import io

import pytest
from rich.console import Console

from segbench.api.progress import REFRESH_SECONDS, NotebookObserver, in_notebook
from segbench.engine.events import Notice, Progress, RunEnded, RunStarted
from segbench.results.record import Status


class Drawings:
    """Keeps what is drawn, as text."""

    def __init__(self):
        self.texts = []
        self.now = 0.0

    def __call__(self, content):
        console = Console(width=100, record=True, file=io.StringIO(), force_jupyter=False)
        console.print(content)
        self.texts.append(console.export_text())


@pytest.fixture
def drawings():
    return Drawings()


@pytest.fixture
def observer(drawings):
    return NotebookObserver(drawings, clock=lambda: drawings.now)


def started(run_id="a", number=1):
    return RunStarted(run_id, "U-Net", seed=0, number=number, total=2)


def step(done, run_id="a"):
    return Progress(run_id, "training", done, 10, "steps")


ENDED = RunEnded("a", "U-Net", Status.COMPLETED, None, seconds=3.0, mean_iou=0.5)


def test_bars_stand_below_the_lines_of_what_is_over(observer, drawings):
    for event in (started(), step(5), ENDED, started("b", number=2), Notice("something")):
        drawings.now += 1
        observer(event)
    lines = [line for line in drawings.texts[-1].splitlines() if line.strip()]
    assert lines[:2] == ["U-Net: completed after 3.0 s, mIoU 0.500", "note: something"]
    assert lines[2].startswith("all runs")
    assert "training" in drawings.texts[1]
    assert "5/10" in drawings.texts[1]


def test_advances_are_drawn_now_and_then_and_all_else_at_once(observer, drawings):
    observer(started())
    before = len(drawings.texts)
    for done in range(5):
        observer(step(done))
    assert len(drawings.texts) == before
    drawings.now += REFRESH_SECONDS
    observer(step(6))
    assert len(drawings.texts) == before + 1
    observer(ENDED)
    assert len(drawings.texts) == before + 2


def test_lines_alone_stay_at_the_end(observer, drawings):
    observer(started())
    observer(ENDED)
    observer.finish()
    assert drawings.texts[-1].strip() == "U-Net: completed after 3.0 s, mIoU 0.500"


def test_names_are_no_markup(observer, drawings):
    observer(Notice("[red]x[/red] <b>y</b>"))
    assert "[red]x[/red] <b>y</b>" in drawings.texts[-1]


def test_a_plain_process_is_no_notebook():
    assert not in_notebook()
