"""Claims about losses, held against segmentation_models_pytorch, torch and hand-worked pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from segmentation_models_pytorch.losses._functional import softmax_focal_loss_with_logits

from segbench.config.component import LossEntry
from segbench.engine import LOSSES as CATALOG
from segbench.engine.training.losses import class_weights, hard_pixels, pixel, region, weighted_sum
from segbench.engine.training.losses.base import Loss
from segbench.engine.training.losses.boundary_distance import squared_distance_to_other_class
from segbench.errors import UsageError
from segbench.registry import LOSSES

VOID = 255
CLASSES = 5
WEIGHTS = [0.5, 2.0, 0.0, 1.0, 4.5]
EVERY_LOSS = {
    "cross_entropy": pixel.cross_entropy(CLASSES),
    "smoothed": pixel.cross_entropy(CLASSES, label_smoothing=0.2),
    "weighted": pixel.cross_entropy(CLASSES, class_weights=WEIGHTS),
    "weighted and smoothed": pixel.cross_entropy(CLASSES, class_weights=WEIGHTS, label_smoothing=0.1),
    "mse": pixel.mse(CLASSES),
    "dice": region.dice(CLASSES),
    "smooth dice": region.dice(CLASSES, smooth=1.0),
    "focal": pixel.focal(CLASSES),
    "focal below 1": pixel.focal(CLASSES, gamma=0.5),
    "sigmoid focal": pixel.focal(CLASSES, form="sigmoid"),
    "lovasz": region.lovasz(CLASSES),
    "lovasz per image": region.lovasz(CLASSES, per_image=True),
    "weighted dice": region.dice(CLASSES, class_weights=WEIGHTS),
    "weighted focal": pixel.focal(CLASSES, class_weights=WEIGHTS),
    "weighted sigmoid focal": pixel.focal(CLASSES, form="sigmoid", class_weights=WEIGHTS),
    "binary": pixel.binary_cross_entropy(CLASSES),
    "tversky": region.tversky(CLASSES),
    "smooth tversky": region.tversky(CLASSES, alpha=1.0, beta=0.0, smooth=1.0),
    "ohem": hard_pixels.ohem_cross_entropy(CLASSES, min_kept=5),
    "ohem by number": hard_pixels.ohem_cross_entropy(CLASSES, threshold=0.0, min_kept=9),
    "boundary": hard_pixels.boundary_cross_entropy(CLASSES, sigma=1.0),
    "weighted boundary": hard_pixels.boundary_cross_entropy(CLASSES, w0=2.0, sigma=0.7, class_weights=WEIGHTS),
}
BUILT_IN = [name for name in CATALOG if not name.endswith(":")]
every_loss = pytest.mark.parametrize("loss", EVERY_LOSS.values(), ids=list(EVERY_LOSS))
with_and_without_void = pytest.mark.parametrize("void", [0.0, 0.4])


def random_batch(seed: int = 0, void: float = 0.3, shape: tuple[int, int, int] = (2, 6, 7), classes: int = CLASSES):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape[0], classes, *shape[1:], generator=generator) * 3
    labels = torch.randint(0, classes, shape, generator=generator)
    labels[torch.rand(shape, generator=generator) < void] = VOID
    return logits, labels


def one_row(logits: list[list[float]], labels: list[int]):
    """A batch of one image of one row, from each pixel's logits."""
    return torch.tensor(logits).T[None, :, None, :], torch.tensor([[labels]])


# Hand-worked.


def test_cross_entropy_of_two_pixels_is_worked_by_hand():
    logits, labels = one_row([[math.log(3), 0.0], [0.0, 0.0], [9.0, 0.0]], [0, 1, VOID])
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert pixel.cross_entropy(2)(logits, labels).item() == pytest.approx(expected)
    weighted = pixel.cross_entropy(2, class_weights=[1.0, 3.0])(logits, labels)
    assert weighted.item() == pytest.approx((math.log(4 / 3) + 3 * math.log(2)) / 4)


