"""Progress: bars on a terminal, lines elsewhere, nothing for what is quick."""

import io
import re

import pytest

from segbench.cli.terminal import bars, progress
from segbench.cli.terminal.progress import Meter, PlainObserver, counting, ending, observing
from segbench.engine.events import Notice, Progress, RunEnded, RunStarted
from segbench.results.record import Status

EVENTS = [
    Progress("", "data", 3, 4, "train"),
    RunStarted("id", "U-Net [small]", 7, 2, 3),
    Progress("id", "training", 10, 40, "steps", {"loss": 0.51234}),
    Progress("id", "evaluation", 1, 2, "images"),
    Notice("the data has changed"),
    RunEnded("id", "U-Net [small]", Status.COMPLETED, None, 75.0, 0.7123),
    RunStarted("id2", "SegNet", 7, 3, 3),
    RunEnded("id2", "SegNet", Status.FAILED, "out of memory", 1.5, None),
]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(name="terminal")
def make_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    return Terminal()


def test_lines_tell_every_run_and_how_it_ended():
    stream = io.StringIO()
    observer = PlainObserver(stream, clock=Clock())
    for event in EVENTS:
        observer(event)
    assert stream.getvalue().splitlines() == [
        "[2/3] U-Net [small], seed 7",
        "note: the data has changed",
        "  completed after 1 min 15 s, mIoU 0.712",
        "[3/3] SegNet, seed 7",
        "  failed after 1.5 s: out of memory",
    ]


ODD = [
    RunStarted("id", "two\nlines \x1b[31m", 0, 1, 1),
    RunEnded("id", "two\nlines \x1b[31m", Status.FAILED, "a\nb\x07", 1.0, None),
]


def test_a_label_is_one_line_and_commands_to_the_terminal_are_spelled_out(terminal):
    plain = io.StringIO()
    lines = PlainObserver(plain, clock=Clock())
    with observing(terminal) as observer:
        for event in ODD:
            observer(event)
            lines(event)
    assert plain.getvalue().splitlines() == [
        "[1/1] two lines \\x1b[31m, seed 0",
        "  failed after 1.0 s: a",
        "b\\x07",
    ]
    assert "two lines \\x1b[31m: failed after 1.0 s: a" in terminal.getvalue()
    assert "\x1b[31m" not in terminal.getvalue()


def test_a_long_run_tells_rate_time_left_and_loss_now_and_then():
    stream, clock = io.StringIO(), Clock()
    observer = PlainObserver(stream, clock=clock)
    observer(RunStarted("id", "U-Net", 0, 1, 1))
    for step in range(1, 41):
        clock.now = step - 1.0
        observer(Progress("id", "training", step, 40, "steps", {"loss": 0.51234}))
    lines = stream.getvalue().splitlines()[1:]
    assert lines[0] == "  training 3/40 steps, 1 steps/s, 37 s left, loss 0.5123"
    assert [re.search(r"training (\d+)/", line)[1] for line in lines] == ["3", "13", "23", "33"]


def test_reading_data_is_told_by_split():
    stream, clock = io.StringIO(), Clock()
    observer = PlainObserver(stream, clock=clock)
    observer(EVENTS[0])
    clock.now = 5.0
    observer(Progress("", "data", 4, 4, "train"))
    assert stream.getvalue() == "  reading train 4/4 images, 0.2 images/s, 0.0 s left\n"


def test_a_meter_starts_anew_with_every_title():
    stream, clock = io.StringIO(), Clock()
    meter = Meter(stream, clock=clock)
    for title, now in (("first", 0.0), ("second", 3.0), ("second", 4.0), ("second", 6.0)):
        clock.now = now
        meter.show(title, 1, total=None, unit="MB")
    assert stream.getvalue() == "  second 1 MB, 0 MB/s\n"


