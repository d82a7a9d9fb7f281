"""Kept predictions of a run, with one of them replaced."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from segbench.engine.evaluation.predictions import PredictionArchive, prediction_picture

COLOURS = ((0, 0, 0), (9, 9, 9))


def replace_prediction(run: Path, index: int, picture: bytes | None = None) -> None:
    """Replace the prediction of an image, by default by its other class everywhere."""
    with zipfile.ZipFile(run / "predictions.zip") as archive:
        pictures = [archive.read(name) for name in archive.namelist()]
    if picture is None:
        with Image.open(BytesIO(pictures[index])) as image:
            picture = prediction_picture(1 - np.asarray(image), COLOURS)
    pictures[index] = picture
    with PredictionArchive(run / "predictions.zip", COLOURS) as archive:
        for one in pictures:
            archive.add(one)
