"""What a terminal of few columns shows: whole numbers in fewer columns, and text that breaks between words."""

import io
import re

import pytest

from segbench.cli.terminal.output import emphasized, tell, write_facts, write_table

TITLES = ["model", "batch", "img/s", "p50 ms", "p99 ms", "what it is"]
ROWS = [
    ["U-Net", 1, "123.4", "8.10", "11.9", "a network of many words that is described here at some length"],
    ["FC-DenseNet (small)", 32, "1,234,567", "812.5", "1,234.5", "short"],
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Both streams, as terminals of a width; what is shown comes without colours."""
    monkeypatch.setenv("TERM", "xterm")

    def show(width, write):
        streams = Terminal(), Terminal()
        with monkeypatch.context() as patched:  # pytest has streams of its own while a test runs
            patched.setattr("sys.stdout", streams[0])
            patched.setattr("sys.stderr", streams[1])
            patched.setenv("COLUMNS", str(width))
            write()
        return [re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) for stream in streams]

    return show


def table(**options):
    return lambda: write_table(TITLES, ROWS, right=TITLES[1:5], whole=["model"], **options)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_folded(terminal, width):
    out, _ = terminal(width, table())
    lines = out.splitlines()
    assert max(map(len, lines)) <= width
    cells = {cell for row in ROWS for cell in map(str, row[:5])}
    assert lines[2].startswith("U-Net")
    assert {word for word in out.split() if word[0].isdigit()} <= cells
    assert "FC-DenseNet (small)" in out


def test_columns_go_in_the_order_of_their_importance_and_are_named(terminal):
    out, err = terminal(46, table(drop=["what it is", "p99 ms", "batch"]))
    assert out.splitlines()[0].split() == ["model", "img/s", "p50", "ms"]
    assert err == "left out, as the terminal is narrow: batch, p99\nms, what it is\n"


def test_a_wide_terminal_shows_all_and_says_nothing(terminal):
    out, err = terminal(160, table())
    assert all(title in out for title in TITLES)
    assert err == ""


def test_facts_and_messages_break_between_words(terminal):
    path = "/a/path/that/is/longer/than/the/terminal/is/wide"
    out, err = terminal(30, lambda: (write_facts({"paper": "word " * 12, "n": 1}), tell(f"note: see {path} for more")))
    lines = out.splitlines()
    assert all(len(line) <= 30 and set(line.split()) <= {"paper", "word", "n", "1"} for line in lines)
    assert all(line.startswith(" " * 7) for line in lines[1:-1])
    assert path in err.split()


def test_the_winner_is_bold_on_a_terminal_alone(terminal):
    text = "It is FCN-8s (ImageNet, wide) that leads; FCN-8s (ImageNet, wide) has 134 M parameters."
    shown = []
    terminal(40, lambda: shown.append(emphasized(text, "FCN-8s (ImageNet, wide)")))
    assert shown[0].count("\x1b[1mFCN-8s (ImageNet, wide)\x1b[0m") == 1
    assert " ".join(re.sub(r"\x1b\[[0-9;]*m", "", shown[0]).split()) == text
    assert emphasized(text, "FCN-8s (ImageNet, wide)") == text
