"""What the check of a data set calls a problem, what a note, and what a suite may allow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from segbench.config.component import DatasetEntry
from segbench.config.load import check_part
from segbench.data.base import Sample
from segbench.data.validation.check import check_dataset
from segbench.data.validation.equal_pictures import alike, picture_digest
from segbench.data.validation.facts import facts_of, from_json, to_json
from segbench.data.validation.judging import CheckedSplit, judge
from segbench.errors import SuiteError


@pytest.fixture
def found(arrays):
    """Return a function that judges splits by role, each given as (H, W) labels; pictures are noise unless given."""

    def find(splits, *, pictures=None, cut=(), options=None, select="last", **entry):
        classes = entry.pop("classes", ["ground", "thing"])
        dataset = {"name": "folder", "classes": classes, **(options or {}), **entry}
        checked = {}
        for number, (role, labels) in enumerate(splits.items()):
            draw = np.random.default_rng(number)
            images = (pictures or {}).get(role) or [draw.integers(0, 256, (*np.shape(one), 3)) for one in labels]
            samples = [
                Sample(f"{role}{index}", np.asarray(image, np.uint8), np.asarray(label, np.uint8))
                for index, (image, label) in enumerate(zip(images, labels, strict=True))
            ]
            split = arrays(samples=samples, classes=len(classes))
            split.info = type(split.info)("arrays", tuple(classes), split.info.palette)
            facts = facts_of(check_dataset(split))
            checked[role] = CheckedSplit(role, facts, split.names, split.image_ids, is_cut=role in cut)
        return judge(checked, DatasetEntry.model_validate(dataset), select=select)

    return find


def kinds(findings, level="problem"):
    return [(finding.kind, finding.split) for finding in findings if finding.level == level]


GOOD = [[[0, 1], [0, 1]]]
GROUND = [[[0, 0], [0, 0]]]
VOID = [[[255, 255], [255, 255]]]


def test_labels_of_all_classes_with_few_void_pixels_are_no_matter(found):
    assert found({"train": GOOD, "test": [[[0, 1, 1], [1, 1, 255]]]}) == []


def test_a_split_of_one_class_is_a_problem_and_names_what_is_meant(found):
    findings = found({"train": GOOD, "test": [[[0, 0], [0, 255]]]})
    assert kinds(findings) == [("one-class", "test")]
    assert "values: [0, 255] and ignore: null" in findings[0].message
    assert "dataset.allow: [one-class]" in findings[0].message


def test_a_suite_of_one_class_is_a_problem_unless_it_is_allowed(found):
    findings = found({"train": GROUND, "test": GROUND}, classes=["ground"])
    assert set(kinds(findings)) == {("one-class", "train"), ("one-class", "test")}
    allowed = found({"train": GROUND, "test": GROUND}, classes=["ground"], allow=["one-class"])
    assert kinds(allowed) == []


def test_a_class_of_no_label_is_a_problem_but_not_one_that_another_split_has(found):
    classes = ["ground", "thing", "ghost"]
    findings = found({"train": GOOD, "test": GOOD}, classes=classes)
    assert kinds(findings) == [("absent-class", "train")]
    assert "the class ghost" in findings[0].message
    findings = found({"train": GOOD, "test": [[[0, 1], [2, 2]]]}, classes=classes)
    assert kinds(findings) == []
    (note,) = findings
    assert (note.kind, note.split) == ("absent-class", "train")
    assert "cannot be learnt" in note.message


def test_a_class_whose_mask_value_is_ignored_is_told_with_the_values_that_are_meant(found):
    findings = found({"train": [[[1, 1], [2, 255]]], "test": [[[1, 2], [2, 255]]]}, classes=["a", "b", "c"], ignore=0)
    assert kinds(findings) == [("absent-class", "train")]
    assert "the class a" in findings[0].message
    assert "dataset.values: [1, 2, 3]" in findings[0].message


@pytest.mark.parametrize(
    ("void_of_ten", "options", "level"),
    [
        (5, {"values": [1, 2]}, "problem"),
        (5, {"ignore": 255}, "note"),
        (5, {"ignore": 9}, None),
        (6, {"ignore": 9}, "problem"),
        (6, {"values": [1, 2], "ignore": 0}, "note"),
        (9, {"values": [1, 2], "ignore": 0}, "note"),
        (10, {"values": [1, 2], "ignore": 0}, "problem"),
    ],
)
def test_the_share_of_void_has_limits_by_what_the_suite_says_of_it(void_of_ten, options, level, found):
    label = np.tile(np.array([0, 1], np.uint8), (10, 10))
    label[:, : 2 * void_of_ten] = 255
    label[0, -2:] = 0, 1  # nine in ten exactly, or a little less than all
    given = found({"train": [label], "test": GOOD}, options=options)
    levels = [str(finding.level) for finding in given if finding.kind == "void" and finding.split == "train"]
    assert levels == ([] if level is None else [level])


def test_a_split_without_a_labelled_pixel_is_a_problem_that_nobody_can_allow(found):
    findings = found({"train": GOOD, "test": VOID}, allow=["one-class", "absent-class", "void", "same-picture"])
    assert kinds(findings) == [("unlabelled", "test")]


def test_one_mask_that_is_all_void_is_noted_by_name(found):
    (note,) = found({"train": GOOD, "test": [*GOOD, *GOOD, *VOID]}, options={"ignore": 9})
    assert (note.kind, note.level) == ("void-mask", "note")
    assert "test2" in note.message


def test_allowed_kinds_become_notes_and_the_others_stay(found):
    given = {"train": GROUND, "test": GROUND}
    assert {kind for kind, _ in kinds(found(given))} == {"one-class", "absent-class"}
    findings = found(given, allow=["one-class"])
    assert {kind for kind, _ in kinds(findings)} == {"absent-class"}
    assert "dataset.allow: [one-class, absent-class]" in findings[0].message
    assert kinds(found(given, allow=["one-class", "absent-class"])) == []


def test_what_a_fraction_or_a_limit_leaves_out_is_only_noted(found):
    findings = found({"train": GROUND, "test": GROUND}, cut=("train", "test"))
    assert kinds(findings) == []
    assert {kind for kind, _ in kinds(findings, "note")} == {"one-class", "absent-class"}


@pytest.fixture
def noise():
    return [np.random.default_rng((7, index)).integers(0, 256, (2, 2, 3), np.uint8) for index in range(4)]


def test_one_picture_in_two_splits_is_a_problem_that_names_both(found, noise):
    splits = {"train": GOOD * 2, "test": GOOD * 2}
    findings = found(splits, pictures={"train": noise[:2], "test": [noise[2], noise[1]]})
    assert kinds(findings) == [("same-picture", "test")]
    assert "1 of the 2 images" in findings[0].message
    assert "test1 is train1" in findings[0].message
    assert kinds(found(splits, pictures={"train": noise[:2], "test": noise[2:]})) == []


@pytest.mark.parametrize(("select", "problems"), [("last", []), ("best", [("same-picture", "test")])])
def test_validation_and_test_must_differ_where_weights_are_selected(select, problems, found, noise):
    splits = {"train": GOOD, "validation": GOOD, "test": GOOD}
    pictures = {"train": noise[:1], "validation": noise[1:2], "test": noise[1:2]}
    findings = found(splits, pictures=pictures, select=select)
    assert kinds(findings) == problems
    (finding,) = findings
    assert (finding.kind, finding.split) == ("same-picture", "test")
    assert "test0 is validation0" in finding.message


def test_blank_pictures_are_no_copies_of_each_other(found):
    black = [np.zeros((2, 2, 3), np.uint8)]
    assert found({"train": GOOD, "test": GOOD}, pictures={"train": black, "test": black}) == []


def test_one_picture_with_two_masks_is_noted(found, noise):
    labels = [[[0, 1], [0, 1]], [[1, 1], [0, 1]]]
    (note,) = found({"train": labels, "test": GOOD}, pictures={"train": [noise[0], noise[0]]})
    assert (note.kind, note.level, note.split) == ("repeated-picture", "note", "train")
    assert "1 of them with different masks: train0 and train1" in note.message


def test_a_picture_is_recognised_however_it_is_encoded(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    digests = set()
    for suffix, options in (("png", {}), ("bmp", {}), ("webp", {"lossless": True}), ("tif", {})):
        file = tmp_path / f"{suffix}.{suffix}"
        Image.fromarray(pixels).save(file, **options)
        digests.add(picture_digest(np.asarray(Image.open(file).convert("RGB"))))
    assert len(digests) == 1
    (digest,) = digests
    assert len(digest or "") == 16
    turned = pixels.transpose(1, 0, 2)
    assert picture_digest(turned) != digest
    assert picture_digest(pixels.astype(np.uint16)) != digest
    assert picture_digest(np.full((4, 5, 3), 9, np.uint8)) is None


def test_alike_pairs_the_first_of_equal_pictures():
    assert alike(["a", None, "b", "a"], [None, "b", "a", "c"]) == [(2, 1), (0, 2)]


def test_facts_that_were_stored_are_judged_as_those_that_were_just_read(arrays):
    samples = arrays(4).samples
    samples[1] = samples[1]._replace(image=samples[0].image)
    samples[2] = samples[2]._replace(label=np.full_like(samples[2].label, 255), image=np.zeros_like(samples[2].image))
    report = check_dataset(arrays(samples=samples))
    assert from_json(to_json(report, "train")) == facts_of(report)
    assert report.void_images == (samples[2].name,)
    assert report.pictures[2] is None


def test_what_is_found_while_reading_is_a_problem_as_what_was_known_before(arrays):
    split = arrays(3)
    seen = []
    read = split.read
    split.read = lambda index: seen.append(index) or read(index)
    type(split).problems = property(lambda self: ("palettes differ",) if len(seen) == 3 else ())
    try:
        assert check_dataset(split).problems == ("palettes differ",)
    finally:
        del type(split).problems


def test_unknown_kinds_are_refused_with_the_nearest_one():
    with pytest.raises(SuiteError, match=r"dataset.allow\[0\].*did you mean 'one-class'"):
        check_part(DatasetEntry, {"name": "scenes", "allow": ["one-clas"]}, key="dataset")


def square(value, *, pixels=20, other=0):
    """Return labels with a square of a value that fills a quarter of them."""
    label = np.full((2 * pixels, 2 * pixels), other, np.uint8)
    label[:pixels, :pixels] = value
    return label


MIXED = [square(1), square(1), square(255)]
"""Masks of two tools, of which one draws the foreground as 1 and the other as 255."""


@pytest.mark.parametrize("masks", [MIXED, [square(255), np.where(np.eye(40) * [1, *39 * [0]], 1, square(255))]])
def test_void_of_the_default_that_is_no_border_is_a_problem_with_the_remedy(masks, found):
    findings = found({"train": masks, "test": GOOD})
    assert kinds(findings) == [("void", "train")]
    assert "values: [0, [1, 255]] and ignore: null" in findings[0].message
    assert "ignore: 255" in findings[0].message
    assert "dataset.allow: [void]" in findings[0].message


def lines(*, between):
    """Labels of ground and thing with thin lines of 255: along their border, or through the ground."""
    label = np.zeros((40, 40), np.uint8)
    label[30:] = 1
    label[28 : 31 if between else 30] = 255 if between else 0
    if not between:
        label[10:13] = 255
    return [label]


def test_thin_lines_of_255_within_a_class_are_a_problem_where_nobody_chose_what_is_ignored(found):
    findings = found({"train": lines(between=False), "test": lines(between=False)})
    assert kinds(findings) == [("void", "train"), ("void", "test")]
    assert "thin lines of which 100% lie within one class" in findings[0].message
    assert "values: [0, [1, 255]] and ignore: null; if it is void, write ignore: 255" in findings[0].message


@pytest.mark.parametrize("chosen", [{"ignore": 255}, {"allow": ["void"]}, {"values": [0, 1], "ignore": 255}])
def test_thin_lines_that_the_suite_says_are_void_do_not_stop_it(found, chosen):
    assert kinds(found({"train": lines(between=False), "test": lines(between=False)}, **chosen)) == []


def test_thin_borders_between_two_classes_are_void_by_default(found):
    assert found({"train": lines(between=True), "test": lines(between=True)}) == []


def test_stored_facts_judge_thin_lines_as_fresh_ones_do_and_older_ones_do_not_know_them(arrays):
    sample = Sample("a", np.zeros((40, 40, 3), np.uint8), lines(between=False)[0])
    report = check_dataset(arrays(samples=[sample], classes=2))
    stored = to_json(report, "train")
    assert stored["enclosed_void_pixels"] == 120
    assert from_json(stored).enclosed_void_pixels == 120
    assert (
        from_json({key: one for key, one in stored.items() if key != "enclosed_void_pixels"}).enclosed_void_pixels
        is None
    )


@pytest.mark.parametrize("chosen", [{"ignore": 255}, {"ignore": [255]}, {"allow": ["void"]}])
def test_void_that_is_no_border_is_noted_where_the_suite_chose_it(chosen, found):
    findings = found({"train": MIXED, "test": GOOD}, options=chosen)
    assert kinds(findings) == []
    assert kinds(findings, "note") == [("void", "train")]


@pytest.mark.parametrize(
    "chosen",
    [
        {"values": [0, 1], "ignore": 255},
        {"ignore": 254},
        {"palette": [[0, 0, 0], [9, 9, 9]], "ignore_color": [1, 1, 1]},
    ],
)
def test_void_that_cannot_be_a_class_is_no_matter(chosen, found):
    assert found({"train": MIXED, "test": GOOD}, options=chosen) == []


def test_thin_borders_of_the_default_are_no_matter(found):
    label = square(1)
    label[18:23, :20] = label[:20, 18:23] = 255
    assert found({"train": [label], "test": GOOD}) == []


def test_a_split_that_was_counted_before_widths_were_is_judged_without_them(found, arrays):
    samples = [Sample("a", np.arange(4800, dtype=np.uint8).reshape(40, 40, 3), MIXED[2])]
    stored = to_json(check_dataset(arrays(samples=samples, classes=2)), "train")
    entry = DatasetEntry.model_validate({"name": "folder", "classes": ["a", "b"], "allow": ["one-class"]})

    def told(facts):
        return [finding.kind for finding in judge({"train": CheckedSplit("train", from_json(facts))}, entry)]

    assert "void" in told(stored)
    assert "void" not in told({key: value for key, value in stored.items() if key != "thick_void_pixels"})
