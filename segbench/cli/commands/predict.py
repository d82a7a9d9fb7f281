"""Commands that apply a checkpoint: evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL.Image import Image

from segbench.cli.commands.score import write_scores
from segbench.cli.support.mask_forms import MaskForm, MaskWriter, mask_writer
from segbench.cli.support.options import AsJson, Device
from segbench.cli.terminal.output import counted, tell, write_json
from segbench.cli.terminal.progress import counting
from segbench.config.component import DatasetEntry
from segbench.config.load import check_part, set_data_options
from segbench.data.base import SegmentationDataset
from segbench.data.files import image_folder
from segbench.errors import DataError, ModelRefusal, UsageError
from segbench.metrics.confusion import PixelCounts

if TYPE_CHECKING:
    from segbench.engine.inference.apply import Ready

ORIGIN = "Software", "segbench predict"
"""Text of a PNG that says that its mask was predicted."""

Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint.safetensors that 'segbench run' wrote.")
]


def evaluate(
    checkpoint: Checkpoint,
    *,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME", help="A data set of the same classes; that of training by default."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="SPLIT", help="The split; that of the recipe, or its fold, by default."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the data set, such as root=DIR."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=0, help="Processes that read images.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Evaluate a checkpoint on a split, as its suite would.

    One of a cross-validation is evaluated on the fold that it was not trained on.

    A warning says where a split holds images that it was trained on.
    """
    from segbench.engine.inference.apply import ready

    loaded = ready(checkpoint, device=device)
    entry = _dataset_entry(loaded, dataset, options)
    chosen, images = _images(loaded, entry, split)
    with counting("evaluating", "images") as advance:
        found = loaded.evaluate(images, workers=workers, progress=advance)
    facts: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "model": loaded.checkpoint.run.model.label,
        "dataset": entry.name,
        "split": chosen,
        "images": len(found.matrices.names),
    }
    void_predicted = found.matrices.total_void_predicted
    assert void_predicted is not None, "evaluate counts it"
    counts = PixelCounts(found.matrices.total, void_predicted)
    write_scores(counts, facts, classes=loaded.checkpoint.info.classes, as_json=as_json)


