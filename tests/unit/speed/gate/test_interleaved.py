"""Taking turns: what is asked of the two processes, what is gathered, and what goes wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from segbench.errors import UsageError
from segbench.speed.gate import worker_client as dialogue
from segbench.speed.gate.compare import calibrate, compare
from segbench.speed.gate.decision import ExitCode, Rule, Verdict
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import Activity, GateCase
from segbench.speed.gate.interleaved import Restart, Round, Settings, Side, measure
from segbench.speed.gate.worker_client import WorkerError

SCRIPTED = Path(__file__).parents[3] / "support" / "scripted_worker.py"
UNET, CNN = GateCase({"name": "unet"}), GateCase({"name": "cnn"})
QUICK = Settings(rounds=10, timeout_seconds=300.0)


@pytest.fixture(autouse=True)
def _scripted(monkeypatch):
    monkeypatch.setattr(dialogue, "WORKER", SCRIPTED)


@pytest.fixture
def side(tmp_path):
    """Return a maker of environments whose worker behaves as told."""

    def make(name, **behaviour):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "behaviour.json").write_text(json.dumps({"seconds": 0.01, **behaviour}), encoding="utf-8")
        return Environment(name, paths=(folder,))

    return make


def log(tmp_path):
    return [line.split() for line in (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()]


def gate(base, head, *, cases=(UNET,), settings=QUICK, **options):
    return compare(base, head, cases=cases, settings=settings, **options)


# ---- how much is measured


@pytest.mark.parametrize(("seconds", "iterations"), [(0.0005, 60), (0.01, 3), (0.03, 1), (2.0, 1)])
def test_a_round_is_filled_with_whole_iterations(seconds, iterations):
    assert Settings().iterations(seconds) == iterations


@pytest.mark.parametrize(("seconds_of_a_pair", "rounds"), [(0.06, 24), (0.5, 20), (3.0, 15)])
def test_a_slow_case_gets_fewer_rounds(seconds_of_a_pair, rounds):
    assert Settings().rounds_of(seconds_of_a_pair) == rounds


def test_a_restart_is_judged_by_the_median_of_its_rounds():
    rounds = tuple(Round(1.0, head, Side.BASE) for head in (1.1, 1.1, 9.0))  # one round was disturbed
    assert Restart(rounds, 1, (), {}).log_ratio == pytest.approx(math.log(1.1))


# ---- what becomes of it


def test_a_slower_head_regresses_and_is_confirmed_in_fresh_processes(side, tmp_path):
    result = gate(side("base"), side("head", seconds=0.012))
    (case,) = result.cases
    assert result.exit_code is ExitCode.REGRESSED
    assert case.decision.ratio == pytest.approx(1.2, rel=0.01)
    assert (len(case.restarts), len(case.confirming_restarts)) == (5, 5)
    starts = {process for name, process, command in log(tmp_path) if command == "load"}
    assert len(starts) == 2 * (5 + 5)


def test_the_same_speed_passes_without_a_second_measurement(side):
    result = gate(side("base"), side("head"))
    assert result.exit_code is ExitCode.PASSED
    assert result.cases[0].confirming_restarts == ()


def test_a_faster_head_passes(side):
    assert gate(side("base"), side("head", seconds=0.005)).exit_code is ExitCode.PASSED


def test_noise_between_starts_is_answered_by_more_restarts(side):
    result = gate(side("base"), side("head", spread=0.3), rule=Rule(looks=(3, 4, 5)))
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert len(result.cases[0].restarts) == 5


def test_only_open_cases_are_measured_again(side):
    seconds = {"unet": 0.01, "cnn": 0.01}
    result = gate(side("base", seconds=seconds), side("head", seconds=seconds | {"cnn": 0.015}), cases=(UNET, CNN))
    verdicts = {one.case.label: one.decision.verdict for one in result.cases}
    assert verdicts == {"unet": Verdict.PASSED, "cnn": Verdict.REGRESSED}
    assert [len(one.confirming_restarts) for one in result.cases] == [0, 5]


def test_rounds_alternate_singly_and_in_either_order(side, tmp_path):
    result = gate(side("base"), side("head"))
    turns = [name for name, _, command in log(tmp_path) if command == "time"]
    assert all({first, second} == {"base", "head"} for first, second in zip(turns[::2], turns[1::2], strict=True))
    firsts = [one.first for restart in result.cases[0].restarts for one in restart.rounds]
    assert turns[::2] == [str(first) for first in firsts]
    assert {Side.BASE, Side.HEAD} == set(firsts)


def test_one_seed_gives_one_order(side):
    base, head = side("base"), side("head")
    orders = [
        [
            one.first
            for restart in gate(base, head, settings=Settings(rounds=10, seed=seed)).cases[0].restarts
            for one in restart.rounds
        ]
        for seed in (3, 3, 4)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_both_sides_do_the_same_number_of_iterations(side):
    result = gate(side("base", seconds=0.001), side("head", seconds=0.003))
    assert {restart.iterations for restart in result.cases[0].restarts} == {30}


def test_a_warm_up_that_does_not_settle_is_kept(side):
    result = gate(side("base"), side("head", steady=False))
    assert {restart.not_steady for restart in result.cases[0].restarts} == {(Side.HEAD,)}


def test_progress_is_told_after_every_restart(side):
    told: list[str] = []
    gate(side("base"), side("head"), tell=told.append)
    assert len(told) == 5
    assert told[-1].startswith("restart 5: unet")
    assert told[-1].endswith("passed")


def test_calibrating_makes_all_its_restarts(side):
    found = calibrate(side("base", spread=0.03), [UNET], restarts=6, settings=QUICK)
    (floor,) = found.cases
    assert len(floor.restarts) == 6
    assert 0 < floor.spread < 0.2


# ---- what is not comparable


def test_a_network_that_the_base_lacks_is_not_comparable(side):
    result = gate(side("base", refuses=["cnn"]), side("head"), cases=(UNET, CNN))
    cnn = result.cases[1].decision
    assert (result.exit_code, cnn.verdict) == (ExitCode.NOT_COMPARABLE, Verdict.NOT_COMPARABLE)
    assert cnn.reason == "base: unknown model 'cnn'"


def test_a_network_that_vanished_from_the_head_is_not_comparable(side):
    assert gate(side("base"), side("head", refuses=["unet"])).exit_code is ExitCode.NOT_COMPARABLE


def test_networks_that_return_different_things_are_not_comparable(side):
    decision = gate(side("base"), side("head", output=[1, 2, 2, 2])).cases[0].decision
    assert decision.verdict is Verdict.NOT_COMPARABLE
    assert "[1, 2, 2, 2] in head" in decision.reason


def test_a_network_that_neither_side_has_is_a_mistake(side):
    with pytest.raises(UsageError, match="neither side can build it: head: unknown model 'unet'"):
        gate(side("base", refuses=["unet"]), side("head", refuses=["unet"]))


# ---- what goes wrong


@pytest.mark.parametrize("command", ["load", "build", "time"])
def test_a_crash_names_side_case_and_last_words(side, command):
    with pytest.raises(WorkerError) as caught:
        gate(side("base"), side("head", crash_on=command))
    message = str(caught.value)
    assert message.startswith("head head")
    assert ("unet" in message) is (command != "load")
    assert "exit code 7" in message
    assert message.endswith("| the last words")


def test_a_fault_is_told_in_its_own_words(side):
    with pytest.raises(WorkerError, match=r"base base, unet .*RuntimeError: shapes do not fit \(nets.py, line 3\)"):
        gate(side("base", fails_on="warm_up"), side("head"))


@pytest.mark.slow(reason="waits for a worker that hangs")
def test_a_worker_that_hangs_is_ended(side):
    with pytest.raises(WorkerError, match=r"head head, unet .* did not answer 'time' within 10 s; allow more"):
        gate(side("base"), side("head", hang_on="time"), settings=Settings(rounds=10, timeout_seconds=10.0))


def test_an_interpreter_that_cannot_be_started_is_named(side, tmp_path):
    nothing = Environment("nothing", python=tmp_path / "python")
    with pytest.raises(WorkerError, match=r"base: .*python cannot be started"):
        gate(nothing, side("head"))


def test_nothing_to_measure_and_two_of_one_name_are_mistakes(side):
    base, head = side("base"), side("head")
    with pytest.raises(UsageError, match="name a model"):
        measure(base, head, cases=[], rule=Rule(), settings=QUICK)
    with pytest.raises(UsageError, match="labels of their own"):
        measure(base, head, cases=[UNET, UNET], rule=Rule(), settings=QUICK)


# ---- cases


def test_every_part_of_a_situation_is_in_the_key():
    keys = {
        GateCase({"name": "unet"}, **changed).key
        for changed in (
            {},
            {"classes": 3},
            {"channels": 1},
            {"size": (64, 128)},
            {"batch": 2},
            {"precision": "bf16"},
            {"channels_last": True},
            {"threads": 2},
            {"what": Activity.TRAINING},
            {"device": "cuda"},
        )
    }
    assert len(keys) == 10


@pytest.mark.parametrize("wrong", [{"classes": 0}, {"size": (0, 4)}, {"batch": -1}])
def test_an_impossible_situation_is_refused(wrong):
    with pytest.raises(UsageError, match="expected 1 or more"):
        GateCase({"name": "unet"}, **wrong)


def test_a_cuda_device_has_its_number_in_every_key():
    assert GateCase({"name": "unet"}, device="cuda") == GateCase({"name": "unet"}, device="cuda:0")
    assert " cuda:0 " in GateCase({"name": "unet"}, device="cuda").key
