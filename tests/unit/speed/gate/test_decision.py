"""The decision rule: its intervals, its error rates, its laws, and what several decisions come to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segbench.errors import UsageError
from segbench.speed.gate.compare import smallest_found
from segbench.speed.gate.decision import (
    Decision,
    ExitCode,
    Rule,
    Verdict,
    confirmed,
    decide,
    exit_code,
    holm,
    more_needed,
    percent,
    restart_log_ratio,
)

LOG_THRESHOLD = math.log(1.1)
ONE_LOOK = Rule(looks=(5,))

times = st.lists(st.floats(1e-4, 10), min_size=1, max_size=20)
log_ratios = st.lists(st.floats(-0.3, 0.3), min_size=12, max_size=12)


def verdict(values, rule=None):
    return decide({"case": values}, rule)["case"].verdict


def around(mean, spread, number):
    """Return numbers of exactly this mean and standard deviation."""
    values = np.random.default_rng(0).standard_normal(number)
    values = (values - values.mean()) / values.std(ddof=1)
    return list(mean + spread * values)


def gates(mean, spread, *, gates, cases=1, restarts=12, seed=0):
    """Return simulated gates whose cases all have one true log ratio."""
    values = np.random.default_rng(seed).normal(mean, spread, (gates, cases, restarts)).tolist()
    return [{str(case): ratios for case, ratios in enumerate(gate)} for gate in values]


def confirmed_gate(first, second):
    decisions = decide(first)
    slower = {case for case, decision in decisions.items() if decision.verdict is Verdict.REGRESSED}
    again = decide({case: second[case] for case in slower})
    return [confirmed(decision, again.get(case)) for case, decision in decisions.items()]


# ---- hand-worked


def test_the_interval_of_five_worked_values_is_students():
    values = [0.08, 0.09, 0.10, 0.11, 0.12]  # mean 0.10, standard error sqrt(0.00025 / 5) = 0.00707107
    decision = decide({"a": values}, ONE_LOOK)["a"]
    half = 2.776445 * 0.00707107  # the table's t of 4 degrees of freedom at 97.5 %
    assert decision.ratio == pytest.approx(math.exp(0.10))
    assert decision.interval.low == pytest.approx(math.exp(0.10 - half), rel=1e-6)
    assert decision.interval.high == pytest.approx(math.exp(0.10 + half), rel=1e-6)
    assert decision.verdict is Verdict.REGRESSED


@pytest.mark.parametrize("number", [2, 5, 8, 12])
def test_interval_and_p_value_are_those_of_scipy(number):
    values = np.random.default_rng(number).normal(0.03, 0.02, number)
    rule = Rule(looks=(number,), error_rate=0.03)
    decision = decide({"a": values.tolist()}, rule)["a"]
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(0.97)
    assert (decision.interval.low, decision.interval.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert decision.p_value == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


@pytest.mark.parametrize(
    ("mean", "spread", "expected"),
    [
        (0.0, 0.005, Verdict.PASSED),
        (-0.2, 0.01, Verdict.PASSED),
        (0.047, 0.001, Verdict.PASSED),  # surely slower, but by less than half the threshold
        (0.048, 0.001, Verdict.REGRESSED),  # half of log(1.1) is 0.04766
        (LOG_THRESHOLD, 0.02, Verdict.REGRESSED),
        (0.5, 0.01, Verdict.REGRESSED),
        (0.0, 0.3, Verdict.INCONCLUSIVE),
        (LOG_THRESHOLD, 0.3, Verdict.INCONCLUSIVE),
    ],
)
def test_the_rule_of_a_single_look(mean, spread, expected):
    assert verdict(around(mean, spread, 5), ONE_LOOK) is expected


def test_the_error_rate_is_split_over_the_looks():
    values = around(0.0, 0.01, 5)
    widths = {}
    for rule in (ONE_LOOK, Rule()):
        interval = decide({"a": values}, rule)["a"].interval
        widths[len(rule.looks)] = math.log(interval.high)
    error = 0.01 / math.sqrt(5)
    assert widths[1] == pytest.approx(stats.t.ppf(1 - 0.05 / 2, 4) * error)
    assert widths[3] == pytest.approx(stats.t.ppf(1 - 0.05 / 3 / 2, 4) * error)


def test_restarts_that_agree_exactly_need_no_spread():
    assert verdict([0.1] * 5) is Verdict.REGRESSED
    assert verdict([0.0] * 5) is Verdict.PASSED


def test_a_round_of_a_restart_counts_by_its_ratio():
    assert restart_log_ratio([1, 2, 4], [1.1, 2.4, 4.4]) == pytest.approx(math.log(1.1))


@pytest.mark.parametrize(("base", "head"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [math.inf])])
def test_times_that_cannot_be_are_refused(base, head):
    with pytest.raises(ValueError, match="expected"):
        restart_log_ratio(base, head)


# ---- looks


def test_restarts_are_added_until_a_case_is_decided():
    wide = around(0.05, 0.12, 12)
    asked = []
    values: list[float] = []
    while needed := more_needed({"a": values}):
        asked.append(needed["a"])
        values = wide[: len(values) + needed["a"]]
    assert asked == [5, 3, 4]
    assert verdict(values) is Verdict.INCONCLUSIVE


def test_a_decided_case_needs_no_more_while_another_does():
    open_case = around(0.05, 0.12, 5)
    assert more_needed({"quiet": around(0.0, 0.005, 5), "noisy": open_case}) == {"noisy": 3}


def test_restarts_after_the_deciding_look_change_nothing():
    quiet = around(0.0, 0.005, 5)
    decision = decide({"a": quiet})["a"]
    assert decide({"a": [*quiet, 5.0, 5.0, 5.0]})["a"] == decision
    assert (decision.look, decision.restarts) == (1, 5)


def test_before_the_first_look_nothing_is_known():
    assert decide({"a": [0.1, 0.1]})["a"] == Decision(Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("limit", "looks"), [(3, (3,)), (5, (5,)), (7, (5, 7)), (12, (5, 8, 12)), (20, (5, 8, 12, 20))]
)
def test_a_limit_is_the_last_look(limit, looks):
    assert Rule().limited(limit).looks == looks


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 0}, {"threshold": math.nan}, {"error_rate": 1}, {"looks": ()}, {"looks": (5, 5)}, {"looks": (1, 2)}],
)
def test_an_impossible_rule_is_refused(wrong):
    with pytest.raises(UsageError, match="expected"):
        Rule(**wrong)


# ---- several cases


def test_holm_is_that_of_a_worked_example():
    # Holm (1979), section 3: p = 0.01, 0.02, 0.03, 0.04 are multiplied by 4, 3, 2, 1 and kept in order
    adjusted = holm({"c": 0.03, "a": 0.01, "d": 0.04, "b": 0.02}, family=4)
    assert adjusted == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.06})


def test_hypotheses_that_are_not_at_hand_still_count():
    assert holm({"a": 0.01}, family=5) == pytest.approx({"a": 0.05})


def test_more_cases_ask_for_more_evidence_that_one_is_slower():
    slower = around(0.08, 0.03, 5)
    alone = decide({"a": slower})["a"]
    among = decide({"a": slower} | {f"quiet {index}": around(0.0, 0.003, 5) for index in range(9)})["a"]
    assert (alone.verdict, among.verdict) == (Verdict.REGRESSED, Verdict.INCONCLUSIVE)
    assert among.p_value == pytest.approx(10 * alone.p_value)


def test_a_case_passes_by_itself_however_many_there_are():
    many = {str(index): around(0.0, 0.01, 5) for index in range(50)}
    assert {decision.verdict for decision in decide(many).values()} == {Verdict.PASSED}


# ---- error rates, by simulation


@pytest.mark.parametrize("spread", [0.01, 0.03, 0.1])
def test_the_same_code_is_hardly_ever_called_slower(spread):
    count = 1000
    false_alarms = sum(
        any(decision.verdict is Verdict.REGRESSED for decision in decide(gate).values())
        for gate in gates(0.0, spread, gates=count, cases=3)
    )
    assert false_alarms <= 0.025 * count


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.03])
def test_ten_percent_are_found_and_confirmed_in_38_of_40_gates(spread):
    count = 600
    pairs = zip(
        gates(LOG_THRESHOLD, spread, gates=count), gates(LOG_THRESHOLD, spread, gates=count, seed=1), strict=True
    )
    found = sum(confirmed_gate(first, second)[0].verdict is Verdict.REGRESSED for first, second in pairs)
    assert found >= 38 / 40 * count


@pytest.mark.parametrize("spread", [0.02, 0.1])
def test_ten_percent_hardly_ever_pass(spread):
    count = 1000
    passed = sum(decide(gate)["0"].verdict is Verdict.PASSED for gate in gates(LOG_THRESHOLD, spread, gates=count))
    assert passed <= 0.025 * count


def test_the_same_code_passes_at_the_first_look_on_a_usual_machine():
    count = 500
    decisions = [decide(gate)["0"] for gate in gates(0.0, 0.02, gates=count)]
    assert sum(decision.verdict is Verdict.PASSED and decision.look == 1 for decision in decisions) >= 0.95 * count


def test_the_smallest_slowdown_that_is_said_to_be_found_is_found():
    spread = 0.03
    smallest = smallest_found(spread)
    count = 400
    shift = math.log1p(smallest)
    pairs = zip(gates(shift, spread, gates=count, seed=2), gates(shift, spread, gates=count, seed=3), strict=True)
    found = sum(confirmed_gate(first, second)[0].verdict is Verdict.REGRESSED for first, second in pairs)
    assert 0.9 <= found / count <= 0.99
    assert LOG_THRESHOLD / 2 < shift < LOG_THRESHOLD


def test_on_a_hopeless_machine_no_slowdown_is_said_to_be_found():
    assert smallest_found(5.0) is None


# ---- laws


@given(times, st.randoms(use_true_random=False))
def test_swapping_base_and_head_negates_the_ratio(base, random):
    head = [value * random.uniform(0.5, 2) for value in base]
    assert restart_log_ratio(head, base) == pytest.approx(-restart_log_ratio(base, head))


@given(times, st.randoms(use_true_random=False), st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(base, random, factor):
    head = [value * random.uniform(0.5, 2) for value in base]
    scaled = restart_log_ratio([factor * value for value in base], [factor * value for value in head])
    assert scaled == pytest.approx(restart_log_ratio(base, head), abs=1e-9)


@given(log_ratios)
def test_swapping_base_and_head_mirrors_the_interval(values):
    there = decide({"a": values}, Rule(looks=(12,)))["a"]
    back = decide({"a": [-value for value in values]}, Rule(looks=(12,)))["a"]
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert back.interval.low == pytest.approx(1 / there.interval.high)


@given(log_ratios, log_ratios, st.floats(0, 1))
@settings(max_examples=200)
def test_more_slowdown_never_turns_regressed_into_passed(values, other, slowdown):
    slower = [value + slowdown for value in values]
    before, after = (decide({"a": ratios, "b": other})["a"].verdict for ratios in (values, slower))
    assert (before, after) != (Verdict.REGRESSED, Verdict.PASSED)


@given(log_ratios)
def test_what_is_decided_again_is_decided_the_same(values):
    gathered: list[float] = []
    while needed := more_needed({"a": gathered}):
        gathered = values[: len(gathered) + needed["a"]]
    assert decide({"a": gathered}) == decide({"a": values})


# ---- confirmation and exit codes

REGRESSED = Decision(Verdict.REGRESSED, ratio=1.12, restarts=5, p_value=0.001, look=1)


def test_a_regression_found_twice_has_the_second_figures():
    second = Decision(Verdict.REGRESSED, ratio=1.09, restarts=8, p_value=0.002, look=2)
    final = confirmed(REGRESSED, second)
    assert (final.verdict, final.ratio, final.restarts) == (Verdict.REGRESSED, 1.09, 8)
    assert "+12.0 %" in final.reason


@pytest.mark.parametrize("second", [Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE])
def test_a_regression_that_is_not_found_again_is_inconclusive(second):
    assert confirmed(REGRESSED, Decision(second, ratio=1.0)).verdict is Verdict.INCONCLUSIVE


def test_a_regression_without_a_second_measurement_is_not_confirmed():
    assert confirmed(REGRESSED, None).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("first", [Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE])
def test_only_regressions_are_confirmed(first):
    assert confirmed(Decision(first), None) == Decision(first)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["passed"], 0),
        (["passed", "regressed", "not_comparable", "inconclusive"], 1),
        (["passed", "inconclusive"], 3),
        (["inconclusive", "not_comparable", "passed"], 4),
    ],
)
def test_the_worst_verdict_is_the_exit_code(verdicts, code):
    assert exit_code(Decision(Verdict(verdict)) for verdict in verdicts) is ExitCode(code)


def test_a_gate_of_nothing_does_not_pass():
    with pytest.raises(UsageError, match="no case"):
        exit_code([])


def test_changes_are_shown_in_percent():
    assert [percent(1.098), percent(0.9), percent(None)] == ["+9.8 %", "-10.0 %", "-"]
