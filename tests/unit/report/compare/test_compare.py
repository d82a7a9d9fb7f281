"""Claims about comparing two sets of runs: paired where that is honest, and silent about the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from stored import COMPUTED, VERSIONS, iou_of, matrices, some_images, write_run, write_speed_of

from segbench.errors import StoreError
from segbench.report.compare.caveats import caveats
from segbench.report.compare.compare import compare
from segbench.report.runs.load import load_results
from segbench.results.record import Outcome, Status


@pytest.fixture
def sides(tmp_path):
    return tmp_path / "one", tmp_path / "two"


def compared(sides):
    return compare(*map(load_results, sides))


def test_two_runs_are_compared_score_by_score_whatever_they_are_called(sides):
    write_run(sides[0], "old", matrices=some_images(60))
    write_run(sides[1], "new", matrices=some_images(80))
    found = compared(sides)
    assert found.scores["score"].tolist()[:2] == ["mean_iou", "pixel_accuracy"]
    row = found.networks.iloc[0]
    assert (row["first"], row["second"]) == ("old", "new")
    assert row["difference"] == pytest.approx(row["second_value"] - row["first_value"])
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert found.classes["difference"].tolist() == pytest.approx(
        (found.classes["second"] - found.classes["first"]).tolist()
    )


def test_sides_that_count_different_labels_on_the_same_data_are_refused(sides):
    write_run(sides[0], "old", matrices=some_images(60), test_digest="same")
    doubled = replace(some_images(80), matrices=some_images(80).matrices * 2)
    other = write_run(sides[1], "new", matrices=doubled, test_digest="same")
    assert load_results(sides[1])["status"].tolist() == ["completed"], "alone it contradicts nothing"
    with pytest.raises(StoreError, match="count different labels; which of them is right is unknown"):
        compared(sides)
    assert other.is_dir()


def write_seeds(folder, label, hits, seeds=(0, 1, 2), **changes):
    """Write runs of several seeds, each of its own images' luck."""
    for seed in seeds:
        write_run(folder, label, seed, matrices=some_images(hits, seed=10 * hits + seed), **changes)


def test_networks_of_several_seeds_are_told_apart_where_the_difference_is_more_than_chance(sides):
    for folder, hits in zip(sides, (60, 80), strict=True):
        write_seeds(folder, "a", hits)
    row = compared(sides).networks.iloc[0]
    assert row["scope"] == "networks"
    assert row["p_value"] < 0.01


def test_what_only_chance_keeps_apart_is_not_significant(sides):
    for folder, seeds in zip(sides, ((0, 1, 2), (3, 4, 5)), strict=True):
        write_seeds(folder, "a", 70, seeds)
    row = compared(sides).networks.iloc[0]
    assert row["low"] < 0 < row["high"]
    assert row["p_value"] > 0.05


@pytest.mark.parametrize("seeds", [((0,), (0,)), ((0,), (0, 1, 2)), ((0, 1, 2), (0,))])
def test_of_one_training_nothing_is_claimed_about_networks(sides, seeds):
    for folder, hits, numbers in zip(sides, (60, 80), seeds, strict=True):
        write_seeds(folder, "a", hits, numbers, options={"width": hits})
    found = compared(sides)
    for row in (found.networks.iloc[0], found.scores.iloc[1]):
        assert row["scope"] == "weights"
        assert math.isnan(row["p_value"])
        assert row["low"] < row["difference"] < row["high"]
    (said,) = caveats(found.networks)
    assert said == (
        "the interval is of these weights on images like these test images; another seed gives other weights. One "
        "training cannot tell networks apart: train each three times or more (segbench run SUITE --seeds 0,1,2) and "
        "compare the folders"
    )


def test_of_several_pairs_those_that_were_trained_once_are_named(sides):
    for folder, hits in zip(sides, (60, 80), strict=True):
        write_seeds(folder, "a", hits)
        write_seeds(folder, "b", hits, (0,), options={"depth": 2})
    found = compared(sides).networks
    assert dict(zip(found["first"], found["scope"], strict=True)) == {"a": "networks", "b": "weights"}
    assert [math.isnan(value) for value in found["p_value"]] == [name == "b" for name in found["first"]]
    assert any(said.startswith("b: the interval is of these weights") for said in caveats(found))


def test_weights_that_were_not_trained_here_keep_their_p_value(sides):
    for folder, hits in zip(sides, (60, 80), strict=True):
        write_run(folder, "a", matrices=some_images(hits), recipe={"train": None}, options={"width": hits})
    found = compared(sides).networks
    assert (found["scope"].iloc[0], found["trained"].iloc[0]) == ("weights", False)
    assert found["p_value"].iloc[0] < 0.01
    assert caveats(found) == []


