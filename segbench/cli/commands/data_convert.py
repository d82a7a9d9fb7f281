"""The command that converts annotations of other tools to masks: data convert."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from segbench.cli.commands.data import app
from segbench.cli.terminal.output import tell, write_facts, write_table
from segbench.data.annotations.choices import Others, Overlap


@app.command()
def convert(
    annotations: Annotated[
        list[Path],
        typer.Argument(metavar="ANNOTATIONS...", help="JSON files of COCO (each a split) or LabelMe, or their folder."),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write; a new or empty folder.")],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="The folder of the images, where they are not beside the JSON."),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", metavar="FILE", help="A text file with the classes in order, one a line."),
    ] = None,
    others: Annotated[
        Others | None, typer.Option("--others", help="What labels become that --classes does not name.")
    ] = None,
    overlap: Annotated[
        Overlap | None,
        typer.Option(
            "--overlap",
            help="What pixels of several classes are: of the smaller region (COCO's default), of the later one "
            "(LabelMe's), or void.",
        ),
    ] = None,
    line_width: Annotated[
        int | None,
        typer.Option("--line-width", metavar="N", min=1, help="How many pixels wide LabelMe's lines are drawn."),
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Link to the images in place of copying them.")] = False,
) -> None:
    """Draw masks from annotations of COCO or LabelMe.

    Understood are COCO's polygons, run lengths and panoptic segments, and LabelMe's shapes. Writes images/, masks/
    (palette PNGs of class numbers, 255 for void) and class_names.txt; 'segbench init' makes a suite of them. What had
    to be decided is told with its counts.
    """
    from segbench.cli.terminal.progress import counting
    from segbench.data.annotations.class_names import number_classes, read_names
    from segbench.data.annotations.json_files import Kind
    from segbench.data.annotations.read import read_annotations
    from segbench.data.annotations.write import write_masks

    listed = None if classes is None else read_names(classes)
    found = read_annotations(annotations, images=images, line_width=line_width)
    numbers = number_classes(found.source.labels, has_background=found.has_background, listed=listed, others=others)
    rule = overlap or (Overlap.LATER if found.kind is Kind.LABELME else Overlap.SMALLER)
    with counting("drawing masks", "images") as advance:
        done = write_masks(found, numbers, out, overlap=rule, link=link, progress=advance)
    write_facts({"images": done.images, "classes": len(done.classes), "void pixels": done.void_pixels})
    typer.echo()
    rows = [[str(index), name, f"{done.pixels[index]:,}"] for index, name in enumerate(done.classes)]
    write_table(["value", "class", "pixels"], rows, right=["value", "pixels"])
    for note in done.notes:
        tell(f"note: {note}")
    tell(f"next: segbench init {shlex.quote(str(out))}")
