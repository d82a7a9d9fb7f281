"""Commands that list components and suites: list, describe, suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.support.options import AsJson, ModelOptions, size
from segbench.cli.terminal.completion import complete_model
from segbench.cli.terminal.output import byte_count, tell, write_facts, write_json, write_table
from segbench.errors import ModelRefusal, UsageError
from segbench.registry import CATALOGS, Entry
from segbench.report.text import count
from segbench.signature import Parameter

if TYPE_CHECKING:
    from segbench.config.component import ModelEntry
    from segbench.models.skeleton import Description


class Kind(StrEnum):
    """The catalogues of components."""

    MODELS = "models"
    DATASETS = "datasets"
    TRANSFORMS = "transforms"
    LOSSES = "losses"
    OPTIMIZERS = "optimizers"
    SCHEDULES = "schedules"
    METRICS = "metrics"


def list_catalog(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=f"One of {', '.join(Kind)}.")],
    *,
    as_json: AsJson = False,
) -> None:
    """List what a suite can name, of one kind."""
    entries = [_described(entry) for entry in CATALOGS[kind].entries().values()]
    if kind is Kind.MODELS:
        entries = [entry | _size(entry["name"]) for entry in entries]
    if as_json:
        write_json(entries)
        return
    columns = {
        "name": [entry["name"] + ("NAME" if entry["name"].endswith(":") else "") for entry in entries],
        "family": [entry.get("family") for entry in entries],
        "parameters": [count(entry.get("parameters")) for entry in entries],
        "what it is": [entry["summary"] for entry in entries],
        "options": [_names(entry["options"]) for entry in entries],
    }
    shown = {title: cells for title, cells in columns.items() if any(cells)}
    write_table(
        list(shown),
        list(zip(*shown.values(), strict=True)),
        right=["parameters"],
        whole=["name", "family"],
        drop=["options"] if kind is Kind.MODELS else [],
    )
    if kind is Kind.MODELS:
        tell("parameters at the default options, for 21 classes; 'segbench describe NAME' says more")


def describe(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model; 'segbench list models' shows them.", autocompletion=complete_model
        ),
    ],
    *,
    classes: Annotated[
        int, typer.Option("--classes", metavar="N", min=1, help="How many classes it tells apart.")
    ] = 21,
    channels: Annotated[int, typer.Option("--channels", metavar="C", min=1, help="Channels of the images.")] = 3,
    image_size: Annotated[
        str, typer.Option("--size", metavar="HxW", help="Height and width of an image, in pixels.")
    ] = "512x512",
    options: ModelOptions = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's size, cost, input sizes and paper.

    The cost is the number of learned parameters and, for one image of the given size, of multiply-adds and of the bytes
    that training keeps of it for the backward pass; and the size of the weights on disk.
    """
    height, width = size(image_size)
    entry = _model_entry(model, options)
    facts = _facts(entry, classes=classes, channels=channels, image_size=(height, width))
    facts |= {"classes": classes, "channels": channels, "size": [height, width], "options": entry.options}
    if as_json:
        write_json(facts)
        return
    notes = [*facts.pop("notes", []), *filter(None, [facts.pop("note", None)])]
    write_facts(_in_words(facts))
    for note in notes:
        tell(f"note: {note}")


