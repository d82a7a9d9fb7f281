"""Claims about measured speed beside scores: the right case, one situation for all rows, and the Pareto front."""

from __future__ import annotations

import itertools
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speed_cases import changed_fingerprint

from segbench.api.leaderboard import leaderboard
from segbench.report.ranking.caveats import caveats
from segbench.report.ranking.speed_columns import FIGURES, pareto_front
from segbench.report.runs.load import load_results
from segbench.report.write import write_report
from segbench.results.speed.fingerprint import HARD_KEYS
from segbench.results.speed.record import Output, Task


def options(width):
    return {"width": width}


@pytest.fixture
def board(results):
    return lambda: leaderboard(load_results(results)).set_index("model")


@pytest.fixture
def pair(add, measure):
    """Two networks, the less accurate one faster, measured with batches of 1 and 8 in two processes each."""
    for label, width, hits, seconds in (("good", 1.0, 80, 0.1), ("fast", 0.5, 60, 0.05)):
        add(label, hits=hits, options=options(width))
        measure(label, seconds, 1.1 * seconds, options=options(width))
        measure(label, 4 * seconds, 4.4 * seconds, options=options(width), batch_size=8)


def test_throughput_is_of_the_fastest_batch_and_latency_of_single_images(pair, board):
    row = board().loc["good"]
    assert row["throughput_batch_size"] == 8
    assert row["throughput_images_per_second"] == pytest.approx(8 / 0.42)
    assert (row["throughput_low"], row["throughput_high"]) == pytest.approx((8 / 0.44, 8 / 0.4))
    assert row["latency_p50_ms"] == pytest.approx(105)  # of 100, 100, 100, 110, 110, 110
    assert row["speed_restarts"] == 2
    assert row["speed_steady"]
    assert row["speed_situation"] == "32x48, fp32, eager, logits, 1 thread, some name"


def test_without_single_images_no_latency_is_told(add, measure, board):
    add()
    measure(batch_size=4)
    row = board().iloc[0]
    assert pd.isna(row["latency_p50_ms"])
    assert row["throughput_images_per_second"] == pytest.approx(40)


def test_runs_without_measurements_have_no_figures(add, board):
    add()
    assert board()[[*FIGURES, "pareto"]].isna().all(axis=None)


def test_speed_of_other_options_stands_beside_no_row(add, measure, board):
    add(options=options(0.25))
    measure(options=options(0.5))
    assert board()["throughput_images_per_second"].isna().all()


def test_weights_make_no_other_network(add, measure, board):
    add(options={"width": 1.0, "pretrained": True}, pretrained=True)
    measure(options={"width": 1.0, "pretrained": False})
    assert board()["throughput_images_per_second"].notna().all()


def test_a_module_that_changed_since_is_not_taken_for_the_one_that_was_measured(add, measure, board):
    add(source_digest="now")
    measure(source_digest="then")
    assert board()["throughput_images_per_second"].isna().all()


def test_seeds_of_one_network_share_its_speed(add, measure, board):
    add(seed=0)
    add(seed=1, hits=60)
    measure()
    assert list(board()["throughput_images_per_second"]) == pytest.approx([10])


@pytest.mark.parametrize("key", HARD_KEYS)
def test_rows_never_hold_speeds_of_different_machines(key, add, measure, board, results):
    for label, width in (("a", 1.0), ("b", 0.5), ("c", 0.25)):
        add(label, options=options(width))
        elsewhere = {"environment": changed_fingerprint(key, "another")} if label == "c" else {}
        measure(label, options=options(width), **elsewhere)
    assert board()["throughput_images_per_second"].notna().to_dict() == {"a": True, "b": True, "c": False}
    (note,) = caveats(load_results(results))
    assert "no speed stands beside c: it was not measured, or not in the situation of the other rows." in note


FANCIER = {
    "size": (64, 64),
    "mode": "compile",
    "precision": "bf16",
    "channels_last": True,
    "output": Output.CLASSES,
}


@pytest.mark.parametrize("field", FANCIER)
def test_among_equally_common_situations_the_plainest_stands_in_the_row(field, add, measure, board):
    add()
    measure("unet", 0.1)
    measure("unet", 0.001, **{field: FANCIER[field]})
    assert board().iloc[0]["throughput_images_per_second"] == pytest.approx(10)


