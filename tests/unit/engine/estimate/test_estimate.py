"""Estimates worked out by hand from given surveys and probes; what is measured is tested in tests/integration."""

from dataclasses import replace

import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.background import Threads
from segbench.engine.estimate.cost_model import (
    HISTORY_LINE_BYTES,
    RECORD_BYTES,
    LoadTime,
    Probe,
    Survey,
    disk_bytes,
    evaluation_seconds,
    overlapped,
    training_seconds,
    validation_seconds,
    workload_key,
)
from segbench.engine.estimate.estimate import RunEstimate, SuiteEstimate, estimate_run, images_fed
from segbench.engine.estimate.model_probe import detail_times, first_excess, repeated, sizes_on_disk, typical

SURVEY = Survey(
    batches=6,  # 2 epochs of 12 images in batches of 4
    epochs=2,
    train_images=12,
    validation_images=4,
    validations=2,
    test_images=6,
    label_passes=0,
    train_load=LoadTime(read_seconds=0.5, transform_seconds=0.25),
    test_load=LoadTime(read_seconds=0.5, transform_seconds=0.125),
    image_bytes=1000,
    setup_seconds=2.0,
)
PROBE = Probe(
    setup_seconds=1.0,
    step_seconds=3.0,
    evaluation_seconds=0.25,
    peak_memory_bytes=1_000_000,
    checkpoint_bytes=40_000,
    counted_bytes=50.0,
    prediction_bytes=0.0,
    detail_seconds=0.0,
    picture_bytes=700.0,
)


def run_of(**changes):
    return plan(check(document(**changes)))[0]


def test_without_workers_loading_and_computing_add_up():
    assert overlapped(10.0, 4.0, workers=0) == 14.0


def test_with_workers_the_slower_of_both_counts_and_workers_share_the_loading():
    assert overlapped(10.0, 4.0, workers=1) == 10.0
    assert overlapped(10.0, 48.0, workers=4) == 12.0


def test_training_is_steps_and_the_loading_of_every_image_that_is_fed():
    assert training_seconds(run_of(), SURVEY, PROBE) == 6 * 3.0 + 24 * (0.5 + 0.25)


def test_images_cached_in_memory_are_decoded_once():
    run = run_of(loader={"cache": "memory"})
    assert training_seconds(run, SURVEY, PROBE) == 6 * 3.0 + 12 * 0.5 + 24 * 0.25


def test_decoding_into_memory_comes_before_the_workers_begin():
    run = run_of(loader={"cache": "memory", "workers": 1})
    assert training_seconds(run, SURVEY, PROBE) == 12 * 0.5 + max(6 * 3.0, 24 * 0.25)


def test_images_cached_on_disk_are_not_decoded():
    run = run_of(loader={"cache": "disk"})
    assert training_seconds(run, SURVEY, PROBE) == 6 * 3.0 + 24 * 0.25
    assert evaluation_seconds(run, SURVEY, PROBE) == 6 * 0.25


def test_validation_reads_its_images_at_every_pass_unless_they_are_cached():
    computed = 2 * 4 * 0.25
    assert validation_seconds(run_of(), SURVEY, PROBE) == computed + 2 * 4 * 0.5
    assert validation_seconds(run_of(loader={"cache": "memory"}), SURVEY, PROBE) == computed + 4 * 0.5
    assert validation_seconds(run_of(), replace(SURVEY, validations=0), PROBE) == 0


def test_evaluation_reads_and_predicts_every_test_image():
    assert evaluation_seconds(run_of(), SURVEY, PROBE) == 6 * (0.25 + 0.5)


@pytest.mark.parametrize(
    ("own", "beside", "expected"), [(0.5, 0.0, 0.75), (0.0, 0.2, 0.25), (0.1, 0.2, 0.35), (0.1, 1.0, 1.0)]
)
def test_looking_closer_takes_what_the_network_waits_for_unless_the_threads_beside_take_longer(own, beside, expected):
    probe = replace(PROBE, detail_seconds=own, background_seconds=beside)
    assert evaluation_seconds(run_of(loader={"cache": "disk"}), SURVEY, probe) == pytest.approx(6 * expected)


@pytest.mark.parametrize(
    ("threads", "images", "expected"),
    [
        (Threads(1), 2, {"detail_seconds": 0.4}),
        (Threads(4), 4, {"detail_seconds": 0.2}),  # all at once
        (Threads(4), 1, {"detail_seconds": 0.2}),  # three threads have nothing to do yet
        (Threads(4), 5, {"detail_seconds": 0.1}),  # in two rounds
        (Threads(4, in_background=True), 8, {"background_seconds": 0.1}),
    ],
)
def test_details_of_few_images_tell_what_those_of_many_take_with_all_threads(threads, images, expected):
    assert detail_times(0.8, threads, images=images) == pytest.approx(expected)


