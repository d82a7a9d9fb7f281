"""U-Net, as in the paper, in its padded form, and with any timm encoder in place of the contracting path.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv:1505.04597, figure 1.

Deviations from the paper: convolutions are padded unless ``padding: valid``; with a norm, the convolutions before it
have no bias; dropout, whose place and rate the paper leaves open, has rate 0.5 after the two deepest levels, as in
the authors' release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import UsageError
from segbench.models.base import InputConstraint, SegmentationNetwork
from segbench.models.blocks import activation_layer, centre_crop, fit, init_he, norm_layer, resize, scaled
from segbench.models.networks.options import LayerStyle, NetworkOptions
from segbench.models.networks.timm_encoders import TimmEncoder, timm_encoder
from segbench.option_kinds import PositiveFloat

CITATION = (
    'O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", '
    "MICCAI 2015, LNCS 9351:234-241, arXiv:1505.04597"
)

LEVELS = (64, 128, 256, 512, 1024)
"""Channels of the contracting path, level by level."""

DECODER_CHANNELS = (256, 128, 64, 32, 16)
"""Default channels of the expanding path beside a timm encoder, from the deepest level up."""

VALID_INPUT = InputConstraint(188, 16, "every 2x2 pooling of a valid U-Net needs an even size")
VALID_MARGIN = 92


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each with normalisation and activation."""

    def __init__(self, inputs: int, outputs: int, *, norm: str, activation: str, padding: int = 1) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, 3, padding=padding, bias=norm == "none"),
                norm_layer(norm, outputs),
                activation_layer(activation),
            ]
        super().__init__(*layers)