def test_mse_of_two_pixels_is_worked_by_hand():
    logits, labels = one_row([[math.log(3), 0.0], [0.0, 0.0], [9.0, 0.0]], [0, 1, VOID])
    expected = (0.25**2 + 0.25**2 + 0.5**2 + 0.5**2) / 4
    assert pixel.mse(2)(logits, labels).item() == pytest.approx(expected)


def test_dice_of_two_pixels_is_worked_by_hand():
    logits, labels = one_row([[math.log(3), 0.0], [0.0, 0.0], [9.0, 0.0]], [0, 0, VOID])
    # Class 0: intersection 3/4 + 1/2, areas 5/4 and 2. Class 1 is not labelled and adds 0.
    assert region.dice(2)(logits, labels).item() == pytest.approx((1 - 2 * 1.25 / 3.25) / 2)
    assert region.dice(2, smooth=1.0)(logits, labels).item() == pytest.approx((1 - 2.25 / 2.625) / 2)


def test_focal_of_one_pixel_is_worked_by_hand():
    logits, labels = one_row([[math.log(3), 0.0]], [0])
    assert pixel.focal(2, gamma=2.0)(logits, labels).item() == pytest.approx(0.25**2 * math.log(4 / 3))


def test_lovasz_of_hard_predictions_is_one_minus_mean_iou_of_labelled_classes():
    logits, labels = one_row([[50.0, 0, 0], [0, 50.0, 0], [0, 50.0, 0], [0, 0, 50.0]], [0, 0, 1, 1])
    # Class 0: IoU 1/2. Class 1: TP 1, FN 1, FP 1: IoU 1/3. Class 2 is not labelled.
    expected = 1 - (1 / 2 + 1 / 3) / 2
    assert region.lovasz(3)(logits, labels).item() == pytest.approx(expected, abs=1e-6)


# Independent implementations.


@with_and_without_void
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_torchs(void, smoothing, weights):
    logits, labels = random_batch(1, void)
    ours = pixel.cross_entropy(CLASSES, class_weights=weights or "none", label_smoothing=smoothing)
    tensor = None if weights is None else torch.tensor(weights)
    theirs = F.cross_entropy(logits, labels, weight=tensor, ignore_index=VOID, label_smoothing=smoothing)
    torch.testing.assert_close(ours(logits, labels), theirs)


@with_and_without_void
def test_smoothed_cross_entropy_is_smps_over_labelled_pixels_only(void):
    logits, labels = random_batch(2, void)
    theirs = smp.SoftCrossEntropyLoss(smooth_factor=0.1, ignore_index=VOID)(logits, labels)
    share = (labels != VOID).float().mean()  # smp divides by all pixels, void ones too
    torch.testing.assert_close(pixel.cross_entropy(CLASSES, label_smoothing=0.1)(logits, labels), theirs / share)


@with_and_without_void
@pytest.mark.parametrize("smooth", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("absent", [False, True])
def test_dice_is_smps(void, smooth, absent):
    logits, labels = random_batch(3, void)
    if absent:
        labels[labels == 2] = 0
    theirs = smp.DiceLoss("multiclass", smooth=smooth, ignore_index=VOID)(logits, labels)
    torch.testing.assert_close(region.dice(CLASSES, smooth=smooth)(logits, labels), theirs)


@with_and_without_void
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_sigmoid_focal_is_smps(void, gamma):
    logits, labels = random_batch(4, void)
    theirs = smp.FocalLoss("multiclass", gamma=gamma, ignore_index=VOID)(logits, labels)
    torch.testing.assert_close(pixel.focal(CLASSES, gamma=gamma, form="sigmoid")(logits, labels), theirs)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_softmax_focal_is_smps_function_on_the_labelled_pixels(gamma):
    logits, labels = random_batch(5)
    kept = labels != VOID
    theirs = softmax_focal_loss_with_logits(logits.movedim(1, -1)[kept], labels[kept], gamma=gamma)
    torch.testing.assert_close(pixel.focal(CLASSES, gamma=gamma)(logits, labels), theirs)


def test_softmax_focal_with_gamma_0_is_cross_entropy():
    batch = random_batch(6)
    torch.testing.assert_close(pixel.focal(CLASSES, gamma=0.0)(*batch), pixel.cross_entropy(CLASSES)(*batch))


@with_and_without_void
@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_and_its_gradient_are_smps(void, per_image):
    logits, labels = random_batch(7, void)
    results = []
    for loss in (region.lovasz(CLASSES, per_image=per_image), smp.LovaszLoss("multiclass", per_image, VOID)):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, labels)
        value.backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


