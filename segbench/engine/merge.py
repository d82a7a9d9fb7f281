"""Puts together what the processes of a team found in their shares of a split, as if one had seen it all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segbench.engine.evaluate import Evaluation
from segbench.engine.team import Team
from segbench.results.details import ImageDetails
from segbench.results.matrices import ImageMatrices


def merged_evaluation(found: Evaluation, team: Team) -> Evaluation:
    """Return the evaluation of a whole split, the same in all processes; each image was seen by one of them."""
    if team.size == 1:
        return found
    parts = team.gathered(found)
    positions = [position for part in parts for position in part.positions]
    order = np.argsort(positions)
    names = [name for part in parts for name in part.matrices.names]
    losses = [loss for part in parts for loss in part.losses]
    digests = [digest for part in parts for digest in part.digests]
    matrices = np.concatenate([part.matrices.matrices for part in parts])
    pictures = [picture for part in parts for picture in part.pictures]
    return Evaluation(
        positions=tuple(positions[index] for index in order),
        matrices=ImageMatrices(tuple(names[index] for index in order), matrices[order]),
        losses=tuple(losses[index] for index in order),
        digests=tuple(digests[index] for index in order),
        seconds=max(part.seconds for part in parts),
        looking_seconds=max(part.looking_seconds for part in parts),
        pictures=tuple(sorted(pictures, key=lambda picture: picture.index)),
    )


def merged_details(found: ImageDetails, positions: Sequence[int], team: Team) -> ImageDetails:
    """Return the details of a whole split from those of the images at some positions."""
    if team.size == 1:
        return found
    parts = [part for part in team.gathered((found, positions)) if part[1]]
    order = np.argsort([position for _, own in parts for position in own])
    names = [name for details, _ in parts for name in details.names]
    arrays = {
        name: np.concatenate([details.arrays[name] for details, _ in parts])[order] for name in parts[0][0].arrays
    }
    return ImageDetails(tuple(names[index] for index in order), arrays)


def merged_predictions(found: Sequence[bytes], positions: Sequence[int], team: Team) -> list[bytes]:
    """Return the pictures of a whole split's predictions from those of the images at some positions."""
    parts = team.gathered(dict(zip(positions, found, strict=True)))
    whole = {position: picture for part in parts for position, picture in part.items()}
    return [whole[position] for position in sorted(whole)]