def _in_words(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Format the facts of a network: figures with units, sizes as height x width."""
    words: dict[str, Any] = {
        "name": facts["name"],
        "parameters": f"{count(facts['parameters'])} ({facts['parameters']:,})",
        "cost": f"{count(facts['macs'])} multiply-adds an image",
        "activations": f"{byte_count(facts['activation_bytes'])} an image, kept for the backward pass",
        "weights on disk": byte_count(facts["weights_bytes"]),
        "paper": facts["citation"] or None,
        "takes images of": facts["input_constraint"],
        "output": _by(facts["output_size"]),
        "padded to": facts.get("pad_to", ""),
        "returns": facts.get("returns", ""),
        "measured with": f"images of {_by(facts['size'])}, {facts['channels']} channels, {facts['classes']} classes",
        "options": ", ".join(f"{key}={value}" for key, value in facts["options"].items()),
    }
    if facts["macs"] is None:
        words |= {"cost": None, "activations": None, "output": None}
    return {title: value for title, value in words.items() if value != ""}


def _by(size: Sequence[int] | None) -> str | None:
    return None if size is None else f"{size[0]}x{size[1]}"


def _described(entry: Entry) -> dict[str, Any]:
    try:
        signature = entry.signature
    except UsageError as error:
        return {"name": entry.name, "summary": f"(cannot be read: {error})", "options": []}
    return {
        "name": entry.name,
        "summary": signature.summary,
        "options": [_option(parameter) for parameter in signature.parameters],
    }


def _size(name: str) -> dict[str, Any]:
    """Return family and parameter count of a built-in network; None for others."""
    from segbench.models.families import SIZES

    known = SIZES.get(name)
    return {"family": known.family, "parameters": known.parameters} if known else {"family": None, "parameters": None}


def _option(parameter: Parameter) -> dict[str, Any]:
    required = parameter.default is ...
    return {
        "name": parameter.name,
        "type": parameter.annotation,
        "required": required,
        "default": None if required else parameter.default,
        "help": parameter.help,
    }


def _names(options: Sequence[dict[str, Any]]) -> str:
    return ", ".join(option["name"] for option in options)


def _model_entry(model: str, options: Sequence[str] | None) -> ModelEntry:
    from segbench.config.component import ModelEntry
    from segbench.config.load import check_part, set_options

    document: dict[str, Any] = {"name": model}
    set_options(document, options)
    return check_part(ModelEntry, document)


def _facts(entry: ModelEntry, *, classes: int, channels: int, image_size: tuple[int, int]) -> dict[str, Any]:
    """Return the facts of a model; if it does not support the image size, without its cost but with the reason.

    Raises:
        UsageError: It does not support the size, and no supported size is known.
    """
    from segbench.models.skeleton import describe_network

    try:
        found = describe_network(entry, classes=classes, channels=channels, size=image_size)
    except ModelRefusal as refusal:
        nearest = _nearest_size(entry, classes=classes, channels=channels, image_size=image_size)
        if nearest == image_size:
            raise UsageError(str(refusal)) from None
        found = describe_network(entry, classes=classes, channels=channels, size=nearest)
        note = f"{refusal}; {nearest[0]}x{nearest[1]} is possible"
        unknown = {"macs": None, "activation_bytes": None, "output_size": None}
        return {**_described_facts(entry, found), **unknown, "note": note}
    return _described_facts(entry, found)


def _described_facts(entry: ModelEntry, found: Description) -> dict[str, Any]:
    return {
        "name": entry.name,
        "parameters": found.parameters,
        "macs": found.macs,
        "activation_bytes": found.activation_bytes,
        "weights_bytes": found.weights_bytes,
        "citation": found.citation,
        "input_constraint": found.input_constraint,
        "output_size": found.output_size,
        **({"pad_to": entry.pad_to} if entry.pad_to else {}),
        **({"returns": found.outputs.in_words} if found.outputs else {}),
        **({"notes": notes} if (notes := _output_notes(entry, found)) else {}),
    }


def _output_notes(entry: ModelEntry, found: Description) -> list[str]:
    """Return notes on unusual outputs; auxiliary outputs are not mentioned, since the recipe decides about them."""
    if found.outputs is None:
        return []
    outputs = found.outputs.model_copy(update={"auxiliary_weights": {}})
    return [f"{entry.name} {note}" for note in outputs.notes(trained=True)]


def _nearest_size(entry: ModelEntry, *, classes: int, channels: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest supported size that is not below the given one."""
    from segbench.models.base import constraint_of
    from segbench.models.skeleton import bare_skeleton

    constraint = constraint_of(bare_skeleton(entry, classes=classes, channels=channels))
    return constraint.next(image_size[0]), constraint.next(image_size[1])


def suites(*, as_json: AsJson = False) -> None:
    """List the suites that come with segbench.

    Every command that takes a suite takes one of these by its name, such as 'segbench run quickstart'.
    """
    from segbench.config.shipped import shipped_suites

    facts = [_suite_facts(name, file) for name, file in shipped_suites().items()]
    if as_json:
        write_json(facts)
        return
    titles = {"name": "name", "dataset": "data set", "networks": "networks", "seeds": "seeds", "description": "what"}
    rows = [[one[key] for key in titles] for one in facts]
    columns = list(titles.values())
    write_table(columns, rows, right=["networks", "seeds"], whole=["name", "data set"], drop=["seeds", "networks"])
    tell("'segbench run NAME' runs one; a copy of its file is the beginning of your own")


def _suite_facts(name: str, file: Path) -> dict[str, Any]:
    from segbench.config.load import load_suite

    suite = load_suite(file)
    return {
        "name": name,
        "dataset": suite.dataset.name,
        "networks": len(suite.models),
        "seeds": len(suite.seeds),
        "description": suite.description,
        "file": str(file),
    }