def test_mse_is_torchs_on_one_hot_labels():
    logits, labels = random_batch(8, void=0.0)
    one_hot = F.one_hot(labels, CLASSES).movedim(-1, 1).float()
    torch.testing.assert_close(pixel.mse(CLASSES)(logits, labels), F.mse_loss(logits.softmax(1), one_hot))


def test_lovasz_steps_are_exact_where_float32_sums_are_not():
    generator = torch.Generator().manual_seed(9)
    truth = torch.rand(300_000, generator=generator) < 0.3
    area = truth.sum().double()
    found = truth.double().cumsum(0)
    jaccard = 1 - (area - found) / (area + (1 - truth.double()).cumsum(0))
    exact = torch.cat([jaccard[:1], jaccard.diff()])
    torch.testing.assert_close(region._jaccard_steps(truth).double(), exact, rtol=1e-5, atol=1e-12)


# Claims that hold for every loss.


@every_loss
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), void=st.floats(0.05, 1.0))
def test_void_pixels_get_no_gradient_and_change_nothing(loss, seed, void):
    logits, labels = random_batch(seed, void, shape=(2, 3, 4))
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    hidden = (labels == VOID)[:, None].expand_as(leaf)
    assert (leaf.grad[hidden] == 0).all()
    assert leaf.grad.isfinite().all()
    changed = logits.masked_fill(hidden, 7.0)
    assert loss(changed, labels).item() == value.item()


@every_loss
def test_labelled_pixels_get_a_gradient_that_points_downhill(loss):
    logits, labels = random_batch(10)
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    assert leaf.grad.abs().sum() > 0
    assert loss((leaf - 0.01 * leaf.grad / leaf.grad.norm()).detach(), labels) < value