def test_sizes_on_disk_are_those_of_one_image(tmp_path):
    for name, size in {"confusion.npz": 300, "details.npz": 100, "predictions.zip": 80}.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert sizes_on_disk(tmp_path, images=4) == {"counted_bytes": 100, "prediction_bytes": 20, "picture_bytes": 0}
    (tmp_path / "samples").mkdir()
    for name, size in {"0-image.png": 70, "0-label.png": 20, "0-prediction.png": 30}.items():
        (tmp_path / "samples" / name).write_bytes(bytes(size))
    assert sizes_on_disk(tmp_path, images=4)["picture_bytes"] == 120


def test_nothing_is_trained_without_a_training_recipe():
    run = run_of()
    evaluated = run.model_copy(update={"recipe": run.recipe.model_copy(update={"train": None})})
    assert training_seconds(evaluated, SURVEY, PROBE) == 0


def test_a_run_is_the_sum_of_its_parts():
    found = estimate_run(run_of(), SURVEY, PROBE, start_seconds=0.5)
    assert found.overhead_seconds == 0.5 + 2.0 + 1.0
    assert found.training_seconds == (18 + 18) + (2 + 4)
    assert found.evaluation_seconds == 4.5
    assert found.seconds == 3.5 + 42 + 4.5
    assert found.problem is None


def test_class_frequencies_cost_a_pass_over_the_labels():
    plain = estimate_run(run_of(), SURVEY, PROBE, start_seconds=0.0)
    weighted = estimate_run(run_of(), replace(SURVEY, label_passes=1), PROBE, start_seconds=0.0)
    assert weighted.seconds - plain.seconds == 12 * 0.5


def test_what_is_cached_in_memory_is_added_to_the_peak():
    assert estimate_run(run_of(), SURVEY, PROBE, start_seconds=0).peak_memory_bytes == 1_000_000
    cached = estimate_run(run_of(loader={"cache": "memory"}), SURVEY, PROBE, start_seconds=0)
    assert cached.peak_memory_bytes == 1_000_000 + (12 + 4 + 6) * 1000


def test_disk_holds_checkpoint_matrices_samples_and_records():
    small = RECORD_BYTES + 2 * HISTORY_LINE_BYTES + 6 * 50 + 1 * 700
    assert disk_bytes(run_of(), SURVEY, PROBE) == small + 40_000
    assert disk_bytes(run_of(train={"keep_weights": False}), SURVEY, PROBE) == small
    assert disk_bytes(run_of(evaluate={"samples": 50}), SURVEY, PROBE) == small + 40_000 + 5 * 700


def test_a_run_without_a_probe_has_its_problem_and_no_figures():
    found = estimate_run(run_of(), SURVEY, "needs a multiple of 32", start_seconds=0.5)
    assert (found.problem, found.seconds, found.disk_bytes) == ("needs a multiple of 32", 0, 0)


def test_a_suite_adds_up_seconds_and_disk_and_takes_the_largest_memory():
    one = RunEstimate("a", "a", 0, 1.0, 2.0, 3.0, peak_memory_bytes=10, disk_bytes=100)
    two = RunEstimate("b", "b", 0, 0.5, 0.5, 0.5, peak_memory_bytes=30, disk_bytes=1)
    lost = RunEstimate("c", "c", 0, problem="killed")
    suite = SuiteEstimate((one, two, lost))
    assert (suite.seconds, suite.peak_memory_bytes, suite.disk_bytes) == (7.5, 30, 101)
    assert suite.unknown == (lost,)
    assert suite.only(["b"]).seconds == 1.5
    assert SuiteEstimate(()).peak_memory_bytes == 0


def test_images_are_counted_as_often_as_they_are_fed():
    run = run_of()
    surveys = {run.recipe.protocol_id: SURVEY}
    assert images_fed([run, run], surveys) == 2 * (6 * 4 + 2 * 4 + 6)


def test_points_of_learning_rates_share_their_work_and_no_others_do():
    def keys(**grid):
        return {workload_key(run.recipe) for run in plan(check(document(models=["cnn"], grid=grid)))}

    assert len(keys(**{"train.optimizer.lr": [0.1, 0.2, 0.3]})) == 1
    assert len(keys(**{"train.optimizer.lr": [0.1, 0.2], "train.batch_size": [2, 4]})) == 2
    assert len(keys(**{"train.epochs": [1, 2]})) == 2
    assert workload_key(plan(check(document(models=["cnn"], train=None)))[0].recipe)


@pytest.mark.parametrize(
    ("times", "median", "excess"), [([9.0, 2.0, 1.0, 3.0], 2.0, 7.0), ([4.0], 4.0, 0.0), ([1.0, 2.0], 2.0, 0.0)]
)
def test_the_first_step_is_no_part_of_the_median_but_of_the_overhead(times, median, excess):
    assert typical(times) == median
    assert first_excess(times) == excess


@pytest.mark.parametrize(
    ("seconds_each", "count"),
    [
        ([1.0] * 9, 4),  # one to warm up, then three seconds
        ([20.0] * 9, 1),  # the first alone is much longer than there is time
        ([9.0] * 9, 2),  # at least one after the first
        ([0.0] * 9, 5),  # never more than the most
    ],
)
def test_steps_are_repeated_until_the_time_is_over(seconds_each, count):
    times = iter(seconds_each)
    assert len(repeated(lambda: next(times), lambda taken: taken, seconds=3.0, most=5)) == count