def test_two_seeds_of_one_network_are_called_that_with_their_seeds(sides):
    for seed, folder in enumerate(sides):
        write_run(folder, "U-Net", seed, matrices=some_images(60 + 10 * seed))
    found = compared(sides).networks
    row = found.iloc[0]
    assert (row["same_network"], row["same_recipe"], row["seeds"]) == (True, True, ((0,), (1,)))
    assert math.isnan(row["p_value"])
    said = (
        "U-Net: the same network on both sides, seeds 0 | 1: the difference is between trainings, not between networks"
    )
    assert caveats(found)[0] == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "a: the same network on both sides, with the same seeds: a difference is one of"),
        ({"recipe": {"train": {"epochs": 9, "select": "last"}}}, "a: the same network on both sides, by two recipes"),
        ({"label": "b"}, "a | b: the same network on both sides, with the same seeds: a difference is one of"),
    ],
)
def test_one_network_on_both_sides_is_said_whatever_else_differs(sides, changes, said):
    write_run(sides[0], "a", matrices=some_images(60))
    write_run(sides[1], changes.pop("label", "a"), matrices=some_images(60), **changes)
    assert caveats(compared(sides).networks)[0].startswith(said)


def test_other_networks_are_not_called_the_same(sides):
    for folder, width in zip(sides, (1.0, 0.5), strict=True):
        write_run(folder, "a", options={"width": width})
    found = compared(sides).networks
    assert not found["same_network"].iloc[0]
    assert not any("same network" in said for said in caveats(found))


def environment(**changes):
    versions = {**VERSIONS, **changes.pop("versions", {})}
    return {"processor": "Example CPU", "device": "cpu", "versions": versions, **COMPUTED, **changes}


def test_what_is_not_the_same_in_both_environments_is_named_with_both_values(sides):
    write_run(sides[0], "a")
    there = {"processor": "GPU host", "precision": "bf16", "cpu_capability": "AVX512"}
    write_run(sides[1], "a", environment=environment(threads=2, versions={"torch": "2.7", "pillow": "11"}, **there))
    found = compared(sides).networks
    assert found["environment"].iloc[0]["threads"] == ("1", "2")
    assert caveats(found)[-1] == (
        "not computed alike, and scores depend on it: threads 1 | 2; CPU capability AVX2 | AVX512; device Example CPU "
        "| GPU host; precision fp32 | bf16; torch 2.6 | 2.7; Pillow 10.3 | 11"
    )


def test_environments_of_several_pairs_are_told_once(sides):
    for folder, threads in zip(sides, (1, 2), strict=True):
        for name, depth in (("a", 1), ("b", 2)):
            write_run(folder, name, options={"depth": depth}, environment=environment(threads=threads))
        write_run(folder, "c", options={"depth": 3})
    said = [text for text in caveats(compared(sides).networks) if "computed alike" in text]
    assert said == ["a, b: not computed alike, and scores depend on it: threads 1 | 2"]


def test_what_one_side_does_not_record_is_no_difference(sides):
    write_run(sides[0], "a")
    write_run(sides[1], "a", environment={"processor": "Example CPU", "device": "cpu"})
    found = compared(sides).networks
    assert found["environment"].iloc[0] == {}
    assert caveats(found)[-1].startswith("not recorded of all runs, so that they may differ in it unseen: threads, CPU")


def test_without_an_interval_none_is_spoken_of(sides):
    for folder, hits in zip(sides, (60, 80), strict=True):
        write_run(folder, "a", hits=hits, options={"width": hits})
    (said,) = caveats(compared(sides).networks)
    assert said.startswith("One training cannot tell networks apart")


def test_folders_are_compared_network_by_network_and_the_others_are_named(sides):
    for folder, shift in zip(sides, (0, 10), strict=True):
        for name, hits in (("a", 60), ("b", 70)):
            write_run(folder, name, matrices=some_images(hits + shift))
    write_run(sides[0], "gone", matrices=some_images(50), options={"width": 2.0})
    write_run(sides[1], "come", matrices=some_images(50), options={"width": 4.0})
    found = compared(sides)
    assert found.networks["first"].tolist() == found.networks["second"].tolist() == ["a", "b"]
    assert (found.networks["difference"] > 0.05).all()
    assert (found.only_first, found.only_second) == (["gone"], ["come"])
    assert found.scores.empty


def test_p_values_are_adjusted_over_networks(sides):
    for folder, seeds in zip(sides, ((0, 1), (2, 3)), strict=True):
        write_seeds(folder, "a", 70, seeds)
    alone = compared(sides).networks["p_value"].iloc[0]
    for folder, seeds in zip(sides, ((0, 1), (2, 3)), strict=True):
        write_seeds(folder, "b", 70, seeds)
    assert compared(sides).networks["p_value"].tolist() == pytest.approx([min(1.0, 2 * alone)] * 2)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"matrices": some_images(80), "test_digest": "other"}, "not tested on the same data"),
        ({"matrices": some_images(80, prefix="other")}, "not tested on the same data"),
        ({"matrices": some_images(80, images=30)}, "not tested on the same data"),
    ],
)
def test_other_images_are_not_paired_and_the_reason_is_told(sides, changes, note):
    write_run(sides[0], "a", matrices=some_images(60))
    write_run(sides[1], "a", **changes)
    row = compared(sides).networks.iloc[0]
    assert row["note"] == note
    assert row["low"] is None
    assert math.isnan(row["p_value"])


