"""SegNet and SegNet-Basic: decoders that know only where the encoder's maxima were."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from segbench.models.base import SegmentationNetwork
from segbench.models.blocks import init_he, norm_layer, pool_with_switches, scaled, unpool
from segbench.models.networks.options import NetworkOptions
from segbench.models.networks.vgg import VGG16_STAGES, VGG16Trunk, conv_unit, mirrored_stages, vgg16_stages
from segbench.models.networks.vgg_weights import load_vgg16

CITATION = (
    "V. Badrinarayanan, A. Kendall, R. Cipolla, 'SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image "
    "Segmentation', TPAMI 2017, arXiv:1511.00561"
)

DECODER_STAGES = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))
"""Output channels of the convolutions after each unpooling; the classifier follows the last."""

BASIC_CHANNELS, BASIC_KERNEL, BASIC_DEPTH = 64, 7, 4
"""SegNet-Basic: channels and kernel of every convolution, and number of pools."""


class MirroredNetwork(SegmentationNetwork):
    """Encoder stages with 2x2 pools in ceil mode, then as many decoder stages, each after unpooling; a classifier.

    Only the pools' switches pass from encoder to decoder, and any size works.
    """

    citation = CITATION
    encoder: nn.ModuleList
    decoder: nn.ModuleList
    classifier: nn.Conv2d

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        features, stack = self.prepare(images), []
        for stage in self.encoder:
            features, switches = pool_with_switches(stage(features))
            stack.append(switches)
        for stage in self.decoder:
            features = stage(unpool(features, stack.pop()))
        logits: Tensor = self.classifier(features)
        return logits

    def prepare(self, images: Tensor) -> Tensor:
        """Return what the first stage sees."""
        return images


class SegNet(MirroredNetwork):
    """VGG-16's convolutions with batch norm and their mirror image; the classifier is 3x3, without batch norm.

    Deviation: convolutions start as He et al. unless pretrained, and BatchNorm keeps running statistics, where the
    release computes them once after training.
    """

    encoder: VGG16Trunk

    def __init__(self, classes: int, channels: int, options: SegNetOptions) -> None:
        super().__init__()
        width = options.width
        self.encoder = vgg16_stages(channels, width=width, **options.style)
        unit = partial(conv_unit, **options.style)
        self.decoder = mirrored_stages(scaled(VGG16_STAGES[-1][-1], width), DECODER_STAGES, width=width, unit=unit)
        self.classifier = nn.Conv2d(scaled(DECODER_STAGES[-1][-1], width), classes, 3, padding=1)
        init_he(self)
        load_vgg16(options.pretrained, self.encoder)


class SegNetBasic(MirroredNetwork):
    """Local response normalisation, four 7x7 convolutions, and four decoders without activation.

    Deviation: the images are standardised, where the release has 0 to 255, so that the local response normalisation
    (5 channels, alpha 1e-4, beta 0.75) changes them little.
    """

    def __init__(self, classes: int, channels: int, options: SegNetBasicOptions) -> None:
        super().__init__()
        outputs, padding = scaled(BASIC_CHANNELS, options.width), BASIC_KERNEL // 2
        self.response_norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.encoder = nn.ModuleList(
            conv_unit(inputs, outputs, **options.style, kernel=BASIC_KERNEL, padding=padding)
            for inputs in (channels, *(outputs,) * (BASIC_DEPTH - 1))
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(outputs, outputs, BASIC_KERNEL, padding=padding), norm_layer(options.style["norm"], outputs)
            )
            for _ in range(BASIC_DEPTH)
        )
        self.classifier = nn.Conv2d(outputs, classes, 1)
        init_he(self)

    def prepare(self, images: Tensor) -> Tensor:
        """Return the images after local response normalisation."""
        normed: Tensor = self.response_norm(images)
        return normed


@dataclass(frozen=True, kw_only=True)
class SegNetBasicOptions(NetworkOptions):
    """SegNet-Basic (Badrinarayanan et al., TPAMI 2017): four 7x7 convolutions, four decoders."""

    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every convolution but the last; the paper has batch."""

    def build(self, classes: int, channels: int = 3) -> MirroredNetwork:
        """Return the network."""
        return SegNetBasic(classes, channels, self)


@dataclass(frozen=True, kw_only=True)
class SegNetOptions(SegNetBasicOptions):
    """SegNet (Badrinarayanan et al., TPAMI 2017): VGG-16's convolutions, mirrored, with unpooling."""

    pretrained: bool | str = False
    """True for timm's ImageNet weights of vgg16_bn, or a file of vgg16_bn or vgg16."""

    def build(self, classes: int, channels: int = 3) -> MirroredNetwork:
        """Return the network."""
        return SegNet(classes, channels, self)
