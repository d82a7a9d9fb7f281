"""Claims about numbers and names as text."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from segbench.report.text import (
    byte_count,
    code_block,
    code_span,
    count,
    escape_markdown,
    is_absent,
    plural,
    printable,
    rate,
    short_id,
    shown_path,
    with_spread,
)


@pytest.mark.parametrize("value", [None, math.nan, np.float64("nan"), pd.NA, pd.NaT])
def test_what_is_absent_is_shown_as_nothing(value):
    assert is_absent(value)
    assert with_spread(value, 0.1) == rate(value) == count(value) == short_id(value) == ""


@pytest.mark.parametrize("value", [0, 0.0, "", False, "nan"])
def test_zero_and_empty_are_not_absent(value):
    assert not is_absent(value)


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [(0.7, None, "0.700"), (0.7, math.nan, "0.700"), (0.71249, 0.01251, "0.712 ± 0.013"), (1.0, 0.0, "1.000 ± 0.000")],
)
def test_fractions_have_three_decimals_and_a_spread_where_there_is_one(mean, spread, text):
    assert with_spread(mean, spread) == text


@pytest.mark.parametrize(
    ("mean", "text"),
    [(1234.5, "1234"), (123.4, "123"), (99.96, "100"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123"),
     (0.0, "0.0"), (math.inf, "inf")],
)  # fmt: skip
def test_rates_have_three_digits(mean, text):
    assert rate(mean) == text


def test_a_rates_spread_has_the_same_decimals():
    assert rate(12.34, 1.5) == "12.3 ± 1.5"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (31_031_685, "31.0 M"), (134_270_000, "134 M"),
     (20_400_000_000, "20.4 G"), (999_999_999, "1.00 G"), (2e12, "2.00 T")],
)  # fmt: skip
def test_large_numbers_have_a_prefix(number, text):
    assert count(number) == text


def test_names_stay_on_one_line_and_show_what_is_hidden():
    assert printable("a\nb\tc\x1b[31m\u202ed\u00a0e") == "a b c\\x1b[31m\\u202ed e"
    assert printable("網路") == "網路"


def test_markdown_signs_are_escaped_and_words_are_left_alone():
    assert escape_markdown("a|b*c`d[e]<f>&$") == "a\\|b\\*c\\`d\\[e\\]&lt;f&gt;&amp;\\$"
    assert escape_markdown("fc_densenet56") == "fc_densenet56"
    assert escape_markdown("_x_ y_") == "\\_x\\_ y\\_"


def test_code_cannot_be_closed_from_within():
    assert code_span("a|b") == "`a\\|b`"
    assert code_span("`x") == "`` `x ``"
    assert code_block("a\n````\nb\n", language="yaml") == "`````yaml\na\n````\nb\n`````"


def test_nouns_agree_with_their_number():
    assert (plural(1, "seed"), plural(2, "seed"), plural(0, "run")) == ("1 seed", "2 seeds", "0 runs")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, ""), (0, "0 MB"), (12, "<0.001 MB"), (1_200, "0.001 MB"), (118_000_000, "118 MB"), (1.2e9, "1,200 MB")],
)
def test_sizes_have_a_unit(number, shown):
    assert byte_count(number) == shown


def test_folders_below_the_current_one_are_named_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "published" / "results" / "suite") == "published/results/suite"
    assert shown_path(tmp_path.parent / "elsewhere" / "results" / "suite") == "results/suite"