def predict(
    checkpoint: Checkpoint,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Image files, or folders of them.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the masks; made if it is not there.")
    ],
    form: Annotated[
        MaskForm | None,
        typer.Option(
            "--as",
            metavar="FORM",
            help="What the pixels of the masks are: index (palette PNGs of class indices), values (grey PNGs of the "
            "data set's own values, the default where it has any) or palette (RGB colours).",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Predict the classes of images, as PNG masks.

    The masks have the images' size, as viewers show them; of a file whose pages were samples in training, each page has
    its mask, such as stack#1.png. An image that cannot be read or predicted stops no other; those are listed at the
    end, with exit code 2.
    """
    files = image_files(images, output=output)
    from segbench.engine.inference.apply import ready

    loaded = ready(checkpoint, device=device)
    writer = mask_writer(form, loaded.checkpoint.run.recipe.dataset, loaded.checkpoint.info.palette)
    written: dict[str, str] = {}
    faults: list[str] = []
    with counting("predicting", "images") as advance:
        for done, (file, target) in enumerate(files.items(), 1):
            try:
                written |= _predict(loaded, writer, file, target)
            except (DataError, ModelRefusal) as fault:
                faults.append(str(fault))
            advance(done, len(files))
    if as_json:
        classes = dict(enumerate(loaded.checkpoint.info.classes))
        values = dict(enumerate(writer.values)) if writer.form is MaskForm.VALUES else None
        write_json({"classes": classes, "as": writer.form, "values": values, "masks": written, "problems": faults})
    else:
        tell(f"{counted(len(written), 'mask')} written to {output}: {writer.in_words}")
    for problem in faults:
        tell(f"problem: {problem}")
    if faults:
        raise DataError(f"{len(faults)} of {counted(len(files), 'image')} could not be predicted")


def _predict(loaded: Ready, writer: MaskWriter, file: Path, target: Path) -> dict[str, str]:
    """Write the masks of an image file; return the file of each mask by image and page."""
    pages = loaded.pages(file)
    written = {}
    for number, page in enumerate(pages, 1):
        mark = f"#{number}" if len(pages) > 1 else ""
        place = target.with_name(f"{target.stem}{mark}{target.suffix}")
        write_mask(writer.image(loaded.predict(file, page=page)), place)
        written[f"{file}{mark}"] = str(place)
    return written


def write_mask(mask: Image, target: Path) -> None:
    """Write a mask with a mark of its origin; creates its folder if needed.

    Raises:
        UsageError: It cannot be written, or would replace a file without that mark; names the file.
    """
    from PIL.PngImagePlugin import PngInfo

    refuse_to_replace(target)
    origin = PngInfo()
    origin.add_text(*ORIGIN)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mask.save(target, pnginfo=origin)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error}") from None


def refuse_to_replace(target: Path) -> None:
    """Refuse to replace a file that was not predicted, such as the label that an image was given by hand.

    Raises:
        UsageError: It is there, and has no mark of that origin.
    """
    from PIL import Image as Pillow

    if not target.exists():
        return
    key, value = ORIGIN
    try:
        with Pillow.open(target) as image:
            predicted = image.info.get(key) == value
    except OSError:
        predicted = False
    if not predicted:
        raise UsageError(
            f"{target}: is there already, and 'segbench predict' has not written it (a label?); choose another --output"
        )


def image_files(given: Sequence[Path], *, output: Path) -> dict[Path, Path]:
    """Return the mask file of each image file, in order; a folder stands for its images.

    Raises:
        DataError: A path does not exist, a folder holds no images, or two images would get the same mask.
        UsageError: A mask would replace an image, or a file that was not predicted.
    """
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        found = image_folder.image_files(path) if path.is_dir() else [path]
        if not found:
            below = image_folder.image_files(path, recursive=True)
            hint = f"; give its subfolders, such as {below[0].parent}" if below else ""
            raise DataError(f"{path}: holds no images ({', '.join(image_folder.IMAGE_SUFFIXES)}){hint}")
        files += found
    masks: dict[Path, Path] = {}
    for file in dict.fromkeys(files):
        target = output / f"{file.stem}.png"
        if target in masks.values():
            raise DataError(f"{file}: another image of the name {file.stem} was given; predict them into two folders")
        if target.resolve() == file.resolve():
            raise UsageError(f"{target}: the mask would replace the image; choose another --output")
        refuse_to_replace(target)
        masks[file] = target
    return masks


def _images(loaded: Ready, entry: DatasetEntry, split: str | None) -> tuple[str, SegmentationDataset]:
    """Open the split to evaluate on, by default the checkpoint's fold if it has one; return its name and images."""
    from segbench.engine.inference.unseen import note_of_other_images, warning_of_trained_images

    run = loaded.checkpoint.run
    of_its_folds = entry.folds is not None or entry.name == run.recipe.dataset.name
    if run.fold is not None and split is None and of_its_folds:
        return f"fold {run.fold} of {run.recipe.dataset.folds}", loaded.open_fold(entry)
    chosen = split or entry.test_split
    images = loaded.open_split(entry, chosen)
    of_the_run = chosen == run.recipe.dataset.test_split and run.fold is None
    if of_the_run and entry.name == run.recipe.dataset.name:
        other = note_of_other_images(loaded.checkpoint, images)
        of_the_run = other is None
        if other:
            tell(other)
    if not of_the_run:
        warning = warning_of_trained_images(loaded.checkpoint, entry, images)
        if warning:
            tell(warning)
    return chosen, images


def _dataset_entry(loaded: Ready, name: str | None, options: Sequence[str] | None) -> DatasetEntry:
    """Return the training data set with changed options, or another data set."""
    trained = loaded.checkpoint.run.recipe.dataset
    document: dict[str, Any] = trained.model_dump(mode="json") if name in (None, trained.name) else {"name": name}
    for key in ("limit", "fraction"):
        document.pop(key, None)
    set_data_options(document, options)
    return check_part(DatasetEntry, document)
