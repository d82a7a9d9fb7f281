"""Deciding against stored times: Welch's interval, with scipy and hand-worked cases as oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segbench.speed.gate.decision import Rule, Verdict
from segbench.speed.gate.decision_unpaired import Times, decide_unpaired, more_needed_unpaired

ONE_LOOK = Rule(looks=(5,))
BASE = (1.00, 1.01, 0.99, 1.02, 0.98)


def decide(base, head, rule=ONE_LOOK):
    return decide_unpaired({"case": Times(base, head)}, rule)["case"]


def test_the_interval_is_welchs():
    head = (1.08, 1.15, 1.02, 1.11, 1.09)
    oracle = stats.ttest_ind(np.log(head), np.log(BASE), equal_var=False)
    found = decide(BASE, head)
    interval = oracle.confidence_interval(1 - ONE_LOOK.rate_of_a_look)
    assert found.interval.low == pytest.approx(math.exp(interval.low), rel=1e-12)
    assert found.interval.high == pytest.approx(math.exp(interval.high), rel=1e-12)
    assert found.p_value == pytest.approx(oracle.pvalue / 2, rel=1e-9)
    assert found.ratio == pytest.approx(math.exp(np.log(head).mean() - np.log(BASE).mean()))


def test_the_same_times_pass_and_twice_the_time_has_regressed():
    assert decide(BASE, BASE).verdict is Verdict.PASSED
    assert decide(BASE, [2 * time for time in BASE]).verdict is Verdict.REGRESSED


def test_a_small_but_certain_slowdown_passes():
    assert decide(BASE, [1.02 * time for time in BASE]).verdict is Verdict.PASSED


def test_times_that_scatter_too_much_are_inconclusive():
    assert decide((1.0, 1.5, 0.7, 1.2, 0.8), (1.1, 1.6, 0.8, 1.3, 0.9)).verdict is Verdict.INCONCLUSIVE


def test_times_that_agree_to_the_last_bit_are_decided():
    assert decide([1.0] * 5, [1.2] * 5).verdict is Verdict.REGRESSED
    assert decide([1.0] * 5, [1.0] * 5).verdict is Verdict.PASSED


@pytest.mark.parametrize(("base", "head"), [([1.0], BASE), (BASE, [1.0])])
def test_one_restart_has_no_spread_and_never_passes(base, head):
    found = decide(base, head)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "holds one restart" in found.reason


def test_open_cases_ask_for_restarts_up_to_the_next_look():
    noisy = Times((1.0, 1.5, 0.7, 1.2, 0.8), (1.1, 1.6, 0.8, 1.3, 0.9))
    times = {"noisy": noisy, "fine": Times(BASE, BASE), "begun": Times(BASE, ()), "single": Times((1.0,), ())}
    assert more_needed_unpaired(times, Rule(looks=(5, 8))) == {"noisy": 3, "begun": 5}
    assert more_needed_unpaired({"noisy": noisy}, ONE_LOOK) == {}


@given(slowdown=st.floats(0.5, 3.0), unit=st.floats(1e-6, 1e3))
def test_the_unit_of_time_changes_nothing(slowdown, unit):
    head = [slowdown * time for time in reversed(BASE)]
    first, again = decide(BASE, head), decide([unit * time for time in BASE], [unit * time for time in head])
    assert first.verdict is again.verdict
    assert again.ratio == pytest.approx(first.ratio)


@given(factor=st.floats(1.0, 5.0), more=st.floats(1.0, 5.0))
def test_more_slowdown_never_turns_a_regression_into_anything_else(factor, more):
    first = decide(BASE, [factor * time for time in BASE])
    second = decide(BASE, [factor * more * time for time in BASE])
    assert first.verdict is not Verdict.REGRESSED or second.verdict is Verdict.REGRESSED


def test_false_alarms_are_rarer_than_the_error_rate_and_real_slowdowns_are_found():
    generator = np.random.default_rng(0)
    noise = np.exp(generator.normal(0, 0.015, (600, 2, 12)))
    rule = Rule()
    same = [decide(base, head, rule).verdict for base, head in noise]
    slower = [decide(base, 1.1 * head, rule).verdict for base, head in noise]
    assert same.count(Verdict.REGRESSED) <= 0.01 * len(same)
    assert slower.count(Verdict.REGRESSED) >= 0.97 * len(slower)


@pytest.mark.parametrize("time", [0.0, -1.0, math.nan, math.inf])
def test_impossible_times_are_refused(time):
    with pytest.raises(ValueError, match="finite and above zero"):
        decide(BASE, (1.0, 1.0, 1.0, 1.0, time))