@every_loss
@pytest.mark.parametrize("pixels", [12, 0])
def test_a_batch_of_void_gives_0_that_can_be_back_propagated(loss, pixels):
    logits = random_batch(21, shape=(2, 3, pixels // 3))[0].requires_grad_()
    value = loss(logits, torch.full((2, 3, pixels // 3), VOID, dtype=torch.uint8))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@every_loss
def test_one_void_image_in_a_batch_makes_no_nan(loss):
    logits, labels = random_batch(11)
    labels[0] = VOID
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    assert 0 < value.item() < math.inf
    assert leaf.grad.isfinite().all()
    assert value.item() == pytest.approx(loss(logits[1:], labels[1:]).item(), rel=1e-5)


@every_loss
def test_a_perfect_prediction_costs_less_than_a_wrong_one(loss):
    labels = torch.arange(20).reshape(1, 4, 5) % CLASSES
    right = F.one_hot(labels, CLASSES).movedim(-1, 1) * 60.0 - 30.0
    assert loss(right, labels) < loss(right.roll(1, dims=1), labels)
    if not getattr(loss, "label_smoothing", 0):
        assert loss(right, labels).item() == pytest.approx(0, abs=1e-5)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_loss_is_float32_whatever_the_logits_are_and_under_autocast(loss, dtype):
    logits, labels = random_batch(12)
    logits = logits.to(dtype)
    expected = loss(logits.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, labels.to(torch.uint8))
    assert value.dtype == torch.float32
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=0, atol=0)


@every_loss
def test_extreme_logits_give_finite_losses_and_gradients(loss):
    logits, labels = random_batch(13)
    leaf = (logits * 1e4).requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    assert value.isfinite()
    assert leaf.grad.isfinite().all()


@every_loss
def test_memory_layout_does_not_matter(loss):
    logits, labels = random_batch(14)
    assert loss(logits, labels).item() == loss(logits.to(memory_format=torch.channels_last), labels).item()


@every_loss
@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (torch.zeros(2, CLASSES, 4, 4), torch.zeros(2, 4, 5, dtype=torch.long)),
        (torch.zeros(2, CLASSES + 1, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)),
        (torch.zeros(2, CLASSES, 4), torch.zeros(2, 4, dtype=torch.long)),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_both(loss, logits, labels):
    with pytest.raises(UsageError, match=r"logits \(2, .* do not match labels \(2, 4.* 5 classes"):
        loss(logits, labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@every_loss
def test_losses_are_deterministic_on_cuda(loss):
    logits, labels = random_batch(15, shape=(4, 128, 128))
    found = []
    for _ in range(3):
        leaf = logits.cuda().requires_grad_()
        value = loss(leaf, labels.cuda())
        value.backward()
        found.append((value.detach().cpu(), leaf.grad.cpu()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    torch.testing.assert_close(found[0], found[2], rtol=0, atol=0)


# Options.


def test_weights_of_another_length_are_refused():
    with pytest.raises(UsageError, match="class_weights has 3 values for 5 classes"):
        pixel.cross_entropy(CLASSES, class_weights=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("weights", [[-1.0, 1.0], [0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0]])
def test_weights_that_mean_nothing_are_refused(weights):
    with pytest.raises(UsageError, match="class_weights"):
        pixel.cross_entropy(2, class_weights=weights)


def test_median_frequency_has_to_be_measured_first():
    with pytest.raises(UsageError, match="median_frequency has to be measured on the training split"):
        pixel.cross_entropy(CLASSES, class_weights="median_frequency")


def test_measured_weights_replace_median_frequency_and_nothing_else():
    def refuse():
        raise AssertionError("not asked for")

    given_ = {"class_weights": "median_frequency", "label_smoothing": 0.1}
    assert class_weights.resolve_class_weights(given_, lambda: (1, 2)) == {
        "class_weights": [1.0, 2.0],
        "label_smoothing": 0.1,
    }
    assert given_["class_weights"] == "median_frequency"
    for options in ({}, {"class_weights": "none"}, {"class_weights": [3.0]}, {"smooth": 1.0}):
        assert class_weights.resolve_class_weights(options, refuse) == options


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        (region.dice, {"smooth": -1.0}),
        (pixel.focal, {"gamma": -0.1}),
        (pixel.cross_entropy, {"label_smoothing": 1.0}),
        (pixel.cross_entropy, {"label_smoothing": -0.1}),
        (hard_pixels.ohem_cross_entropy, {"threshold": 1.5}),
        (hard_pixels.ohem_cross_entropy, {"min_kept": 0}),
    ],
)
def test_an_option_out_of_range_is_named_with_its_value(factory, options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(UsageError, match=f"{factory.__name__}: {name} is {value}"):
        factory(CLASSES, **options)


@pytest.mark.parametrize("options", [{"alpha": -1.0}, {"beta": -1.0}, {"smooth": -1.0}, {"alpha": 0.0, "beta": 0.0}])
def test_tversky_refuses_weights_that_mean_nothing(options):
    with pytest.raises(UsageError, match=r"tversky: alpha .* beta .* smooth"):
        region.tversky(CLASSES, **options)


@pytest.mark.parametrize("options", [{"w0": -1.0}, {"sigma": 0.0}, {"sigma": 1e6}])
def test_boundary_weights_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match="boundary_cross_entropy: w0"):
        hard_pixels.boundary_cross_entropy(CLASSES, **options)


@pytest.mark.parametrize("factory", [pixel.focal, region.dice, hard_pixels.boundary_cross_entropy])
def test_weights_of_another_length_are_refused_by_name_in_every_loss_that_has_them(factory):
    with pytest.raises(UsageError, match=rf"{factory.__name__}: class_weights has 2 values for 5 classes"):
        factory(CLASSES, class_weights=[1.0, 2.0])
    with pytest.raises(UsageError, match=rf"{factory.__name__}: .* measured"):
        factory(CLASSES, class_weights="median_frequency")


# Tversky, binary, hard pixels and boundaries.


def test_tversky_of_two_pixels_is_worked_by_hand():
    logits, labels = one_row([[math.log(3), 0.0], [0.0, 0.0], [9.0, 0.0]], [0, 0, VOID])
    # Class 0: TP 3/4 + 1/2, FP 0, FN 3/4. Class 1 is not labelled and adds 0.
    expected = (1 - 1.25 / (1.25 + 0.7 * 0.75)) / 2
    assert region.tversky(2)(logits, labels).item() == pytest.approx(expected)


@with_and_without_void
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1.0, 0.0), (1.0, 2.0)])
@pytest.mark.parametrize("smooth", [0.0, 5.0])
def test_tversky_is_smps(void, alpha, beta, smooth):
    logits, labels = random_batch(21, void)
    labels[labels == 2] = 0
    theirs = smp.TverskyLoss("multiclass", alpha=alpha, beta=beta, smooth=smooth, ignore_index=VOID)(logits, labels)
    torch.testing.assert_close(region.tversky(CLASSES, alpha=alpha, beta=beta, smooth=smooth)(logits, labels), theirs)


def test_tversky_of_equal_weights_is_dice():
    batch = random_batch(22)
    torch.testing.assert_close(region.tversky(CLASSES, alpha=0.5, beta=0.5)(*batch), region.dice(CLASSES)(*batch))


@with_and_without_void
def test_binary_cross_entropy_is_smps_over_labelled_pixels_only(void):
    logits, labels = random_batch(23, void)
    truth = F.one_hot(labels.where(labels != VOID, 0), CLASSES).movedim(-1, 1).float()
    truth[(labels == VOID)[:, None].expand_as(truth)] = VOID
    theirs = smp.SoftBCEWithLogitsLoss(ignore_index=VOID)(logits, truth)
    share = (labels != VOID).float().mean()  # smp divides by all pixels, void ones too
    torch.testing.assert_close(pixel.binary_cross_entropy(CLASSES)(logits, labels), theirs / share)


def test_binary_cross_entropy_takes_one_class():
    logits, labels = one_row([[0.0], [math.log(3)], [9.0]], [0, 0, VOID])
    assert pixel.binary_cross_entropy(1)(logits, labels).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def kept_by_hand(logits, labels, threshold, kept):
    """Mean cross-entropy of the pixels that mmsegmentation's rule keeps, worked pixel by pixel."""
    pixels = [
        (-F.log_softmax(logits[n, :, y, x], dim=0)[labels[n, y, x]]).item()
        for n, y, x in (labels != VOID).nonzero().tolist()
    ]
    hardest = sorted(pixels, reverse=True)
    hard = [loss for loss in pixels if math.exp(-loss) < threshold]
    chosen = hard if len(hard) >= kept else hardest[:kept]
    return sum(chosen) / len(chosen)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("min_kept", [1, 10, 1000])
def test_ohem_keeps_the_pixels_below_the_threshold_and_at_least_so_many_of_the_hardest(threshold, min_kept):
    logits, labels = random_batch(24)
    ours = hard_pixels.ohem_cross_entropy(CLASSES, threshold=threshold, min_kept=min_kept)(logits, labels)
    assert ours.item() == pytest.approx(kept_by_hand(logits, labels, threshold, 2 * min_kept), rel=1e-5)


def test_ohem_gives_easy_pixels_no_gradient():
    logits, labels = random_batch(25)
    leaf = logits.clone().requires_grad_()
    hard_pixels.ohem_cross_entropy(CLASSES, threshold=0.5, min_kept=1)(leaf, labels).backward()
    own = logits.softmax(dim=1).gather(1, labels.where(labels != VOID, 0)[:, None])[:, 0]
    easy = (own >= 0.5) | (labels == VOID)
    assert (leaf.grad.abs().sum(dim=1) == 0).equal(easy)


def far_away(label):
    """Squared distance to the nearest pixel of another class by scipy's transform, class by class."""
    found = np.full(label.shape, np.inf)
    for index in set(np.unique(label)) - {VOID}:
        others = (label != index) & (label != VOID)
        if others.any():
            found[label == index] = (distance_transform_edt(~others) ** 2)[label == index]
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(1, 12), width=st.integers(1, 12), void=st.floats(0, 1))
def test_distances_to_another_class_are_scipys(seed, height, width, void):
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 3, (2, height, width)) * (draw.random((2, height, width)) < 0.3)
    label[draw.random(label.shape) < void] = VOID
    ours = squared_distance_to_other_class(torch.from_numpy(label), reach=12, void=VOID).numpy()
    expected = np.stack([far_away(one) for one in label])
    np.testing.assert_allclose(ours, np.where(expected > 144, np.inf, expected))


def test_distances_end_at_the_reach():
    label = torch.zeros(1, 1, 20, dtype=torch.long)
    label[0, 0, 0] = 1
    found = squared_distance_to_other_class(label, reach=5, void=VOID)[0, 0].tolist()
    assert found == [1, *(float(x * x) for x in range(1, 6)), *[math.inf] * 14]


def test_boundary_weights_are_worked_by_hand_and_void_is_no_class():
    # Classes 0 0 | void | 1: the nearest pixel of another class is 3, 2 and 2 pixels away.
    logits, labels = one_row([[0.0, 0.0]] * 4, [0, 0, VOID, 1])
    weights = [1 + 10 * math.exp(-9 / 8), 1 + 10 * math.exp(-4 / 8), 1 + 10 * math.exp(-4 / 8)]
    loss = hard_pixels.boundary_cross_entropy(2, w0=10.0, sigma=2.0)
    assert loss(logits, labels).item() == pytest.approx(math.log(2) * sum(weights) / 3)


def test_without_a_boundary_it_is_plain_cross_entropy():
    logits, labels = random_batch(26)
    labels[labels != VOID] = 3
    loss = hard_pixels.boundary_cross_entropy(CLASSES)
    torch.testing.assert_close(loss(logits, labels), pixel.cross_entropy(CLASSES)(logits, labels))
    torch.testing.assert_close(
        hard_pixels.boundary_cross_entropy(CLASSES, w0=0.0)(*random_batch(27)),
        pixel.cross_entropy(CLASSES)(*random_batch(27)),
    )


# Class weights.


def test_weighted_softmax_focal_is_its_pixels_by_hand():
    logits, labels = random_batch(28)
    kept = labels != VOID
    single = softmax_focal_loss_with_logits(logits.movedim(1, -1)[kept], labels[kept], reduction="none")
    expected = (single * torch.tensor(WEIGHTS)[labels[kept]]).mean()
    torch.testing.assert_close(pixel.focal(CLASSES, class_weights=WEIGHTS)(logits, labels), expected)


def test_weighted_dice_is_the_weighted_mean_of_the_classes_own():
    logits, labels = random_batch(29)
    alone = [
        region.dice(CLASSES, class_weights=[float(index == one) for index in range(CLASSES)])(logits, labels)
        for one in range(CLASSES)
    ]
    expected = sum(weight * one for weight, one in zip(WEIGHTS, alone, strict=True)) / sum(WEIGHTS)
    torch.testing.assert_close(region.dice(CLASSES, class_weights=WEIGHTS)(logits, labels), expected)
    torch.testing.assert_close(sum(alone) / CLASSES, region.dice(CLASSES)(logits, labels))


@pytest.mark.parametrize("kind", ["focal", "sigmoid", "dice", "boundary"])
def test_equal_weights_change_nothing_and_scaled_ones_scale_only_what_is_a_mean_over_pixels(kind):
    factories = {
        "focal": lambda **given: pixel.focal(CLASSES, **given),
        "sigmoid": lambda **given: pixel.focal(CLASSES, form="sigmoid", **given),
        "dice": lambda **given: region.dice(CLASSES, **given),
        "boundary": lambda **given: hard_pixels.boundary_cross_entropy(CLASSES, w0=0.0, **given),
    }
    make, batch = factories[kind], random_batch(30)
    torch.testing.assert_close(make(class_weights=[1.0] * CLASSES)(*batch), make()(*batch))
    factor = 1.0 if kind == "dice" else 3.0
    torch.testing.assert_close(make(class_weights=[3.0] * CLASSES)(*batch), factor * make()(*batch))


# Laws of batches.


@every_loss
def test_the_order_of_the_images_does_not_matter(loss):
    logits, labels = random_batch(31, shape=(4, 6, 7))
    order = [2, 0, 3, 1]
    torch.testing.assert_close(loss(logits[order], labels[order]), loss(logits, labels))


@every_loss
def test_what_says_that_it_is_a_mean_over_pixels_does_not_depend_on_how_a_batch_is_cut(loss):
    logits, labels = random_batch(32, shape=(4, 6, 7))
    pixels = (labels != VOID).sum(dim=(1, 2)).double()
    cuts = [slice(0, 1), slice(1, 4)]
    parts = [loss(logits[cut], labels[cut]).double() * pixels[cut].sum() / pixels.sum() for cut in cuts]
    same = torch.allclose(sum(parts), loss(logits, labels).double(), rtol=1e-5)
    assert same or not loss.is_pixel_mean


@pytest.mark.parametrize("name", ["cross_entropy", "binary", "focal", "weighted focal", "boundary", "mse"])
def test_means_over_pixels_say_so(name):
    assert EVERY_LOSS[name].is_pixel_mean


# Sums.


def entries(*written):
    return [LossEntry.model_validate(entry) for entry in written]


def test_a_weighted_sum_adds_its_terms():
    loss = weighted_sum.build_loss(entries({"name": "cross_entropy", "weight": 0.5}, "dice"), classes=CLASSES)
    batch = random_batch(16)
    expected = 0.5 * pixel.cross_entropy(CLASSES)(*batch) + region.dice(CLASSES)(*batch)
    terms = loss.terms(*batch)
    assert loss.names == tuple(terms) == ("cross_entropy", "dice")
    torch.testing.assert_close(terms["cross_entropy"], pixel.cross_entropy(CLASSES)(*batch))
    torch.testing.assert_close(loss(*batch), expected)
    torch.testing.assert_close(loss.combine(terms), expected)


def test_terms_of_one_name_are_told_apart():
    loss = weighted_sum.build_loss(
        entries({"name": "focal", "gamma": 0}, "mse", {"name": "focal", "gamma": 2}, "focal"), classes=CLASSES
    )
    assert loss.names == ("focal", "mse", "focal_2", "focal_3")
    terms = loss.terms(*random_batch(17))
    assert terms["focal"] > terms["focal_2"] == terms["focal_3"]


def test_a_sum_passes_gradients_to_every_term():
    loss = weighted_sum.build_loss(entries(*BUILT_IN), classes=CLASSES)
    logits, labels = random_batch(18)
    leaf = logits.clone().requires_grad_()
    loss(leaf, labels).backward()
    singles = []
    for term in loss.losses:
        single = logits.clone().requires_grad_()
        term(single, labels).backward()
        singles.append(single.grad)
    torch.testing.assert_close(leaf.grad, sum(singles))


def test_median_frequency_weights_reach_the_loss_that_asks_for_them():
    asked = entries({"name": "cross_entropy", "class_weights": "median_frequency"})
    loss = weighted_sum.build_loss(asked, classes=CLASSES, median_frequency=lambda: WEIGHTS)
    batch = random_batch(19)
    torch.testing.assert_close(loss(*batch), EVERY_LOSS["weighted"](*batch))
    with pytest.raises(UsageError, match="measured"):
        weighted_sum.build_loss(asked, classes=CLASSES)


def test_no_entries_make_plain_cross_entropy():
    batch = random_batch(20)
    torch.testing.assert_close(
        weighted_sum.build_loss([], classes=CLASSES)(*batch), pixel.cross_entropy(CLASSES)(*batch)
    )


@pytest.mark.parametrize("name", list(LOSSES.entries()))
def test_every_registered_loss_documents_its_options(name):
    entry = LOSSES.entries()[name]
    assert all(option.help for option in entry.signature.parameters)
    assert name.endswith(":") or isinstance(LOSSES.create(name, CLASSES), Loss)