def test_what_is_quick_shows_nothing_and_what_is_slow_shows_lines(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    stream = io.StringIO()
    monkeypatch.setattr(Meter.__init__, "__kwdefaults__", {"clock": clock})
    with counting("scoring", "images", stream=stream) as advance:
        advance(1, 10)
        clock.now = 1.0
        advance(2, 10)
        assert stream.getvalue() == ""
        clock.now = 4.0
        advance(5, 10)
    assert stream.getvalue() == "  scoring 5/10 images, 1 images/s, 5.0 s left\n"


def test_bars_show_the_suite_the_run_and_its_end(terminal):
    with observing(terminal) as observer:
        for event in EVENTS:
            observer(event)
            observer.shown.refresh()
    shown = terminal.getvalue()
    for text in (
        "data: reading train",
        "all runs",
        "U-Net [small], seed 7: training",
        "10/40",
        "loss 0.5123",
        "U-Net [small], seed 7: evaluation",
        "note: the data has changed",
        "U-Net [small]: completed after 1 min 15 s, mIoU 0.712",
        "SegNet: failed after 1.5 s: out of memory",
        "runs",
    ):
        assert text in shown


def test_only_the_present_stage_has_a_bar(terminal):
    with observing(terminal) as observer:
        for event in EVENTS[:4]:
            observer(event)
        titles = [task.description for task in observer.shown.tasks]
        assert titles == ["all runs", "U-Net [small], seed 7: evaluation"]
        assert observer.shown.tasks[0].completed == pytest.approx(1 + 0.9 + 0.1 / 2)
        observer(EVENTS[5])
        assert [(task.description, task.completed) for task in observer.shown.tasks] == [("all runs", 2)]


def test_a_bar_is_hidden_until_it_has_taken_long(terminal, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    with counting("scoring", "images", stream=terminal) as advance:
        advance(1, 10)
        clock.now = 3.0
        advance(5, 10)
    shown = terminal.getvalue()
    assert "1/10" not in shown
    assert "scoring" in shown
    assert "5/10" in shown


def test_a_title_replaces_the_first_one_at_once(terminal):
    with counting("downloading", "MB", stream=terminal) as advance:
        advance(5, 10)
        advance(10, 10, title="unpacking")
    assert "unpacking" in terminal.getvalue()
    assert "downloading" not in terminal.getvalue()


def test_rates_are_shown_a_second_or_a_minute(terminal):
    column = bars.RateColumn()

    class Task:
        def __init__(self, speed, unit="images"):
            self.speed, self.fields = speed, {"unit": unit}

    assert str(column.render(Task(0.5, "runs"))) == "runs"
    assert [str(column.render(Task(speed))) for speed in (None, 1234.5, 12.34, 0.05)] == [
        "images",
        "images 1,234/s",
        "images 12.3/s",
        "images 3/min",
    ]


def test_a_completed_run_without_score_and_a_skipped_one_are_told():
    assert ending(RunEnded("id", "a", Status.COMPLETED, None, 2.0, None)) == "completed after 2.0 s"
    assert ending(RunEnded("id", "a", Status.SKIPPED, "too small", 2.0, None)) == "skipped after 2.0 s: too small"


@pytest.mark.parametrize("columns", [80, 100, 130, 160])
def test_rate_and_time_left_are_seen_beside_a_long_label(columns, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    label = "DeepLabV3+ with an EfficientNet encoder and a very long name indeed"
    with observing(terminal) as observer:
        observer.shown.get_time = clock = Clock()
        observer(RunStarted("id", label, 12, 7, 10))
        for clock.now, step in ((0.0, 0), (1.0, 1), (3.0, 4000)):
            observer(Progress("id", "training", step, 12000, "steps", {"loss": 0.51234, "lr": 0.001}))
        observer.shown.refresh()
        lines = [re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", line) for line in re.split(r"[\r\n]", terminal.getvalue())]
    shown = next(line for line in lines if "4000/12000" in line)
    assert len(shown) <= columns
    assert shown.startswith("DeepLabV3+")
    assert ": training" in shown
    assert "steps 2,000/s 0:00:05" in shown  # 3,999 steps in the two seconds since the first
    assert ("loss" in shown) == (columns >= 130)


def test_a_text_is_cut_before_its_stage():
    assert bars.cut("U-Net: training", 15) == "U-Net: training"
    assert bars.cut("U-Net: training", 13) == "U-…: training"
    assert bars.cut("U-Net: training", 8) == "U-Net: …"
    assert bars.cut("checking train", 9) == "checking…"
