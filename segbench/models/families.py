"""What the catalogue shows of each built-in network without building it: its family and its size."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """A network at its default options, for images of 3 channels and 21 classes.

    Attributes:
        family: Networks of one idea, such as ``SegNet`` for SegNet and SegNet-Basic.
        parameters: Learned parameters; a test counts them again.
    """

    family: str
    parameters: int


SIZES = {
    "cnn": Size("CNN", 14_725_461),
    "keras_cnn": Size("CNN", 12_580_501),
    "fcn32s": Size("FCN", 134_346_581),
    "fcn16s": Size("FCN", 134_357_354),
    "fcn8s": Size("FCN", 134_362_751),
    "unet": Size("U-Net", 31_033_045),
    "deconvnet": Size("DeconvNet", 251_805_653),
    "segnet": Size("SegNet", 29_455_125),
    "segnet_basic": Size("SegNet", 1_417_237),
    "fc_densenet56": Size("FC-DenseNet", 1_378_725),
    "fc_densenet67": Size("FC-DenseNet", 3_466_133),
    "fc_densenet103": Size("FC-DenseNet", 9_324_661),
    "fc_densenet": Size("FC-DenseNet", 9_324_661),
    "densenet_fcn": Size("FCN", 7_007_679),
    "deeplab_largefov": Size("DeepLab", 20_505_429),
    "deeplabv3plus": Size("DeepLab", 40_352_181),
}
"""By the catalogue's name."""
