"""Fully convolutional networks: FCN-32s, FCN-16s and FCN-8s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import UsageError
from segbench.models.base import SegmentationNetwork
from segbench.models.blocks import init_he, scaled
from segbench.models.networks.bilinear import BilinearDeconvolution
from segbench.models.networks.options import NetworkOptions
from segbench.models.networks.vgg import FULLY_CONNECTED, VGG16_STAGES, conv_unit, vgg16_stages
from segbench.models.networks.vgg_weights import load_vgg16
from segbench.option_kinds import PositiveFloat

CITATION = (
    "J. Long, E. Shelhamer, T. Darrell, 'Fully Convolutional Networks for Semantic Segmentation', CVPR 2015, "
    "arXiv:1411.4038"
)

CAFFE_PADDING = 100
"""Padding of conv1_1 in the release; with it fc6 needs none."""

CAFFE_CROPS = {32: (19,), 16: (5, 27), 8: (5, 9, 31)}
"""Crop offsets of the release by output stride: those of the skips, coarse to fine, then that of the output."""

AT_ONCE_SCALES = (0.01, 0.0001)
"""What the at-once FCN-8s multiplies pool4 and pool3 by before they are scored."""


class VGGFeatures(nn.Module):
    """VGG-16 as a convolutional network: (N, C, H, W) -> [pool3, pool4, fc7].

    Pools round up. Attributes: ``channels`` of the three maps.
    """

    def __init__(self, channels: int, options: FCN32sOptions) -> None:
        super().__init__()
        width, style, caffe_padding = options.width, options.style, options.caffe_padding
        trunk, hidden = scaled(VGG16_STAGES[4][-1], width), scaled(FULLY_CONNECTED, width)
        self.channels = [scaled(VGG16_STAGES[2][-1], width), scaled(VGG16_STAGES[3][-1], width), hidden]
        self.stages = vgg16_stages(channels, width=width, **style, first_padding=CAFFE_PADDING if caffe_padding else 1)
        self.fc6 = conv_unit(trunk, hidden, **style, kernel=7, padding=0 if caffe_padding else 3)
        self.fc7 = conv_unit(hidden, hidden, **style, kernel=1, padding=0)
        self.dropout = nn.Dropout(options.dropout)
        init_he(self)
        load_vgg16(options.pretrained, self.stages, [self.fc6, self.fc7])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features at strides 8, 16 and 32."""
        features, pools = images, []
        for stage in self.stages:
            features = functional.max_pool2d(stage(features), 2, ceil_mode=True)
            pools.append(features)
        features = self.dropout(self.fc6(features))
        return [pools[2], pools[3], self.dropout(self.fc7(features))]


