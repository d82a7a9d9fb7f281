"""Data sets and what is done to their images. Importing this package imports no torch."""

CATALOG = {
    "scenes": "segbench.data.scenes:scenes",
    "camvid": "segbench.data.camvid:camvid",
    "voc2012": "segbench.data.voc:voc2012",
    "folder": "segbench.data.folder:folder",
}
"""Built-in data sets: name -> factory."""

TRANSFORMS = {
    "resize": "segbench.data.transforms:resize",
    "random_scale": "segbench.data.transforms:random_scale",
    "random_crop": "segbench.data.transforms:random_crop",
    "horizontal_flip": "segbench.data.transforms:horizontal_flip",
    "vertical_flip": "segbench.data.transforms:vertical_flip",
    "rotation": "segbench.data.transforms:rotation",
    "elastic": "segbench.data.transforms:elastic",
    "color_jitter": "segbench.data.transforms:color_jitter",
    "gaussian_blur": "segbench.data.transforms:gaussian_blur",
    "normalize": "segbench.data.normalization:normalize",
    "python:": "segbench.data.foreign_transforms:python_transform",
}
"""Preprocessing and augmentation steps: name -> factory."""
