"""The command that writes a starter suite for a folder of images and masks: init."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from segbench.cli.support.starter_text import SUITE, TEST_EVERY, suite_name, suite_text
from segbench.cli.terminal.output import counted, tell
from segbench.data.guess.guess import Found, guess
from segbench.data.guess.seen import what_was_seen
from segbench.errors import UsageError


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that holds, or will hold, your data.")
    ] = Path(),
    masks: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder of masks below DIR, such as '{split}/1st_manual', where several hold masks of the images.",
        ),
    ] = None,
) -> None:
    """Write a starter suite for your own images and masks.

    It is commented, and filled in with what is found in the folder; nothing is ever overwritten. What could be a class
    or void, and which of several folders of masks is meant, is asked on a terminal, and is an open question in the
    suite otherwise.
    """
    found = _found(folder, masks)
    if found is not None:
        _check_can_be_listed(folder, found)
        found = _answered(found)
    lists = split_lists(found) if found is not None else {}
    texts = {folder / f"{split}.txt": text for split, text in lists.items()}
    lines = _explained(folder, found)
    write_new({folder / SUITE: suite_text(found, name=suite_name(folder)), **texts})
    for line in lines:
        tell(line)
    tell(
        f"next: segbench validate {folder / SUITE}, segbench data check {folder / SUITE}, segbench run {folder / SUITE}"
    )


def _found(folder: Path, masks: str | None) -> Found | None:
    """Return what was found in a folder; asks on a terminal which of several masks to use.

    Raises:
        UsageError: The folder of ``--masks`` has no masks for the images.
    """
    found = guess(folder, masks=masks)
    if masks is not None and found is None:
        raise UsageError(
            f"--masks {masks}: no images below {folder} have masks in it; give the path below {folder}, in which "
            "{split} stands for the name of a split"
        )
    if found is not None and found.open_masks and _on_a_terminal():
        for other in found.open_masks:
            if typer.confirm(
                f"Masks of the same images are in {found.layout.masks} and in {other.masks}. Read the latter?"
            ):
                return guess(folder, masks=other.masks)
        return replace(found, open_masks=())
    return found


def write_new(files: Mapping[Path, str]) -> None:
    """Write new text files.

    Raises:
        UsageError: A file exists already, or cannot be written; nothing is overwritten.
    """
    for path in files:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path}: exists already and is left as it is; move it away, or choose another folder")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error}") from None
        typer.echo(path)


def split_lists(found: Found) -> dict[str, str]:
    """Return the text of each split's list; drawn splits put every fifth pair into the test split."""
    lists = drawn(found.pairs) if found.drawn else found.lists
    return {split: "".join(f"{image}\t{mask}\n" for image, mask in pairs) or "\n" for split, pairs in lists.items()}


def drawn(pairs: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Divide pairs into train and test; every fifth goes to test."""
    lists: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for index, pair in enumerate(pairs):
        lists["test" if index % TEST_EVERY == TEST_EVERY - 1 else "train"].append(pair)
    if not lists["test"] and len(lists["train"]) > 1:
        lists["test"].append(lists["train"].pop())
    return lists


def _check_can_be_listed(folder: Path, found: Found) -> None:
    for name in (name for pair in found.pairs for name in pair):
        if "\t" in name or len(name.splitlines()) != 1:
            raise UsageError(
                f"{folder}: the file name {name!r} holds a tab or a line break and cannot be listed; rename it"
            )


def _answered(found: Found) -> Found:
    """Ask open questions on a terminal."""
    classes = found.classes
    if not _on_a_terminal():
        return found
    for value in classes.open_values:
        void = typer.confirm(
            f"The mask value {value} lies apart from the others. Is it void, so that it counts nowhere?"
        )
        if void:
            classes = classes.with_void(value)
    return replace(found, classes=replace(classes, open_values=()))


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _explained(folder: Path, found: Found | None) -> list[str]:
    """Return lines about what was found, or what the folder holds instead."""
    if found is None:
        return [
            f"no images with masks were found in {folder}: the suite shows where to put them",
            *what_was_seen(folder),
        ]
    classes = found.classes
    told = counted(classes.count, "class", "classes") if classes.count else "no readable masks"
    masks = f" in {classes.read:,} of {classes.files:,} masks" if 0 < classes.read < classes.files else ""
    lines = [f"found {_where(found)}, {told}{masks}; name the classes, then look through the rest"]
    lines += [f"note: {note}" for note in (*found.notes, *classes.notes)]
    lines += [
        f"open question: are the masks those of {other.masks}? It holds masks of {other.pairs:,} of the images too; "
        f"{found.layout.masks} is read. If they are, delete {folder / SUITE} and: segbench init {folder} --masks "
        f"'{other.masks}'"
        for other in found.open_masks
    ]
    lines += [
        f"open question: is the mask value {value} a class, or void? It is a class in the suite, which says what to "
        "write if it is void"
        for value in classes.open_values
    ]
    return lines


def _where(found: Found) -> str:
    layout = found.layout
    if found.lists:
        return "images and masks, which are listed now"
    if layout.split_file is not None:
        return "the lists " + ", ".join(layout.split_file.format(split=part.name) for part in layout.paired.values())
    return (
        f"{layout.images} and {layout.masks}"
        if layout.images != layout.masks
        else f"images and masks in {layout.images}"
    )
