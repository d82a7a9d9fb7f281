"""Where networks and data sets come from: the papers to cite."""

from __future__ import annotations

from typing import NamedTuple

from segbench.models.families import SIZES


class Reference(NamedTuple):
    """A paper.

    Attributes:
        key: What it is cited by.
        authors: In BibTeX's form, joined by ``and``.
        title: Its title.
        venue: The conference or the journal.
        year: When it appeared.
        arxiv: Its number there; empty without.
        journal: Whether the venue is a journal.
    """

    key: str
    authors: str
    title: str
    venue: str
    year: int
    arxiv: str = ""
    journal: bool = False

    def in_words(self) -> str:
        """Return the reference on one line."""
        names = self.authors.split(" and ")
        shown = (
            f"{names[0].partition(',')[0]} et al."
            if len(names) > 2
            else " and ".join(n.partition(",")[0] for n in names)
        )
        arxiv = f", arXiv:{self.arxiv}" if self.arxiv else ""
        return f'{shown}, "{self.title}", {self.venue} {self.year}{arxiv}'


_CVPR = "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)"
_FCN = Reference(
    "long2015fcn",
    "Long, Jonathan and Shelhamer, Evan and Darrell, Trevor",
    "Fully Convolutional Networks for Semantic Segmentation",
    _CVPR,
    2015,
    "1411.4038",
)
_UNET = Reference(
    "ronneberger2015unet",
    "Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas",
    "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    "Medical Image Computing and Computer-Assisted Intervention (MICCAI)",
    2015,
    "1505.04597",
)
_SEGNET = Reference(
    "badrinarayanan2017segnet",
    "Badrinarayanan, Vijay and Kendall, Alex and Cipolla, Roberto",
    "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    "IEEE Transactions on Pattern Analysis and Machine Intelligence",
    2017,
    "1511.00561",
    journal=True,
)
_DECONVNET = Reference(
    "noh2015deconvnet",
    "Noh, Hyeonwoo and Hong, Seunghoon and Han, Bohyung",
    "Learning Deconvolution Network for Semantic Segmentation",
    "IEEE International Conference on Computer Vision (ICCV)",
    2015,
    "1505.04366",
)
_LARGEFOV = Reference(
    "chen2015deeplab",
    "Chen, Liang-Chieh and Papandreou, George and Kokkinos, Iasonas and Murphy, Kevin and Yuille, Alan L.",
    "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs",
    "International Conference on Learning Representations (ICLR)",
    2015,
    "1412.7062",
)
_V3PLUS = Reference(
    "chen2018deeplabv3plus",
    "Chen, Liang-Chieh and Zhu, Yukun and Papandreou, George and Schroff, Florian and Adam, Hartwig",
    "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    "European Conference on Computer Vision (ECCV)",
    2018,
    "1802.02611",
)
_TIRAMISU = Reference(
    "jegou2017tiramisu",
    "J{\\'e}gou, Simon and Drozdzal, Michal and Vazquez, David and Romero, Adriana and Bengio, Yoshua",
    "The One Hundred Layers Tiramisu: Fully Convolutional DenseNets for Semantic Segmentation",
    f"{_CVPR} Workshops",
    2017,
    "1611.09326",
)
_DENSENET = Reference(
    "huang2017densenet",
    "Huang, Gao and Liu, Zhuang and van der Maaten, Laurens and Weinberger, Kilian Q.",
    "Densely Connected Convolutional Networks",
    _CVPR,
    2017,
    "1608.06993",
)
_CAMVID = Reference(
    "brostow2009camvid",
    "Brostow, Gabriel J. and Fauqueur, Julien and Cipolla, Roberto",
    "Semantic object classes in video: A high-definition ground truth database",
    "Pattern Recognition Letters",
    2009,
    journal=True,
)
_VOC = Reference(
    "everingham2010voc",
    "Everingham, Mark and Van Gool, Luc and Williams, Christopher K. I. and Winn, John and Zisserman, Andrew",
    "The Pascal Visual Object Classes (VOC) Challenge",
    "International Journal of Computer Vision",
    2010,
    journal=True,
)

_NETWORKS = {
    **dict.fromkeys(("fcn32s", "fcn16s", "fcn8s"), (_FCN,)),
    "unet": (_UNET,),
    **dict.fromkeys(("segnet", "segnet_basic"), (_SEGNET,)),
    "deconvnet": (_DECONVNET,),
    "deeplab_largefov": (_LARGEFOV,),
    "deeplabv3plus": (_V3PLUS,),
    **dict.fromkeys(("fc_densenet", "fc_densenet56", "fc_densenet67", "fc_densenet103"), (_TIRAMISU,)),
    "densenet_fcn": (_DENSENET, _FCN),
}
_DATA_SETS = {"camvid": (_CAMVID,), "voc2012": (_VOC,)}
_TITLES = {
    "camvid": "CamVid",
    "nuclei": "Cell nuclei",
    "voc2012": "PASCAL VOC 2012",
    "scenes": "Scenes",
    "folder": "Own data",
}


def papers_of_network(factory: str) -> tuple[Reference, ...]:
    """Return the papers of a network, by its registered name; none where it has none of its own."""
    return _NETWORKS.get(factory, ())


def papers_of_data(name: str) -> tuple[Reference, ...]:
    """Return the papers of a data set, by its registered name; none where none is known."""
    return _DATA_SETS.get(name, ())


def data_title(name: str) -> str:
    """Return what a data set is called, by its registered name."""
    return _TITLES.get(name, name)


def family_of(factory: str) -> str:
    """Return a network's family, as ``segbench list models`` names it; ``torchvision`` for ``torchvision:…``."""
    known = SIZES.get(factory)
    return known.family if known else factory.partition(":")[0]
