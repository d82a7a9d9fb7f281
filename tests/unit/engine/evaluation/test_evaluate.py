"""Evaluation at the labels' own size against scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import nn
from torch.nn import functional

from segbench.config.suite import Evaluate
from segbench.data.loading.loader import EvaluationBatch
from segbench.engine.background import INLINE, Threads
from segbench.engine.device import ComputeConfig
from segbench.engine.evaluation.details import Details
from segbench.engine.evaluation.evaluate import evaluate
from segbench.engine.evaluation.predictor import Predictor
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


class OneBatch:
    """Stands for a loader: all images in one batch, with labels of these sizes."""

    def __init__(self, sizes):
        draw = torch.Generator().manual_seed(3)
        self.positions = range(len(sizes))
        made = tuple(torch.randint(0, CLASSES, size, generator=draw).to(torch.uint8) for size in sizes)
        made[1][:] = 255
        names = tuple(f"image {i}" for i in self.positions)
        self.batch = EvaluationBatch(names, torch.rand(len(sizes), 3, 6, 8, generator=draw), made, names)

    def __iter__(self):
        return iter([self.batch])


class Seen:
    """Looks at images by keeping what it is given."""

    def __init__(self):
        self.images, self.finished = [], 0

    def update(self, *image):
        self.images.append(image)

    def finish(self):
        self.finished += 1


def labels(void_from=5):
    draw = torch.Generator().manual_seed(2)
    sizes = [(12, 16), (7, 9), (6, 8)]
    made = [torch.randint(0, CLASSES + 1, size, generator=draw).to(torch.uint8) for size in sizes]
    return [torch.where(label >= CLASSES, 255, label).to(torch.uint8) for label in made]


def predictor():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Conv2d(3, CLASSES, 1)
    return Predictor(network, Evaluate(), classes=CLASSES, compute=ComputeConfig(torch.device("cpu")))


def test_each_images_matrix_is_that_of_scikit_learn_at_the_labels_size():
    subject, batches = predictor(), Batches(labels())
    found, checked = evaluate(subject, batches, keep=(1,)), []
    for batch, matrix in zip(batches.batches, found.matrices.matrices, strict=True):
        label = batch.labels[0]
        logits = functional.interpolate(
            subject.network(batch.images), size=label.shape, mode="bilinear", align_corners=False
        )
        prediction = logits[0].argmax(0).numpy()
        seen = label.numpy() != 255
        expected = confusion_matrix(label.numpy()[seen], prediction[seen], labels=range(CLASSES))
        assert np.array_equal(matrix, expected)
        void = found.matrices.void_predicted[len(checked)]
        assert void.tolist() == [int((prediction[~seen] == index).sum()) for index in range(CLASSES)]
        checked.append(int(void.sum()))
    assert sum(checked) > 0
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


@pytest.mark.parametrize("sizes", [[(6, 8)] * 4, [(6, 8), (12, 16), (6, 8), (7, 9)]])
def test_images_of_one_batch_are_counted_as_one_by_one(sizes):
    subject, batches, seen = predictor(), OneBatch(sizes), Seen()
    loss = nn.CrossEntropyLoss(ignore_index=255)
    found = evaluate(
        subject, batches, loss=lambda logits, target: loss(logits, target.long()), keep=(0, 2), details=seen
    )
    scores = subject.scores(batches.batch.images)
    for index, label in enumerate(batches.batch.labels):
        own = functional.interpolate(scores[index : index + 1], size=label.shape, mode="bilinear", align_corners=False)
        prediction = own[0].argmax(0).numpy()
        kept = label.numpy() != 255
        expected = confusion_matrix(label.numpy()[kept], prediction[kept], labels=range(CLASSES)) if kept.any() else 0
        assert np.array_equal(found.matrices.matrices[index], np.broadcast_to(expected, (CLASSES, CLASSES)))
        void = np.bincount(prediction[~kept], minlength=CLASSES)
        assert np.array_equal(found.matrices.void_predicted[index], void)
        value = functional.cross_entropy(own, label[None].long(), ignore_index=255).item()
        assert found.losses[index] == (value if kept.any() else None)
        name, seen_label, seen_prediction, sure = seen.images[index]
        assert name == f"image {index}"
        assert np.array_equal(seen_label, label.numpy())
        assert np.array_equal(seen_prediction, prediction)
        assert sure == pytest.approx(own.softmax(1).amax(1)[0].numpy(), abs=1e-6)
    assert [(picture.index, picture.prediction.shape) for picture in found.pictures] == [(0, sizes[0]), (2, sizes[2])]
    assert (len(seen.images), seen.finished) == (4, 1)


def test_the_time_that_a_pass_waits_for_a_closer_look_is_told_apart():
    class Slow(Seen):
        def update(self, *image):
            time.sleep(0.05)

        def finish(self):
            time.sleep(0.1)

    found = evaluate(predictor(), Batches(labels()), details=Slow())
    assert found.detail_seconds >= 0.25


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("sizes", [[(6, 8)] * 4, [(6, 8), (12, 16), (6, 8), (7, 9)]])
def test_on_cuda_threads_beside_find_what_one_thread_finds(sizes):
    subject, batches = predictor(), OneBatch(sizes)
    subject.network.cuda()
    subject.compute = ComputeConfig(torch.device("cuda"))
    pinned = tuple(label.pin_memory() for label in batches.batch.labels)
    batches.batch = batches.batch._replace(images=batches.batch.images.pin_memory(), labels=pinned)
    loss = nn.CrossEntropyLoss(ignore_index=255)
    found = []
    for threads in (INLINE, Threads(3, in_background=True)):
        with Details(CLASSES, threads=threads) as details:
            seen = evaluate(subject, batches, loss=lambda logits, target: loss(logits, target.long()), details=details)
        found.append((seen.losses, seen.matrices.matrices.tolist(), details.compute().arrays))
    (losses, matrices, arrays), (other_losses, other_matrices, other_arrays) = found
    assert losses == other_losses
    assert losses[1] is None
    assert matrices == other_matrices
    assert all(np.array_equal(arrays[name], other_arrays[name]) for name in arrays)
