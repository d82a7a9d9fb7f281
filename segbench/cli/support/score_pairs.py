"""Pairs predicted masks with labels by file name, also in nested folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from segbench.cli.terminal.output import counted
from segbench.data.decoding.decoding import is_turned
from segbench.errors import DataError

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".webp")
"""Suffixes of lossless image formats."""


def paired(
    predictions: Path, labels: Path, *, prediction_suffix: str = "", label_suffix: str = "", recursive: bool = False
) -> list[tuple[Path, Path]]:
    """Return (prediction, label) files of the same name, ordered by name.

    A folder with only folders is searched recursively. Names are then relative paths, such as ``aachen/0001``; if the
    other folder is flat, file names are compared.

    Args:
        predictions: The folder of predictions.
        labels: The folder of labels.
        prediction_suffix: What follows the common name in predictions, before the dot.
        label_suffix: Likewise in labels.
        recursive: Whether to search recursively even if the folders hold masks themselves.

    Raises:
        DataError: A folder is missing or has no masks, or a file has no partner or is its own; names it.
    """
    predicted = _masks(predictions, prediction_suffix, option="--prediction-suffix", recursive=recursive)
    labelled = _masks(labels, label_suffix, option="--label-suffix", recursive=recursive)
    if _are_nested(predicted) != _are_nested(labelled):
        predicted, labelled = _by_own_name(predicted), _by_own_name(labelled)
    for here, there, folder in ((predicted, labelled, labels), (labelled, predicted, predictions)):
        alone = sorted(here.keys() - there.keys())
        if alone:
            more = f", nor for {counted(len(alone) - 1, 'other')}" if len(alone) > 1 else ""
            raise DataError(
                f"{here[alone[0]]}: there is no mask {alone[0]!r} in {folder}{more}; what follows the common name "
                "there is given by --prediction-suffix and --label-suffix"
            )
    pairs = [(predicted[name], labelled[name]) for name in sorted(predicted)]
    for prediction, label in pairs:
        if os.path.realpath(prediction) == os.path.realpath(label):
            raise DataError(f"{label}: would be scored against itself; give other --predictions")
    return pairs


def _masks(folder: Path, suffix: str, *, option: str, recursive: bool) -> dict[str, Path]:
    """Return the mask files of a folder by the name that they share with their partners."""
    from segbench.data.files.image_folder import same_name

    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    files = list(_files([folder]))
    masks = _are_masks(files)
    if recursive or not masks:
        masks = _are_masks(_files_below(folder))
    if not masks:
        raise DataError(f"{folder}: holds no masks ({', '.join(MASK_SUFFIXES)}){_instead(files)}")
    chosen = [file for file in masks if file.stem.endswith(suffix)]
    if not chosen:
        raise DataError(f"{folder}: no mask ends with {suffix!r} before the dot, such as {masks[0].name}; see {option}")
    found: dict[str, Path] = {}
    for file in chosen:
        name = file.relative_to(folder).with_name(file.stem.removesuffix(suffix) or file.stem).as_posix()
        other = found.setdefault(same_name(name), file)
        if other != file:
            raise DataError(f"{file}: {other.name} has the same name, so that it is not clear which is meant; keep one")
    return found


def _files(folders: Iterable[Path]) -> Iterable[Path]:
    from segbench.data.files.image_folder import visible

    return (Path(entry.path) for folder in folders for entry in visible(folder) if _is_file(entry))


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file; also of a link to itself, so that reading it fails with its name."""
    try:
        return entry.is_file()
    except OSError:
        return True


def _files_below(folder: Path) -> Iterable[Path]:
    from segbench.data.files.image_folder import folders_below

    return _files(folders_below(folder))


def _are_masks(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in MASK_SUFFIXES]


def _are_nested(names: Iterable[str]) -> bool:
    return any("/" in name for name in names)


def _by_own_name(files: Mapping[str, Path]) -> dict[str, Path]:
    """Return files by file name, without folders.

    Raises:
        DataError: Two files have the same name.
    """
    found: dict[str, Path] = {}
    for path, file in files.items():
        other = found.setdefault(PurePosixPath(path).name, file)
        if other != file:
            raise DataError(
                f"{file}: {other} has the same name, and the masks that they are compared with lie in no folders, so "
                "that it is not clear which is meant; lay out predictions and labels in the same folders"
            )
    return found


def _instead(files: list[Path]) -> str:
    """Describe the content of a folder without masks, and why it cannot be scored."""
    kinds = {file.suffix.lower() for file in files}
    if kinds & {".npy", ".npz"}:
        return (
            " but NumPy arrays: save class numbers as PNG (of probabilities, the argmax over the classes, or with two "
            "classes 1 where they are above 0.5)"
        )
    if kinds & {".jpg", ".jpeg"}:
        return " but JPEG files, which are lossy and so no masks: save them as PNG"
    return f" but {', '.join(sorted(kind for kind in kinds if kind)[:5])} files" if kinds - {""} else ""


def note_on_turned(pairs: Sequence[tuple[Path, Path]]) -> str | None:
    """Return a note if EXIF turns one mask of a pair and not the other, so that they may not fit; None if it does not.

    Args:
        pairs: Predictions and labels.
    """
    turned = [(prediction, is_turned(prediction), label, is_turned(label)) for prediction, label in pairs]
    alone = [label if by_label else prediction for prediction, by, label, by_label in turned if by != by_label]
    if not alone:
        return None
    masks = "1 mask was" if len(alone) == 1 else f"{len(alone):,} masks were"
    return f"{masks} turned as EXIF says ({alone[0]}), and what they are compared with was not: look whether they fit"