class TimmFeatures(nn.Module):
    """A timm encoder's features at strides 8, 16 and 32; the image is extended by zeros to a multiple of 32."""

    def __init__(self, name: str, channels: int, *, pretrained: bool | str, dropout: float) -> None:
        super().__init__()
        from segbench.models.networks.timm_encoders import timm_encoder

        self.encoder = timm_encoder(name, channels=channels, pretrained=pretrained)
        self.taps = [self.encoder.at_stride(stride) for stride in (8, 16, 32)]
        self.channels = [self.encoder.channels[tap] for tap in self.taps]
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features at strides 8, 16 and 32."""
        height, width = images.shape[-2:]
        maps = self.encoder(functional.pad(images, (0, -width % 32, 0, -height % 32)))
        eighth, sixteenth, last = (maps[tap] for tap in self.taps)
        return [eighth, sixteenth, self.dropout(last)]


class FCN(SegmentationNetwork):
    """Scores of the deepest features, upsampled, with the scores of finer features **summed** on the way.

    Deviations: with ``caffe_padding`` off (the default here) conv1_1 pads by 1 and fc6 by 3, all maps are aligned to
    the image's upper left corner, and crops only cut what rounding added; this costs 1.72 times less at 512x512.
    Convolutions start as He et al., not from VGG weights, unless pretrained. With a timm encoder there are no fc6
    and fc7: its last features are scored.

    Args:
        features: Module that maps images to features at strides 8, 16 and 32, with ``channels``.
        classes: Number of classes.
        stride: 32, 16 or 8: of the finest features that are used.
        caffe_padding: Whether ``features`` are those of the pad-100 form.
        deconvolution: ``learned`` trains the intermediate deconvolutions; the last one is always fixed.
        scales: Factors of pool4 and pool3 before they are scored.
    """

    citation = CITATION

    def __init__(
        self,
        features: VGGFeatures | TimmFeatures,
        classes: int,
        *,
        stride: int,
        caffe_padding: bool,
        deconvolution: Literal["fixed", "learned"] = "fixed",
        scales: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.features = features
        self.scales = scales
        skips = {32: 0, 16: 1, 8: 2}[stride]
        *self.skip_crops, self.output_crop = CAFFE_CROPS[stride] if caffe_padding else (0,) * (skips + 1)
        eighth, sixteenth, last = features.channels
        self.score = _score(last, classes)
        self.skip_scores = nn.ModuleList(_score(channels, classes) for channels in (sixteenth, eighth)[:skips])
        fixed: Literal["fixed", "depthwise"] = "fixed" if caffe_padding else "depthwise"
        middle = "learned" if deconvolution == "learned" else fixed
        self.doublings = nn.ModuleList(
            BilinearDeconvolution(classes, 2, mode=middle, padding=0 if caffe_padding else 1) for _ in range(skips)
        )
        self.upsampling = BilinearDeconvolution(
            classes, stride, mode=fixed, padding=0 if caffe_padding else stride // 2
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        eighth, sixteenth, last = self.features(images)
        scores = self.score(last)
        steps = zip(self.doublings, self.skip_scores, (sixteenth, eighth), self.scales, self.skip_crops, strict=False)
        for double, score, skip, scale, offset in steps:
            scores = add_cropped(double(scores), score(skip if scale == 1 else skip * scale), offset)
        rows, columns = (slice(self.output_crop, self.output_crop + size) for size in images.shape[-2:])
        logits: Tensor = self.upsampling(scores)
        return logits[..., rows, columns]


def add_cropped(scores: Tensor, skip: Tensor, offset: int) -> Tensor:
    """Sum two maps where they overlap, the second moved up and left by ``offset``."""
    skip = skip[..., offset:, offset:]
    height, width = (min(one, other) for one, other in zip(scores.shape[-2:], skip.shape[-2:], strict=True))
    return scores[..., :height, :width] + skip[..., :height, :width]


@dataclass(frozen=True, kw_only=True)
class FCN32sOptions(NetworkOptions):
    """FCN-32s (Long et al., CVPR 2015): the deepest scores, upsampled by 32."""

    width: PositiveFloat = 1.0
    """Scales every channel count of VGG-16; 1.0 is the paper."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every convolution of VGG-16; the paper has none."""
    pretrained: bool | str = False
    """True for timm's ImageNet weights, or a file of them; VGG-16's fc6 and fc7 are taken where the file has them."""
    encoder: str = "vgg16"
    """vgg16 as in the paper, or any timm network with features at strides 8, 16 and 32."""
    dropout: float = 0.5
    """Share of single elements dropped after fc6 and fc7, or before the scores of another encoder."""
    caffe_padding: bool = False
    """Pad conv1_1 by 100 and crop as the release does, at 1.72 times the cost at 512x512."""

    paper_norm: ClassVar[str] = "none"

    def build(self, classes: int, channels: int = 3) -> FCN:
        """Return the network."""
        return FCN(self.features(channels), classes, stride=32, caffe_padding=self.caffe_padding)

    def features(self, channels: int) -> VGGFeatures | TimmFeatures:
        """Return the paper's trunk with its weights, or a timm encoder, which has no options of its own."""
        if self.encoder == "vgg16":
            return VGGFeatures(channels, self)
        given = {"width": self.width != 1, "norm": self.norm is not None, "activation": self.activation != "relu"}
        wrong = [name for name, changed in {**given, "caffe_padding": self.caffe_padding}.items() if changed]
        if wrong:
            raise UsageError(f"{', '.join(wrong)}: only for encoder vgg16, and this is {self.encoder!r}; leave it out")
        return TimmFeatures(self.encoder, channels, pretrained=self.pretrained, dropout=self.dropout)


@dataclass(frozen=True, kw_only=True)
class FCN16sOptions(FCN32sOptions):
    """FCN-16s (Long et al., CVPR 2015): the scores of pool4 are summed, then upsampled by 16."""

    deconvolution: Literal["fixed", "learned"] = "fixed"
    """fixed as in the release, or learned: the intermediate one is trained, as in the paper."""

    def build(self, classes: int, channels: int = 3) -> FCN:
        """Return the network."""
        return FCN(
            self.features(channels),
            classes,
            stride=16,
            caffe_padding=self.caffe_padding,
            deconvolution=self.deconvolution,
        )


@dataclass(frozen=True, kw_only=True)
class FCN8sOptions(FCN16sOptions):
    """FCN-8s (Long et al., CVPR 2015): the scores of pool4 and pool3 are summed, then upsampled by 8."""

    deconvolution: Literal["fixed", "learned"] = "fixed"
    """fixed as in the release, or learned: the two intermediate ones are trained, as in the paper."""
    at_once: bool = False
    """Multiply pool4 by 0.01 and pool3 by 0.0001 before scoring: trained in one stage, not after 16s."""

    def build(self, classes: int, channels: int = 3) -> FCN:
        """Return the network."""
        return FCN(
            self.features(channels),
            classes,
            stride=8,
            caffe_padding=self.caffe_padding,
            deconvolution=self.deconvolution,
            scales=AT_ONCE_SCALES if self.at_once else (1.0, 1.0),
        )


def _score(channels: int, classes: int) -> nn.Conv2d:
    """Return a 1x1 convolution that starts at zero."""
    score = nn.Conv2d(channels, classes, 1)
    nn.init.zeros_(score.weight)
    nn.init.zeros_(score.bias)  # type: ignore[arg-type]
    return score