class UpConv(nn.Module):
    """Doubles height and width and changes the channels.

    ``transposed`` is the paper's 2x2 stride-2 up-convolution. ``bilinear`` is a 1x1 convolution before a bilinear
    interpolation; the two commute, and this order costs a quarter.
    """

    def __init__(self, inputs: int, outputs: int, *, up: str) -> None:
        super().__init__()
        self.bilinear = up == "bilinear"
        self.convolution = nn.Conv2d(inputs, outputs, 1) if self.bilinear else nn.ConvTranspose2d(inputs, outputs, 2, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, 2H, 2W)."""
        features = self.convolution(features)
        if self.bilinear:
            features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        return features


class UpLevel(nn.Module):
    """One level of the expanding path: up-convolution, concatenation with the skip, two convolutions."""

    def __init__(
        self, inputs: int, skip: int, outputs: int, *, up: str, norm: str, activation: str, padding: int = 1
    ) -> None:
        super().__init__()
        self.padding = padding
        self.up = UpConv(inputs, outputs, up=up)
        self.block = DoubleConv(outputs + skip, outputs, norm=norm, activation=activation, padding=padding)

    def forward(self, features: Tensor, skip: Tensor | None) -> Tensor:
        """Map (N, inputs, H, W) and an (N, skip, ~2H, ~2W) skip to (N, outputs, ~2H, ~2W)."""
        features = self.up(features)
        if skip is not None:
            if self.padding:
                features = fit(features, *skip.shape[-2:])
            else:
                skip = centre_crop(skip, *features.shape[-2:])
            features = torch.cat((skip, features), dim=1)
        result: Tensor = self.block(features)
        return result


class UNet(SegmentationNetwork):
    """The paper's network: four poolings, 64 to 1024 channels, concatenated skips."""

    citation = CITATION

    def __init__(self, classes: int, channels: int, options: UNetOptions) -> None:
        super().__init__()
        padding, style = int(options.padding == "same"), options.style
        if not padding:
            self.input_constraint, self.output_margin = VALID_INPUT, VALID_MARGIN
        levels = [scaled(count, options.width) for count in LEVELS]
        self.down = nn.ModuleList(
            DoubleConv(inputs, outputs, **style, padding=padding)
            for inputs, outputs in zip([channels, *levels], levels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.5 if options.dropout is None else options.dropout)
        self.up = nn.ModuleList(
            UpLevel(inputs, outputs, outputs, up=options.up, **style, padding=padding)
            for inputs, outputs in zip(levels[:0:-1], levels[-2::-1], strict=True)
        )
        self.score = nn.Conv2d(levels[0], classes, 1)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits, less 92 pixels a side when valid.

        Raises:
            ModelRefusal: Valid convolutions cannot take this size.
        """
        self.check_size(images)
        height, width = images.shape[-2:]
        features = self._extend(images)
        skips: list[Tensor] = []
        for depth, level in enumerate(self.down):
            features = level(features if depth == 0 else self.pool(features))
            if depth >= len(self.down) - 2:
                features = self.dropout(features)
            skips.append(features)
        for level, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            features = level(features, skip)
        logits: Tensor = self.score(features)
        return logits if self.output_margin else logits[..., :height, :width]

    def _extend(self, images: Tensor) -> Tensor:
        """Pad images that four poolings would leave without a pixel; others stay as they are."""
        if self.output_margin:
            return images
        smallest = 2 ** (len(LEVELS) - 1)
        bottom, right = (max(smallest - size, 0) for size in images.shape[-2:])
        return functional.pad(images, (0, right, 0, bottom)) if bottom or right else images


class EncoderUNet(SegmentationNetwork):
    """A timm encoder with U-Net's expanding path, down to the resolution of the image."""

    citation = CITATION

    def __init__(self, classes: int, encoder: TimmEncoder, options: UNetOptions) -> None:
        super().__init__()
        doublings = max(encoder.strides).bit_length() - 1
        given = options.decoder_channels or DECODER_CHANNELS[:doublings]
        decoder_channels = [scaled(count, options.width) for count in given]
        self.skips = _skip_levels(encoder, len(decoder_channels))
        self.dropout = nn.Dropout(options.dropout or 0.0)
        inputs = [encoder.channels[-1], *decoder_channels]
        self.up = nn.ModuleList(
            UpLevel(
                inputs[step],
                0 if skip is None else encoder.channels[skip],
                decoder_channels[step],
                up=options.up,
                **options.style,
            )
            for step, skip in enumerate(self.skips)
        )
        self.score = nn.Conv2d(decoder_channels[-1], classes, 1)
        init_he(self)
        self.encoder = encoder  # after the initialisation, which is the decoder's

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        maps: list[Tensor] = self.encoder(images)
        features = self.dropout(maps[-1])
        for level, skip in zip(self.up, self.skips, strict=True):
            features = level(features, None if skip is None else maps[skip])
        logits: Tensor = self.score(features)
        return cover(logits, *images.shape[-2:])


@dataclass(frozen=True, kw_only=True)
class UNetOptions(NetworkOptions):
    """U-Net: contracting and expanding path with concatenated skips (Ronneberger et al. 2015)."""

    width: PositiveFloat = 1.0
    """Scales every channel count; 1.0 is the paper. A timm encoder keeps its own, its decoder is scaled."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every 3x3 convolution; null is the paper's none, or batch beside a timm encoder."""
    padding: Literal["same", "valid"] = "same"
    """Convolutions padded by 1, or the paper's valid ones (image sizes 188 + 16k, outputs 184 less)."""
    up: Literal["transposed", "bilinear"] = "transposed"
    """The paper's 2x2 up-convolution, or bilinear interpolation with a 1x1 convolution."""
    dropout: float | None = None
    """Rate at the end of the contracting path; null is 0.5, or 0 beside a timm encoder."""
    encoder: str | None = None
    """A timm network in place of the contracting path; null is the paper's."""
    decoder_channels: tuple[int, ...] | None = None
    """Channels of the expanding path beside a timm encoder, deepest first, one for each doubling of the resolution;
    null is 256, 128, 64, 32, 16."""
    pretrained: bool | str = False
    """Weights of the timm encoder: false, true, or the path of a file in timm's key layout."""

    @property
    def style(self) -> LayerStyle:
        """What follows the convolutions; batch norm by default beside a timm encoder."""
        norm = self.norm or ("none" if self.encoder is None else "batch")
        return {"norm": norm, "activation": self.activation}

    def build(self, classes: int, channels: int = 3) -> UNet | EncoderUNet:
        """Return the network.

        Raises:
            UsageError: Options contradict each other.
        """
        if self.encoder is None:
            if self.decoder_channels is not None or self.pretrained:
                raise UsageError(
                    "unet: 'decoder_channels' and 'pretrained' need an 'encoder', such as encoder: resnet50"
                )
            return UNet(classes, channels, self)
        if self.padding == "valid":
            raise UsageError(
                "unet: padding: valid is for the paper's contracting path; leave out 'encoder' or 'padding'"
            )
        return EncoderUNet(classes, timm_encoder(self.encoder, channels=channels, pretrained=self.pretrained), self)


def unet(classes: int, channels: int = 3, **options: Any) -> nn.Module:
    """Build a U-Net from its options; see ``UNetOptions``."""
    return UNetOptions(**options).build(classes, channels)


def _skip_levels(encoder: TimmEncoder, doublings: int) -> list[int | None]:
    """Return for each doubling of the resolution, from the deepest, which map joins in; None where there is none."""
    deepest = encoder.strides[-1]
    if deepest & (deepest - 1):
        raise UsageError(f"unet: encoder {encoder.name} ends at stride {deepest}, which is no power of two")
    if 2**doublings != deepest:
        raise UsageError(
            f"unet: encoder {encoder.name} ends at stride {deepest}, so decoder_channels needs "
            f"{deepest.bit_length() - 1} numbers; it has {doublings}"
        )
    strides = [deepest >> step for step in range(1, doublings + 1)]
    return [encoder.at_stride(stride) if stride in encoder.strides else None for stride in strides]


def cover(logits: Tensor, height: int, width: int) -> Tensor:
    """Bring (N, C, ~H, ~W) logits to a size: a surplus is cropped, what is too small is interpolated."""
    rows, columns = max(logits.shape[-2], height), max(logits.shape[-1], width)
    if (rows, columns) != logits.shape[-2:]:
        logits = resize(logits, rows, columns)
    return logits[..., :height, :width]