def test_too_few_images_have_a_difference_and_no_interval(sides):
    write_run(sides[0], "a", hits=60)
    write_run(sides[1], "a", hits=80)
    row = compared(sides).networks.iloc[0]
    assert row["difference"] == pytest.approx(iou_of(80) - iou_of(60))
    assert row["note"] == "fewer than 10 test images"


def test_recipes_that_differ_are_named(sides):
    write_run(sides[0], "a")
    write_run(sides[1], "a", recipe={"dataset": {"name": "scenes"}, "train": {"epochs": 9, "select": "last"}})
    assert [key for key, _ in compared(sides).recipe] == ["train.epochs"]


@pytest.mark.parametrize("epochs", [(2, 9), (9, 2)])
def test_recipes_are_told_by_side_whatever_has_more_runs(sides, epochs):
    for folder, number in zip(sides, epochs, strict=True):
        for seed in range(number):
            recipe = {"dataset": {"name": "scenes"}, "train": {"epochs": number, "select": "last"}}
            write_run(folder, "a", seed, recipe=recipe)
    found = compared(sides)
    (difference,) = found.recipe
    assert [[difference.values[name] for name in names] for names in found.protocols] == [[n] for n in epochs]


def test_what_differs_within_both_sets_alike_is_no_difference_between_them(sides):
    for folder in sides:
        for name, epochs in (("a", 2), ("b", 9)):
            write_run(folder, name, recipe={"train": {"epochs": epochs, "select": "last"}})
    found = compared(sides)
    assert len(found.networks) == 2
    assert found.recipe == []


def test_the_same_network_is_found_among_others_of_its_name(sides):
    write_run(sides[0], "unet", options={"width": 1.0})
    write_run(sides[0], "other", options={"depth": 3})
    write_run(sides[1], "unet", options={"width": 0.5}, hits=50)
    write_run(sides[1], "unet", options={"width": 1.0}, hits=90)
    found = compared(sides)
    assert found.networks[["first", "second"]].to_numpy().tolist() == [["unet", "unet (width=1.0)"]]
    assert found.networks["second_value"].tolist() == pytest.approx([iou_of(90)])
    assert found.networks["differing"].tolist() == [{}]
    assert (found.only_first, found.only_second) == (["other"], ["unet (width=0.5)"])


def test_a_network_that_was_renamed_is_still_the_same(sides):
    for folder, names in zip(sides, (("old", "b"), ("new", "b")), strict=True):
        for name, width in zip(names, (1.0, 2.0), strict=True):
            write_run(folder, name, options={"width": width})
    found = compared(sides)
    assert found.networks[["first", "second"]].to_numpy().tolist() == [["b", "b"], ["old", "new"]]
    assert found.networks["differing"].tolist() == [{}, {}]


def test_what_is_paired_by_name_alone_names_what_differs(sides):
    for folder, width, digest in zip(sides, (1.0, 0.5), ("x", None), strict=True):
        write_run(folder, "a", options={"width": width, "norm": "batch"}, weights_digest=digest)
        write_run(folder, "b", options={"depth": 3})
    found = compared(sides)
    by_name = dict(zip(found.networks["first"], found.networks["differing"], strict=True))
    assert by_name == {"a": {"width": (1.0, 0.5), "weights_digest": ("x", None)}, "b": {}}


def test_seeds_are_averaged_and_counted(sides):
    for seed, hits in enumerate((60, 80)):
        write_run(sides[0], "a", seed, matrices=some_images(hits, seed=seed))
        write_run(sides[1], "a", seed, matrices=some_images(hits, seed=seed))
    row = compared(sides).networks.iloc[0]
    assert (row["first_seeds"], row["second_seeds"]) == (2, 2)
    assert row["difference"] == 0.0


def test_speed_is_a_ratio_where_both_were_measured_alike(sides):
    for folder, seconds in zip(sides, (0.2, 0.1), strict=True):
        write_run(folder, "a")
        write_speed_of(folder, "a", seconds)
    assert compared(sides).networks["speed_ratio"].iloc[0] == pytest.approx(2.0)


def test_what_cannot_be_compared_is_refused_with_the_reason(sides):
    write_run(sides[0], "a", outcome=Outcome(status=Status.FAILED, reason="x"))
    write_run(sides[1], "a")
    with pytest.raises(StoreError, match="the first holds no completed run"):
        compared(sides)
    write_run(sides[0], "b")
    write_run(sides[0], "c")
    with pytest.raises(StoreError, match=r"no network is in both: b, c \| a"):
        compared(sides)
    write_run(sides[1], "b", recipe={"dataset": {"name": "scenes"}, "train": None})
    write_run(sides[1], "b")
    with pytest.raises(StoreError, match="the second holds b under several protocols"):
        compared(sides)


def test_one_image_matrix_more_changes_nothing_for_equal_runs(sides):
    for folder in sides:
        for seed in (0, 1):
            write_run(folder, "a", seed, matrices=matrices(70, images=12))
    row = compared(sides).networks.iloc[0]
    assert (row["difference"], row["p_value"]) == (0.0, 1.0)
