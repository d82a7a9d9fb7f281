"""What a gate found, in each of its forms; pytest-benchmark's own code and tools are the judges of theirs."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from pytest_benchmark.stats import Stats

from segbench.speed.gate.compare import Calibration, CaseResult, GateResult, NoiseFloor
from segbench.speed.gate.decision import Decision, Rule, Verdict, confirmed, decide
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import GateCase
from segbench.speed.gate.interleaved import Restart, Round, Settings, Side
from segbench.speed.gate.pytest_benchmark_json import benchmark_document, statistics_of
from segbench.speed.gate.report import (
    TITLES,
    calibration_document,
    calibration_rows,
    document,
    headline,
    markdown,
    notes,
    rows,
)

RULE = Rule()


def restarts(ratio, *, spread=0.004, count=5, parameters=(7, 7), not_steady=()):
    factors = np.random.default_rng(1).normal(math.log(ratio), spread, count)
    return tuple(
        Restart(
            tuple(
                Round(0.002 + wave, (0.002 + wave) * math.exp(factor), Side.BASE) for wave in (0.0, 1e-5, 2e-5, 3e-5)
            ),
            15,
            not_steady,
            dict(zip(Side, parameters, strict=True)),
        )
        for factor in factors
    )


def measured(label, ratio, *, again=None, **options):
    found = restarts(ratio, **options)
    first = decide({"a": [restart.log_ratio for restart in found]}, RULE)["a"]
    confirming = restarts(again, **options) if again else ()
    second = decide({"a": [restart.log_ratio for restart in confirming]}, RULE)["a"] if again else None
    return CaseResult(GateCase({"name": label}), confirmed(first, second), first, found, confirming)


def gate(*cases):
    return GateResult(
        base=Environment("main", commit="a" * 40),
        head=Environment("topic|branch", commit="b" * 40),
        cases=cases,
        rule=RULE,
        settings=Settings(),
        machine={"processor": "A processor", "cores": 2},
        software={side: {"python": "3.12.0", "torch": "2.6"} for side in Side},
    )


QUIET = measured("quiet", 1.0)
SLOWER = measured("slower", 1.12, again=1.11)
GONE = CaseResult(
    GateCase({"name": "gone"}), *[Decision(Verdict.NOT_COMPARABLE, reason="head: unknown model 'gone'")] * 2
)
MIXED = gate(QUIET, SLOWER, GONE)


def test_the_document_is_json_and_decides_again_the_same():
    found = json.loads(json.dumps(document(MIXED), allow_nan=False))
    assert (found["schema_version"], found["exit_code"]) == (1, 1)
    for case, result in zip(found["cases"], MIXED.cases, strict=True):
        ratios = [
            float(np.median(np.log(restart["head_seconds"]) - np.log(restart["base_seconds"])))
            for restart in case["restarts"]
        ]
        assert ratios == pytest.approx([restart["log_ratio"] for restart in case["restarts"]])
        if ratios:
            assert decide({"a": ratios}, RULE)["a"].verdict is result.first.verdict


def test_the_document_names_no_folder():
    assert str(sys.executable) not in json.dumps(document(MIXED))


def test_rows_hold_what_was_decided():
    quiet, slower, gone = rows(MIXED)
    assert len(TITLES) == len(quiet)
    assert quiet[1] == "2.015"  # the median of 2.00, 2.01, 2.02 and 2.03 ms
    assert quiet[-1] == "passed"
    assert slower[3].startswith("+11.")
    assert slower[-2:] == ["5", "regressed"]
    assert gone[1:] == ["-", "-", "-", "-", "0", "not comparable"]


def test_the_headline_names_the_worst():
    assert headline(MIXED) == "slower: slower"
    assert headline(gate(QUIET)) == "nothing became slower"
    assert headline(gate(QUIET, GONE)) == "not everything could be compared: gone"
    noisy = measured("noisy", 1.05, spread=0.5)
    assert headline(gate(QUIET, noisy)).endswith("too noisy to tell: noisy")


def test_notes_give_reasons_and_what_is_unusual():
    different = measured("wider", 1.0, parameters=(1000, 2000), not_steady=(Side.HEAD,))
    found = notes(gate(SLOWER, GONE, different))
    assert any("confirmed in fresh processes" in note for note in found)
    assert any("unknown model 'gone'" in note for note in found)
    assert any("1,000 parameters in base, 2,000 in head" in note for note in found)
    assert any("the warm-up did not become steady in 5 of 5 restarts" in note for note in found)


def test_markdown_is_one_table_with_every_case():
    text = markdown(MIXED)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 3
    assert {line.count("|") for line in table} == {len(TITLES) + 1}
    assert text.startswith("### Speed: slower: slower\n")
    assert "❌ regressed" in table[3]


def test_text_cannot_break_out_of_the_table():
    odd = CaseResult(
        GateCase({"name": "a|b\nc"}), *[Decision(Verdict.NOT_COMPARABLE, reason="first\nsecond | third")] * 2
    )
    text = markdown(gate(odd))
    assert "a\\|b c" in text
    assert "first second \\| third" in text


def test_a_calibration_says_what_it_finds():
    floor = NoiseFloor(GateCase({"name": "unet"}), 0.012, -0.001, 0.065, restarts(1.0))
    found = Calibration(Environment("HEAD"), (floor,), RULE, Settings(), {})
    assert calibration_rows(found)[0][1:] == ["5", "1.20 %", "-0.10 %", "6.5 %"]
    assert json.loads(json.dumps(calibration_document(found)))["cases"][0]["spread"] == 0.012


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 9, 40])
def test_statistics_are_those_of_pytest_benchmark(number):
    seconds = np.random.default_rng(number).lognormal(-5, 0.5, number).tolist()
    judge = Stats()
    for value in seconds:
        judge.update(value)
    expected = judge.as_dict()
    found = statistics_of(seconds)
    assert set(expected) <= set(found)
    for key, value in expected.items():
        assert found[key] == (value if isinstance(value, str) else pytest.approx(value)), key


def test_pytest_benchmarks_own_comparison_reads_the_file(tmp_path):
    file = tmp_path / "gate.json"
    file.write_text(json.dumps(benchmark_document(MIXED)), encoding="utf-8")
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(file)]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for expected in ("quiet", "slower", "[base]", "[head]", "2 tests"):
        assert expected in done.stdout
    assert "Failed to load" not in done.stdout + done.stderr


def test_the_verdict_travels_with_the_samples():
    found = benchmark_document(MIXED)["benchmarks"]
    assert [one["param"] for one in found] == ["base", "head"] * 2  # what was not measured has no samples
    assert {one["extra_info"]["verdict"] for one in found} == {"passed", "regressed"}
    assert found[2]["stats"]["rounds"] == 4 * (5 + 5)
