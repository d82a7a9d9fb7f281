"""What fewer training images do to scores and orders: hand-worked cases, and laws."""

import math
import shutil

import numpy as np
import pytest
from stored import iou_of, matrices, write_run

from segbench.errors import UnknownNameError, UsageError
from segbench.metrics.scores import mean_iou
from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval, compare_all
from segbench.report.efficiency.crossings import Order
from segbench.report.efficiency.curves import curve_sets
from segbench.report.efficiency.estimates import estimate_curves
from segbench.report.efficiency.needs import Need, round_scores
from segbench.report.efficiency.table import efficiency_tables
from segbench.report.efficiency.words import how_sure, missing, verdict
from segbench.report.runs.load import load_results
from segbench.results.record import FoldFacts, Outcome, Status

STEADY = {50: 70, 100: 75, 200: 80, 400: 84}
STEEP = {50: 50, 100: 68, 200: 82, 400: 92}


def rows_of(table):
    return {row.label: row for row in table.rows}


def test_scores_and_needed_images_are_worked_out_by_hand(grow, table_of):
    """IoU h / (200 - h) of exact matrices; two images are too few for intervals."""
    for size, hits in {100: 60, 200: 80}.items():
        grow("unet", {size: hits}, seeds=2, matrices=matrices(hits))
    (row,) = table_of(scores=[0.5, iou_of(60), 0.9]).rows
    assert [point.score for point in row.points] == pytest.approx([60 / 140, 80 / 120])
    assert [point.spread for point in row.points] == [0, 0]
    half, at_once, never = row.needs
    share = (0.5 - 60 / 140) / (80 / 120 - 60 / 140)
    assert half.images == pytest.approx(100 * 2**share)
    assert (half.interval, str(half)) == (None, f"{100 * 2**share:.0f}")
    assert (at_once.images, str(at_once)) == (100, "≤100")
    assert (never.images, str(never)) == (None, "never")


def test_an_order_that_turns_round_is_told_with_where(grow, table_of):
    grow("steady", STEADY)
    grow("steep", STEEP)
    table = table_of()
    (pair,) = table.pairs
    assert pair.order is Order.TURNS
    (crossing,) = pair.crossings
    assert (crossing.fewer, crossing.more) == ("steady", "steep")
    assert crossing.sides in {(100, 400), (100, 200)}
    low, high = crossing.interval
    assert 100 < low < crossing.images < high < 400
    assert "Fewer images change the ranking. steady leads up to" in verdict(table)
    fine = np.geomspace(100, 400, 20_001)
    lead = [
        np.interp(np.log(fine), np.log(list(STEADY)), [p.score for p in rows_of(table)[n].points])
        for n in ("steady", "steep")
    ]
    assert crossing.images == pytest.approx(fine[np.argmax(lead[1] >= lead[0])], rel=1e-3)


def test_means_that_cross_without_certainty_are_not_told(grow, table_of):
    grow("one", {50: 70, 400: 80}, wobble=6)
    grow("other", {50: 69, 400: 81}, wobble=6)
    table = table_of()
    (pair,) = table.pairs
    assert pair.order is Order.OPEN
    (crossing,) = pair.crossings
    assert (crossing.fewer, crossing.sides, crossing.interval) == ("one", None, None)
    assert "not seen to change" in verdict(table)


@pytest.mark.parametrize(("gap", "order"), [(12, Order.KEPT), (0, Order.UNKNOWN)])
def test_curves_that_do_not_cross_are_told_apart_or_not(grow, table_of, gap, order):
    grow("good", {50: 70, 400: 86}, wobble=2)
    grow("bad", {50: 70 - gap, 400: 86 - gap}, wobble=2)
    (pair,) = table_of().pairs
    assert (pair.order, pair.crossings) == (order, ())


def test_an_order_that_is_told_on_one_side_alone_does_not_turn_round(grow, table_of):
    grow("one", {50: 80, 400: 85})
    grow("other", {50: 60, 400: 85.4})
    (pair,) = table_of().pairs
    assert pair.order in (Order.OPEN, Order.KEPT)
    assert not any(crossing.told for crossing in pair.crossings)


def test_one_training_tells_no_networks_apart(grow, table_of):
    grow("steady", STEADY, seeds=1)
    grow("steep", STEEP, seeds=1)
    table = table_of()
    assert table.scope is Scope.WEIGHTS
    assert [pair.order for pair in table.pairs] == [Order.OPEN]
    assert rows_of(table)["steep"].points[0].spread is None
    assert "train more seeds" in verdict(table)


