"""Claims about what options read."""

from __future__ import annotations

import pytest

from segbench.cli.support.options import seconds_of
from segbench.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("20m", 1200), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), (" 2D ", 172_800)],
)
def test_times_are_read_in_seconds_minutes_hours_and_days(text, seconds):
    assert seconds_of(text, option="--time-limit") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "0", "0h", "5 minutes", "m", "1h 30m", "nan", "1e3"])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"--time-limit '.*': expected a time such as 90s, 20m, 1h30m or 2h"):
        seconds_of(text, option="--time-limit")


def test_no_time_is_no_limit():
    assert seconds_of(None, option="--time-limit") is None
