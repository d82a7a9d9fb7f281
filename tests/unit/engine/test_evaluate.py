"""Evaluation at the labels' own size against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import nn
from torch.nn import functional

from segbench.config.suite import Evaluate
from segbench.data.loader import EvaluationBatch
from segbench.engine.arithmetic import Arithmetic
from segbench.engine.evaluate import evaluate
from segbench.engine.predict import Predictor
from segbench.errors import DataError

CLASSES = 4


class Batches:
    """Stands for a loader: images that are smaller than their labels."""

    def __init__(self, labels):
        draw = torch.Generator().manual_seed(0)
        self.positions = range(len(labels))
        self.batches = [
            EvaluationBatch((f"image {i}",), torch.rand(1, 3, 6, 8, generator=draw), (label,), (f"{i:032x}",))
            for i, label in enumerate(labels)
        ]

    def __iter__(self):
        return iter(self.batches)


def labels(void_from=5):
    draw = torch.Generator().manual_seed(2)
    sizes = [(12, 16), (7, 9), (6, 8)]
    made = [torch.randint(0, CLASSES + 1, size, generator=draw).to(torch.uint8) for size in sizes]
    return [torch.where(label >= CLASSES, 255, label).to(torch.uint8) for label in made]


def predictor():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Conv2d(3, CLASSES, 1)
    return Predictor(network, Evaluate(), classes=CLASSES, arithmetic=Arithmetic(torch.device("cpu")))


def test_each_images_matrix_is_that_of_scikit_learn_at_the_labels_size():
    subject, batches = predictor(), Batches(labels())
    found = evaluate(subject, batches, keep=(1,))
    for batch, matrix in zip(batches.batches, found.matrices.matrices, strict=True):
        label = batch.labels[0]
        logits = functional.interpolate(
            subject.network(batch.images), size=label.shape, mode="bilinear", align_corners=False
        )
        prediction = logits[0].argmax(0).numpy()
        seen = label.numpy() != 255
        expected = confusion_matrix(label.numpy()[seen], prediction[seen], labels=range(CLASSES))
        assert np.array_equal(matrix, expected)
    assert found.matrices.names == ("image 0", "image 1", "image 2")
    assert [picture.index for picture in found.pictures] == [1]
    assert found.pictures[0].prediction.shape == (7, 9)
    assert found.images_per_second == pytest.approx(3 / found.seconds)


def test_the_test_loss_is_the_mean_over_images_with_labels():
    blank = torch.full((5, 5), 255, dtype=torch.uint8)
    subject, batches = predictor(), Batches([*labels(), blank])
    loss = nn.CrossEntropyLoss(ignore_index=255)
    found = evaluate(subject, batches, loss=lambda logits, target: loss(logits, target.long()))
    expected = []
    for batch in batches.batches[:3]:
        logits = functional.interpolate(
            subject.network(batch.images), size=batch.labels[0].shape, mode="bilinear", align_corners=False
        )
        expected.append(functional.cross_entropy(logits, batch.labels[0][None].long(), ignore_index=255).item())
    assert found.loss == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_a_label_out_of_range_is_an_error_that_names_image_and_value():
    wrong = labels()
    wrong[1][0, 0] = 77
    with pytest.raises(DataError, match=r"image 1.*77"):
        evaluate(predictor(), Batches(wrong))


def test_progress_counts_images():
    told = []
    evaluate(predictor(), Batches(labels()), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