def test_an_interval_of_needed_images_is_open_where_the_tested_ones_end(grow, table_of):
    grow("unet", STEADY, wobble=2)
    scores = [point.score for point in table_of().rows[0].points]
    first, middle, last, beyond = (
        table_of(scores=[scores[0] + 0.001, scores[1], scores[-1] - 0.001, 0.99]).rows[0].needs
    )
    assert first.interval.low == 0
    assert 50 <= middle.interval.low < 100 < middle.interval.high < 400
    assert last.interval.high == math.inf
    assert (beyond.images, beyond.interval) == (None, Interval(400, math.inf))
    assert str(beyond) == "never"
    assert str(last).endswith("to >400)")


@pytest.mark.parametrize(
    ("images", "interval", "words"),
    [
        (112.2, (80.4, 190), "112 (80 to 190)"),
        (112.2, (0.0, math.inf), "112 (<48 to >383)"),
        (48.0, (0.0, 48.0), "≤48"),
        (48.0, (0.0, 60.0), "≤48 (to 60)"),
        (None, (383.0, math.inf), "never"),
        (None, (210.0, math.inf), "never (≥210)"),
        (None, (0.0, math.inf), "never (<48 to >383)"),
    ],
)
def test_needed_images_are_told_in_few_signs(images, interval, words):
    assert str(Need(0.8, images, Interval(*interval), (48, 383))) == words


@pytest.mark.parametrize(("together", "correlation"), [(True, 1.0), (False, 0.0)])
def test_how_much_trainings_of_a_seed_go_together_is_estimated(grow, tmp_path, together, correlation):
    """Seeds 0, 1, 2 do badly, middling, well: on all numbers of images, or the other way round on every other one."""
    for place, label in enumerate(("one", "other")):
        for turn, (size, hits) in enumerate(STEADY.items()):
            grow(label, {size: hits + place}, wobble=4 if together or turn % 2 else -4)
    (curves,) = curve_sets(load_results(tmp_path / "toy"))
    found = estimate_curves(curves, mean_iou, resamples=100)
    assert found.correlation == pytest.approx(correlation, abs=0.1)


def test_another_network_does_not_change_what_a_network_needs(grow, table_of):
    grow("unet", STEADY)
    alone = table_of(scores=[0.6]).rows[0].needs[0]
    grow("steep", STEEP)
    grow("flat", {50: 70, 400: 71})
    beside = rows_of(table_of(scores=[0.6]))["unet"].needs[0]
    assert beside.images == alone.images


def test_better_networks_need_fewer_images(grow, table_of):
    for place in range(4):
        grow(f"net{place}", {size: hits + 3 * place for size, hits in STEADY.items()})
    needs = [row.needs[0].images for row in sorted(table_of(scores=[0.65]).rows, key=lambda row: row.label)]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) == 4


def test_the_iou_of_a_class_is_its_own(grow, table_of):
    grow("unet", STEADY)
    whole, sky = table_of(), table_of(class_name="sky")
    assert sky.measure == "IoU of sky"
    assert sky.rows[0].points[0].score == pytest.approx(whole.rows[0].points[0].score)  # all classes are alike here
    with pytest.raises(UnknownNameError, match="did you mean 'sky'"):
        table_of(class_name="skyy")


@pytest.mark.parametrize("score", [0.0, 1.0, 80.0, -0.5, math.nan])
def test_a_score_that_is_no_fraction_is_refused(grow, table_of, score):
    grow("unet", STEADY)
    with pytest.raises(UsageError, match="a fraction of 1"):
        table_of(scores=[score])


def test_pretrained_networks_stand_beside_the_same_from_scratch(grow, table_of):
    grow("tuned", {50: 84, 400: 88}, name="unet", pretrained=True, options={"encoder": "a", "pretrained": True})
    grow("plain", {50: 60, 400: 84}, name="unet", options={"encoder": "a", "pretrained": False})
    grow("other", {50: 62, 400: 82}, name="unet", options={"encoder": "b", "pretrained": False})
    (pair,) = table_of().pretraining
    assert (pair.pretrained, pair.scratch, pair.goal) == ("tuned", "plain", 400)
    points = rows_of(table_of())
    for size, (gain, interval) in pair.gains.items():
        assert gain == pytest.approx(points["tuned"].at(size).score - points["plain"].at(size).score)
        assert interval.low < gain < interval.high
    assert pair.match.images < 100
    shown = " and ".join(
        f"{gain:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}) with {size} images"
        for size, (gain, interval) in pair.gains.items()
    )
    told = verdict(table_of())
    assert f"Pretraining (95 % intervals): tuned less plain is {shown}. To match plain with 400 images, tuned" in told
    assert f"tuned needs {pair.match}." in told


