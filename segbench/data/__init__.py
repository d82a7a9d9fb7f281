"""Data sets, transforms and loaders. Imports no torch."""

CATALOG = {
    "scenes": "segbench.data.scenes.dataset:scenes",
    "camvid": "segbench.data.datasets.camvid:camvid",
    "voc2012": "segbench.data.datasets.voc:voc2012",
    "nuclei": "segbench.data.datasets.nuclei:nuclei",
    "folder": "segbench.data.datasets.folder:folder",
}
"""Built-in data sets: name -> factory."""

TRANSFORMS = {
    "resize": "segbench.data.loading.transforms:resize",
    "random_scale": "segbench.data.loading.transforms:random_scale",
    "random_crop": "segbench.data.loading.transforms:random_crop",
    "horizontal_flip": "segbench.data.loading.transforms:horizontal_flip",
    "vertical_flip": "segbench.data.loading.transforms:vertical_flip",
    "rotation": "segbench.data.loading.transforms:rotation",
    "elastic": "segbench.data.loading.transforms:elastic",
    "color_jitter": "segbench.data.loading.transforms:color_jitter",
    "gaussian_blur": "segbench.data.loading.transforms:gaussian_blur",
    "normalize": "segbench.data.loading.normalization:normalize",
    "python:": "segbench.data.loading.foreign_transforms:python_transform",
}
"""Preprocessing and augmentation steps: name -> factory."""
