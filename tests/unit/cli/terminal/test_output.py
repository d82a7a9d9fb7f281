"""Answers in JSON's own types, tables and words."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from segbench.cli.support.options import names, numbers, size
from segbench.cli.terminal.output import byte_count, duration, plain, shown, tell, write_facts, write_json, write_table
from segbench.errors import UsageError


def test_json_is_pure(capsys):
    write_json(
        {
            "nan": float("nan"),
            "inf": [math.inf, 1.5],
            "array": np.arange(3),
            "scalar": np.float64(2.5),
            "numpy nan": np.float32("nan"),
            "path": Path("a/b"),
            "tuple": (1, None, True),
            3: {"ü"},
        }
    )
    text = capsys.readouterr().out
    assert "NaN" not in text
    assert "ü" in text
    assert json.loads(text) == {
        "nan": None,
        "inf": [None, 1.5],
        "array": [0, 1, 2],
        "scalar": 2.5,
        "numpy nan": None,
        "path": str(Path("a/b")),
        "tuple": [1, None, True],
        "3": ["ü"],
    }


def test_messages_keep_their_lines_and_obey_nobody(capsys):
    tell("problem: two lines\n  \x1b[2Jcleared\u202e\n  網路\n")
    assert capsys.readouterr().err == "problem: two lines\n  \\x1b[2Jcleared\\u202e\n  網路\n\n"


def test_plain_values_stay_as_they_are():
    assert plain({"a": [1, 2.5, "x", None, False]}) == {"a": [1, 2.5, "x", None, False]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        ((), "-"),
        ((360, 480), "360, 480"),
        ("word", "word"),
    ],
)
def test_values_are_shown_to_people(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (1.5, "1.5 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min")],
)
def test_durations_are_words(seconds, text):
    assert duration(seconds) == text


def test_facts_are_aligned(capsys):
    write_facts({"a": 1, "longer": "x", "b": ""})
    assert capsys.readouterr().out == "a       1\nlonger  x\nb\n"
    write_facts({})
    assert capsys.readouterr().out == ""


def test_tables_are_not_cut_off_where_there_is_no_terminal(capsys):
    write_table(["name", "count"], [["x" * 300, 5], ["[bold]", None]], right=["count"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].split() == ["name", "count"]
    assert lines[2].split() == ["x" * 300, "5"]
    assert lines[3] == "[bold]"


def test_what_a_terminal_would_obey_is_spelled_out(capsys):
    write_table(["name"], [["a\x1b[2Jb\u202ec"], ["two\nlines"]])
    write_facts({"name": "x\x07"})
    assert capsys.readouterr().out.splitlines()[2:] == ["a\\x1b[2Jb\\u202ec", "two lines", "name  x\\x07"]


def test_lists_are_split_at_commas():
    assert names("a, b c ,,d", option="--models") == ["a", "b c", "d"]
    assert names(None, option="--models") is None
    with pytest.raises(UsageError, match="--models ' , ': names nothing"):
        names(" , ", option="--models")
    assert numbers("0, 1", option="--seeds") == [0, 1]
    assert numbers(None, option="--seeds") is None
    with pytest.raises(UsageError, match="--seeds '0,x': expected whole numbers"):
        numbers("0,x", option="--seeds")


def test_sizes_are_height_and_width():
    assert size("360x480") == size(" 360X480 ") == (360, 480)
    for text in ("360", "360x", "x480", "0x480", "-1x5", "1.5x2", "360x480x3"):
        with pytest.raises(UsageError, match="expected HEIGHTxWIDTH"):
            size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 MB"),
        (999, "<0.001 MB"),
        (126_900, "0.127 MB"),
        (14_700_000, "14.7 MB"),
        (999_600_000, "1,000 MB"),
        (118_000_000, "118 MB"),
        (1.2e10, "12,000 MB"),
    ],
)
def test_sizes_are_in_megabytes_whatever_their_size(count, text):
    assert byte_count(count) == text