@pytest.fixture
def both(grow):
    """Write one network from pretrained weights and from scratch."""

    def both(tuned, plain, **changes):
        for label, hits in (("tuned", tuned), ("plain", plain)):
            options = {"encoder": "a", "pretrained": label == "tuned"}
            grow(label, hits, name="unet", pretrained=label == "tuned", options=options, **changes)

    return both


def test_the_interval_of_a_gain_is_paired(both, table_of):
    """The same images are hard for both networks, so that their difference is surer than either score."""
    both({50: 72, 400: 80}, {50: 70, 400: 78}, seeds=1)
    table = table_of()
    (pair,) = table.pretraining
    for size, (_, gain) in pair.gains.items():
        assert gain.high - gain.low < min(
            ends.high - ends.low for ends in (row.at(size).interval for row in table.rows)
        )


def test_the_interval_of_a_gain_is_that_of_the_difference_in_a_leaderboard(both, table_of, tmp_path):
    both({50: 72, 400: 80}, {50: 70, 400: 79}, wobble=2)
    (curves,) = curve_sets(load_results(tmp_path / "toy"))
    estimated = estimate_curves(curves, mean_iou, resamples=500)
    for size, (gain, interval) in table_of().pretraining[0].gains.items():
        (compared,) = compare_all(estimated.at(size))
        sign = 1 if estimated.labels_at(size)[0] == "tuned" else -1
        assert sign * gain == pytest.approx(compared.difference)
        assert sorted(sign * end for end in interval) == pytest.approx(sorted(compared.interval))


def test_one_seed_claims_nothing_of_pretraining_beyond_these_weights(both, table_of):
    both({50: 84, 400: 88}, {50: 60, 400: 84}, seeds=1)
    table = table_of()
    told = verdict(table)
    words = "95 % intervals of these weights; one seed: variation between trainings is not included"
    assert f"Pretraining ({words}): tuned less plain is +" in told
    assert "needs" not in told
    assert table.pretraining[0].match is None
    assert "One seed: variation between trainings is not included." in how_sure(table)


def test_one_seed_beside_several_borrows_their_variation_and_says_so(both, grow, table_of):
    both({50: 84, 400: 88}, {50: 60, 400: 84}, seeds=1)
    grow("other", {50: 62, 400: 82})
    table = table_of()
    assert "networks with one seed borrow the others' largest variation" in verdict(table)
    assert "Networks with one seed borrow the others' largest variation." in how_sure(table)


@pytest.mark.parametrize(
    ("tuned", "plain", "gains", "words"),
    [
        ((50, 100), (200, 400), [], "tuned and plain have no number of images in common"),
        ((50,), (100,), [], "tuned and plain have no number of images in common"),
        ((50, 100), (100, 400), [100], "with 100 images. To match plain with 400 images, tuned needs"),
        ((50, 100), (50, 100, 400), [50, 100], "with 100 images. To match plain with 400 images, tuned needs"),
    ],
)
def test_pretraining_is_told_where_networks_lack_numbers_of_images(both, table_of, tuned, plain, gains, words):
    both(dict.fromkeys(tuned, 84), {size: 60 + size / 50 for size in plain})
    table = table_of()
    assert list(table.pretraining[0].gains) == gains
    assert table.pretraining[0].goal == plain[-1]
    told = verdict(table)
    assert words in told
    assert told.count("with 100 images") <= 1 + (plain[-1] == 100)


def test_networks_without_common_images_do_not_hide_the_gains_of_others(both, grow, table_of):
    both({50: 84, 100: 88}, {200: 60, 400: 84})
    for label, hits in (("second tuned", {50: 80, 400: 86}), ("second plain", {50: 70, 400: 82})):
        tuned = label == "second tuned"
        grow(label, hits, name="segnet", pretrained=tuned, options={"encoder": "a", "pretrained": tuned})
    assert "second tuned less second plain is +" in verdict(table_of())


def test_a_pretrained_network_that_stays_behind_is_not_seen_to_match(both, table_of):
    both({50: 40, 400: 50}, {50: 60, 400: 84})
    assert "With up to 400 images, tuned is not seen to match plain with 400 images." in verdict(table_of())


