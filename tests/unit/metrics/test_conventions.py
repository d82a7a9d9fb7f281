"""Claims about other tools' conventions: equal to the tool itself where it is installed, else to its rule restated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.segmentation import MeanIoU

from segbench.errors import UnknownNameError
from segbench.metrics.conventions import CONVENTIONS, convention

TOY = np.array([[[50, 0], [0, 50]], [[98, 0], [2, 0]]])
"""One image that is right, and one of 100 pixels that misses the two of a rare class."""

worlds = st.builds(
    lambda images, classes, seed, zeros: (
        np.random.default_rng(seed).integers(0, 9, (images, classes, classes))
        * (np.random.default_rng(seed + 1).random((images, classes, classes)) > zeros)
    ),
    st.integers(1, 5),
    st.integers(2, 5),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.4, 0.8]),
)


def pixels(matrix):
    """Return a label and a prediction, 1 row each, whose confusion matrix this is."""
    label, prediction = np.nonzero(matrix)
    count = matrix[label, prediction]
    return torch.from_numpy(np.repeat(label, count))[None], torch.from_numpy(np.repeat(prediction, count))[None]


def equal(value, expected):
    return (math.isnan(value) and math.isnan(expected)) or value == pytest.approx(expected)


def scored(name, matrices, void_predicted=None):
    void = np.zeros(matrices.shape[:2], np.int64) if void_predicted is None else void_predicted
    return convention(name).score(matrices, void)


def test_the_toy_is_0745_image_by_image_and_0974_over_all_pixels():
    assert scored("torchmetrics", TOY).mean_iou == pytest.approx(0.745)
    assert scored("segbench", TOY).mean_iou == pytest.approx(0.974, abs=5e-4)
    assert scored("mmsegmentation", TOY).mean_iou == scored("segbench", TOY).mean_iou


@settings(max_examples=60, deadline=None)
@given(worlds)
def test_torchmetrics_is_what_torchmetrics_says(matrices):
    matrices = matrices[matrices.sum(axis=(1, 2)) > 0]
    tool = MeanIoU(num_classes=matrices.shape[1], input_format="index")
    for matrix in matrices:
        label, prediction = pixels(matrix)
        tool.update(prediction, label)
    if len(matrices):
        assert scored("torchmetrics", matrices).mean_iou == pytest.approx(float(tool.compute()), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(worlds)
@pytest.mark.parametrize("reduction", ["macro", "micro", "macro-imagewise", "micro-imagewise"])
def test_smp_is_what_smp_says(reduction, matrices):
    matrices = matrices[matrices.sum(axis=(1, 2)) > 0]
    if not len(matrices):
        return
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    missed, false = matrices.sum(axis=2) - hits, matrices.sum(axis=1) - hits
    others = matrices.sum(axis=(1, 2))[:, None] - hits - missed - false
    counts = [torch.from_numpy(np.ascontiguousarray(part)) for part in (hits, false, missed, others)]
    own = scored(f"smp-{reduction}", matrices)
    tool = {"reduction": reduction, "zero_division": 1.0}
    assert equal(own.mean_iou, float(smp.metrics.iou_score(*counts, **tool)))
    assert equal(own.accuracy, float(smp.metrics.accuracy(*counts, **tool)))
    assert equal(own.mean_accuracy, float(smp.metrics.recall(*counts, **tool)))


def restated_mmsegmentation(matrices):
    with np.errstate(invalid="ignore"):
        total = matrices.sum(axis=0)
        intersect, labels, predictions = np.diag(total), total.sum(1), total.sum(0)
        return (
            np.nanmean(intersect / (labels + predictions - intersect)),
            intersect.sum() / labels.sum(),
            np.nanmean(intersect / labels),
        )


def restated_hf_evaluate(matrices):
    """The published metric, label map by label map: masks, histograms in float64, nanmean."""
    classes = matrices.shape[1]
    sums = np.zeros((3, classes), np.float64)
    for matrix in matrices:
        label, prediction = (part.numpy() for part in pixels(matrix))
        kept = label != 255
        label, prediction = label[kept], prediction[kept]
        for index, values in enumerate((prediction[prediction == label], prediction, label)):
            sums[index] += np.histogram(values, bins=classes, range=(0, classes - 1))[0]
    intersect, predicted, labelled = sums
    with np.errstate(invalid="ignore"):
        iou, accuracy = intersect / (predicted + labelled - intersect), intersect / labelled
    return np.nanmean(iou), intersect.sum() / labelled.sum(), np.nanmean(accuracy)


def restated_torchvision(matrices):
    matrix = torch.from_numpy(matrices.sum(axis=0)).float()
    diagonal = torch.diag(matrix)
    return (
        float((diagonal / (matrix.sum(1) + matrix.sum(0) - diagonal)).mean()),
        float(diagonal.sum() / matrix.sum()),
        float((diagonal / matrix.sum(1)).mean()),
    )


def restated_paddleseg(matrices):
    total = matrices.sum(axis=0)
    ious, accuracies = [], []
    for index in range(len(total)):
        union = total[index].sum() + total[:, index].sum() - total[index, index]
        ious.append(0 if union == 0 else total[index, index] / union)
        predicted = total[:, index].sum()
        accuracies.append(0 if predicted == 0 else total[index, index] / predicted)
    return np.mean(ious), np.trace(total) / total.sum(), np.mean(accuracies)


def restated_nnunet(matrices):
    per_class = []
    for index in range(1, matrices.shape[1]):
        values = []
        for matrix in matrices:
            hits, missed = matrix[index, index], matrix[index].sum() - matrix[index, index]
            false = matrix[:, index].sum() - matrix[index, index]
            if hits + missed + false:
                values.append(hits / (hits + missed + false))
        per_class.append(np.mean(values) if values else math.nan)
    return (np.mean(per_class),)


@settings(max_examples=60, deadline=None)
@given(worlds)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize(
    ("name", "restated"),
    [
        ("mmsegmentation", restated_mmsegmentation),
        ("hf-evaluate", restated_hf_evaluate),
        ("torchvision", restated_torchvision),
        ("paddleseg", restated_paddleseg),
        ("nnunet", restated_nnunet),
    ],
)
def test_a_convention_is_its_tools_rule(name, restated, matrices):
    matrices = matrices[matrices.sum(axis=(1, 2)) > 0]
    if not len(matrices):
        return
    own = [value for value in scored(name, matrices) if value is not None]
    expected = restated(matrices)
    assert len(own) == len(expected)
    assert all(equal(value, float(other)) for value, other in zip(own, expected, strict=True))


def test_an_absent_class_is_what_tells_the_tools_apart():
    matrices = np.zeros((1, 3, 3), np.int64)
    matrices[0, :2, :2] = [[8, 2], [0, 10]]  # IoU 0.8 and 10/12; the third class is nowhere
    mean = (0.8 + 10 / 12) / 2
    expected = {
        "segbench": mean,
        "void-as-error": mean,  # no pixel is void
        "hf-evaluate": mean,
        "mmsegmentation": mean,
        "torchvision": math.nan,
        "paddleseg": 2 * mean / 3,
        "nnunet": math.nan,  # a foreground class that occurs in no image
        "torchmetrics": mean,
        "smp-macro": (2 * mean + 1) / 3,
        "smp-micro": 18 / 22,
        "smp-macro-imagewise": (2 * mean + 1) / 3,
        "smp-micro-imagewise": 18 / 22,
    }
    assert set(expected) == set(CONVENTIONS)
    for name, value in expected.items():
        assert equal(scored(name, matrices).mean_iou, value), name


def test_smps_accuracy_reads_981_where_80_per_cent_of_21_classes_are_right():
    matrices = np.zeros((1, 21, 21), np.int64)
    for index in range(21):
        matrices[0, index, index] = 80
        matrices[0, index, (index + 1) % 21] = 20
    assert scored("smp-micro", matrices).accuracy == pytest.approx(0.981, abs=5e-4)
    assert scored("segbench", matrices).accuracy == pytest.approx(0.8)


def test_an_unknown_convention_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'paddleseg'"):
        convention("padleseg")