def test_weights_that_were_cast_and_autocast_are_different_situations(add, measure, board):
    add()
    measure("unet", 0.1, precision="bf16", casting="weights")
    measure("unet", 0.001, precision="bf16", batch_size=8)
    row = board().iloc[0]
    assert row["throughput_images_per_second"] == pytest.approx(10)
    assert row["speed_situation"] == "32x48, bf16 weights, eager, logits, 1 thread, some name"


def test_the_situation_of_most_networks_wins_over_the_plainest(add, measure, board):
    for label, width in (("a", 1.0), ("b", 0.5)):
        add(label, options=options(width))
        measure(label, 0.5, options=options(width), precision="bf16")
    measure("a", 0.25)
    assert list(board()["throughput_images_per_second"]) == pytest.approx([2, 2])


def test_training_and_loading_stand_beside_inference(add, measure, board):
    add(recipe={"dataset": {"name": "scenes"}, "transforms": {"train": ["normalize"]}})
    measure("unet", 2.0, task=Task.TRAINING, batch_size=4)
    measure(
        *("scenes", 0.5),
        task=Task.LOADING,
        batch_size=4,
        recipe={"dataset": {"name": "scenes"}, "transforms": ["normalize"], "cache": None},
    )
    row = board().iloc[0]
    assert row["training_step_images_per_second"] == pytest.approx(2)
    assert row["loading_ratio"] == pytest.approx(4)
    assert pd.isna(row["throughput_images_per_second"])


def test_training_steps_of_another_machine_do_not_stand_beside_inference(add, measure, board):
    add()
    measure()
    measure("unet", 2.0, task=Task.TRAINING, environment=changed_fingerprint("processor", "another"))
    assert pd.isna(board().iloc[0]["training_step_images_per_second"])


def test_samples_of_two_machines_lie_beside_each_other(add, measure, results):
    add()
    measure()
    measure("unet", 0.2, environment=changed_fingerprint("processor", "another"))
    assert len(list((results / "toy" / "speed").glob("*.json"))) == 2


def test_a_restless_warm_up_and_a_damaged_record_are_told(add, measure, results):
    add()
    written = measure()
    file = results / "toy" / "speed" / f"{written.id}.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["restarts"][0]["warmup"]["steady"] = False
    del document["checksum"]
    file.write_text(json.dumps(document), encoding="utf-8")
    (results / "toy" / "speed" / "torn.json").write_text("{", encoding="utf-8")
    restless, damaged = caveats(load_results(results))
    assert "did not become steady while warming up: unet." in restless
    assert "torn.json: is no speed record" in damaged


def test_the_front_holds_who_no_other_one_beats_in_both(pair, add, measure, board):
    add("slow and poor", hits=50, options=options(0.1))
    measure("slow and poor", 0.3, options=options(0.1))
    add("not measured", hits=99, options=options(0.2))
    front = board()["pareto"]
    assert front.drop("not measured").to_dict() == {"good": True, "fast": True, "slow and poor": False}
    assert pd.isna(front["not measured"])


points = st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(1, 5)), max_size=8)


@given(points)
def test_the_front_is_what_its_definition_says(given_points):
    front = pareto_front([a for a, _ in given_points], [s for _, s in given_points])
    measured = [index for index, (_, speed) in enumerate(given_points) if speed is not None]
    beaten = {
        index
        for index, other in itertools.permutations(measured, 2)
        if all(b >= a for a, b in zip(given_points[index], given_points[other], strict=True))
        and given_points[index] != given_points[other]
    }
    assert front == [None if i not in measured else i not in beaten for i in range(len(given_points))]


def test_a_report_shows_accuracy_and_speed_in_one_row_and_every_case_below(pair, results, tmp_path):
    files = write_report(results / "toy", tmp_path / "reports")
    text, page = (file.read_text(encoding="utf-8") for file in (files.markdown, files.page))
    header = next(line for line in text.splitlines() if line.startswith("| model"))
    for title in ("mIoU", "img/s", "p50 ms", "params"):
        assert f" {title} |" in header
    for title in ("batch", "Pareto", "MACs"):
        assert f" {title} |" not in header
        assert f">{title}</button>" in page
    assert "test img/s" not in page, "one speed only"
    section = text.partition("## Speed\n")[2].partition("\n## ")[0]
    assert section.count("| inference |") == 4
    assert "| inference | good | 8 | 32x48, fp32, eager, logits | 2 | 19.0 ± 0.9 |" in section
    assert "Mean IoU against measured throughput (32x48, fp32, eager, logits, 1 thread, some name;" in text