def test_too_few_test_images_are_the_reason_for_gains_without_intervals(both, table_of):
    both({50: 84, 400: 88}, {50: 60, 400: 84}, images=4)
    table = table_of()
    reason = "4 test images are too few for intervals, which need 10"
    assert table.no_intervals == reason
    assert [interval for _, interval in table.pretraining[0].gains.values()] == [None, None]
    told = verdict(table)
    assert f"Whether fewer images change the order of networks is not known: {reason}." in told
    assert f"Pretraining ({reason}): tuned less plain is +" in told
    assert "train more seeds" not in told
    assert how_sure(table) == f"{reason}, so that no crossing is told."


def test_no_order_is_told_of_networks_that_share_fewer_than_two_numbers_of_images(grow, table_of):
    grow("one", {50: 70, 100: 75})
    assert verdict(table_of()) == "One network has no order that could change."
    grow("other", {100: 60, 400: 70})
    told = "No two networks have two numbers of images in common, so that no order is compared."
    assert verdict(table_of()) == told
    grow("third", {50: 60, 100: 65})
    assert "1 pair: 1 told apart somewhere" in verdict(table_of())
    assert "2 other pairs without two numbers of images in common." in verdict(table_of())


def test_a_class_that_no_test_image_has_is_refused(grow, table_of):
    counted = matrices(80, images=12)
    counted.matrices[:, 2, :] = counted.matrices[:, :, 2] = 0
    grow("unet", {50: 80, 400: 84}, matrices=counted)
    with pytest.raises(UsageError, match="no test image has a label of the class 'car'"):
        table_of(class_name="car")


def test_recipes_that_differ_in_more_than_the_fraction_make_tables_of_their_own(grow):
    grow("unet", STEADY)
    root = grow("unet", STEADY, train={"epochs": 4})
    grow("unet", {50: 70}, train={"epochs": 5})
    tables = efficiency_tables(load_results(root), resamples=200)
    assert sorted(table.name for table in tables) == ["Cell nuclei · 188 steps", "Cell nuclei · 4 epochs"]


def test_other_test_images_are_never_put_together(grow):
    grow("unet", {50: 70, 100: 75})
    root = grow("unet", {200: 80, 400: 84}, images=30, test_digest="other")
    tables = efficiency_tables(load_results(root), resamples=200)
    assert sorted(table.sizes for table in tables) == [(50, 100), (200, 400)]


def test_what_was_not_trained_is_told_and_the_rest_is_compared(grow, table_of):
    grow("whole", STEADY)
    grow("half", {50: 60, 400: 70})
    grow("half", {100: 60}, outcome=Outcome(status=Status.FAILED, reason="out of memory"))
    table = table_of()
    assert list(missing(table)) == ["half has no completed training on 100, 200 images"]
    assert set(table.pairs[0].p_values) == {50, 400}


def test_runs_that_cannot_be_read_or_were_not_trained_are_left_out(grow, table_of):
    root = grow("unet", STEADY)
    before = table_of()
    (next(grow("broken", {400: 80}, seeds=1).glob("broken-*")) / "run.json").write_text("{")
    grow("loaded", {400: 80}, train=None)
    write_run(root.parent, "empty", train_images=0)
    assert table_of().rows == before.rows


def test_a_copied_folder_is_no_second_seed(grow, table_of):
    root = grow("unet", STEADY, seeds=1)
    for run in list(root.iterdir()):
        shutil.copytree(run, root / f"copy-of-{run.name}")
    assert {point.seeds for point in table_of().rows[0].points} == {1}


def test_images_of_one_group_are_drawn_together(grow, table_of):
    """Forty images of three patients are three tests: too few for intervals."""
    folds = [
        FoldFacts(index=1, folds=1, groups=tuple(f"patient{place % 3}" for place in range(40)), pool_fingerprint="p")
    ]
    grow("unet", STEADY, fold=folds[0])
    table = table_of()
    assert (table.resamples, table.pairs) == (None, ())
    assert table.no_intervals == "3 groups of test images are too few for intervals, which need 10"
    assert table.no_intervals in how_sure(table)


def test_one_number_of_images_makes_no_table(grow):
    root = grow("unet", {400: 80})
    assert efficiency_tables(load_results(root)) == []


@pytest.mark.parametrize(
    ("lowest", "highest", "scores"),
    [
        (0.45, 0.83, (0.6, 0.8)),
        (0.5, 0.88, (0.6, 0.7, 0.8)),
        (0.70, 0.72, (0.71, 0.72)),
        (0.701, 0.704, ()),
        (0.8, 0.8, ()),
    ],
)
def test_scores_to_reach_are_round(lowest, highest, scores):
    assert round_scores(lowest, highest) == pytest.approx(scores)
