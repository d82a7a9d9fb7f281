"""Claims about what a reader is told before comparing rows."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from stored import CLASSES

from segbench.report.ranking.caveats import caveats
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices


@pytest.fixture
def notes(results):
    return lambda: caveats(load_results(results))


def test_nothing_disturbs_rows_of_one_protocol_and_data(add, notes):
    add("a")
    add("b")
    assert notes() == []


def test_what_the_check_of_the_data_noted_is_told_once(add, notes):
    add("a", data_notes=("test: 60% of the pixels are void",))
    add("b", data_notes=("test: 60% of the pixels are void",))
    (note,) = notes()
    assert note.endswith("data, test: 60% of the pixels are void.")


def test_different_test_data_is_pointed_out_with_its_tables(add, notes):
    add("a")
    add("b")
    add("c", test_digest="other")
    (note,) = notes()
    assert "not all rows were tested on the same data, so that they are ranked in 2 tables" in note
    assert "test data test: a, b | test data other: c" in note


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        ({"test": "1"}, {"test": "2"}, "Their files differ."),
        ({"test": "1"}, {"test": "1"}, "The files are the same; other library versions or processors decoded"),
        ({"test": "1"}, {}, "Their files, or how they were decoded and resized, differ."),
    ],
)
def test_the_cause_of_different_test_data_is_told_as_far_as_it_is_known(add, notes, first, second, cause):
    add("a", fingerprints=first)
    add("b", fingerprints=second, test_digest="other")
    assert cause in notes()[0]


def test_files_that_decode_to_the_same_pixels_are_no_cause_of_different_test_data(add, notes):
    add("a", fingerprints={"test": "1"}, pixel_digests={"test": "p"})
    add("b", fingerprints={"test": "2"}, pixel_digests={"test": "p"}, test_digest="other")
    assert "The files decode to the same pixels; other library versions or processors resized them" in notes()[0]


def test_what_disturbs_one_of_several_tables_names_the_table(add, notes):
    add("a")
    add("b", train_digest="odd")
    add("c", test_digest="other")
    assert [note.partition(": ")[0].partition(", ")[2] for note in notes()] == ["", "test data test"]


def test_different_training_data_is_pointed_out_with_its_seed(add, notes):
    add("a", 5)
    add("b", 5, train_digest="other")
    (note,) = notes()
    assert "with seed 5, not all rows were trained on the same data" in note


def test_seeds_that_were_trained_on_other_images_are_pointed_out(add, notes):
    for seed, count in enumerate((8, 12, 12)):
        add("a", seed, fingerprints={"train": f"{count} images"}, train_images=count)
        add("b", seed, fingerprints={"train": f"{count} images"}, train_images=count)
    (note,) = notes()
    assert (
        "not all runs were trained on the same images: a, b with seeds 1, 2 (12 images) | a, b with seed 0 (8 " in note
    )


def test_training_images_that_decode_to_the_same_pixels_are_the_same(add, notes):
    add("a", 0, fingerprints={"train": "png"}, pixel_digests={"train": "p"})
    add("a", 1, fingerprints={"train": "tif"}, pixel_digests={"train": "p"})
    assert notes() == []


def test_copies_of_a_run_that_differ_are_named_with_their_scores(add, notes):
    add("a", 0)
    add("a", 0, hits=70, suite="copy")
    text = "\n".join(notes())
    assert re.search(r"a, seed 0, is stored with several results \(mean IoU 0\.\d{4}, 0\.\d{4}\): only the first", text)


def test_seeds_that_were_fed_the_same_images_in_the_same_order_look_like_copies(add, notes):
    for seed in (0, 3, 4):
        add("a", seed, train_digest="train-0")
    add("a", 5)
    add("b", 0, train_digest="train-0")
    add("b", 1)
    (note,) = [note for note in notes() if "same images in the same order" in note]
    assert "seeds 0, 3 and 4 of a were trained on the same images" in note


def test_copies_are_no_seeds_in_notes_on_classes(add, notes):
    never = ImageMatrices(("image0", "image1"), np.array([[[100, 0, 0], [0, 100, 0], [20, 80, 0]]] * 2))
    add("a", 0, matrices=never)
    add("a", 0, matrices=never, suite="copy")
    add("a", 1)
    (note,) = [note for note in notes() if "never predicts" in note]
    assert "(1 of 2 seeds)" in note


@pytest.mark.parametrize(("several", "told"), [(0, False), (1, True), (2, False), (7, False)])
def test_rows_that_borrow_their_variance_from_one_network_are_pointed_out(add, notes, several, told):
    for number in range(7):
        for seed in range(2 if number < several else 1):
            add(f"net{number}", seed)
    assert any("one network of 7 had several trainings, and the others borrow its" in note for note in notes()) is told


def test_unequal_seeds_copies_and_machines_are_pointed_out(add, notes):
    add("a", 0)
    add("a", 1)
    add("b", 0, environment={"processor": "Other CPU"})
    add("b", 0, suite="copy", environment={"processor": "Other CPU"})
    text = "\n".join(notes())
    assert "device Example CPU | Other CPU: b" in text
    assert "not all rows have equally many seeds (1 to 2)" in text
    assert "1 run of the same network and seed as another counted once only" in text
    assert "2 different environments, so that their speeds do not compare" in text


def test_what_started_from_the_weights_of_a_vgg_is_told_once_for_all_rows_of_the_same_parts(add, notes):
    names = tuple(f"stages.{index}.{kind}" for index in range(13) for kind in ("weight", "bias"))
    alone = {"source": "vgg16_hed.safetensors", "tensors": {"convolutions": names}}
    whole = {"source": "timm's vgg16", "tensors": alone["tensors"] | {"fc6": ("fc6.weight",), "fc7": ("fc7.weight",)}}
    add("fcn8s", 0, weights_loaded=alone | {"initialised": ("fc6", "fc7")})
    add("fcn8s", 1, weights_loaded=alone | {"initialised": ("fc6", "fc7")})
    add("cnn", 0, weights_loaded=alone)
    add("cnn", 1, weights_loaded=alone)
    add("fcn32s", 0, weights_loaded=whole)
    add("fcn32s", 1, weights_loaded=whole)
    assert [note.partition(": ")[2] for note in notes()] == [
        "pretrained weights of cnn: 13 convolutions from vgg16_hed.safetensors; the rest initialised.",
        "pretrained weights of fcn32s: 13 convolutions, fc6 and fc7 from timm's vgg16; the rest initialised.",
        "pretrained weights of fcn8s: 13 convolutions from vgg16_hed.safetensors; fc6, fc7 and the rest initialised.",
    ]


def test_classes_that_no_label_holds_are_named(add, notes):
    counts = np.zeros((1, 3, 3), np.int64)
    counts[0, 0] = [5, 0, 2]
    add("a", matrices=ImageMatrices(("x",), counts))
    add("b", matrices=ImageMatrices(("x",), counts * np.array([1, 1, 0]) + np.diag([2, 0, 0])))
    text = "\n".join(notes())
    assert f"a predicts classes that no test label holds; their IoU counts as 0: {CLASSES[2]}" in text
    assert "not taken over equally many classes in all rows (1 to 2)" in text


def test_long_lists_of_networks_are_cut(add, notes):
    for name in "abcdefg":
        add(name)
    add("z", test_digest="other")
    assert "a, b, c, d, e, … | test data other: z" in notes()[0]


def test_rows_whose_runs_shared_a_device_are_named(add, notes):
    add("a", runs_at_once=2)
    add("b", runs_at_once=3)
    add("c")
    (note,) = notes()
    assert "up to 3 runs at once shared a device" in note
    assert "marked as shared (a, b) are no measure of speed" in note


def test_a_record_that_says_nothing_of_other_runs_is_of_one_that_was_alone(add, notes, results):
    add("a")
    (file,) = results.rglob("run.json")
    record = json.loads(file.read_text())
    del record["runs_at_once"], record["checksums"]
    file.write_text(json.dumps(record))
    assert list(load_results(results)["runs_at_once"]) == [1]
    assert notes() == []
