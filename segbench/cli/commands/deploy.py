"""The commands about other runtimes: export, deploy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segbench.cli.support import options
from segbench.cli.support.outputs import check_output
from segbench.cli.terminal.output import tell, write_json
from segbench.config.sections.deploy import read_targets
from segbench.errors import SegbenchError, UsageError
from segbench.results.run_files import RECORD_FILE

if TYPE_CHECKING:
    from segbench.deployment.export.export import Exported
    from segbench.engine.checkpoint import Checkpoint

FORMATS = ("onnx", "openvino", "torchscript", "pt2")


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint.safetensors that 'segbench run' wrote.")
    ],
    *,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"{', '.join(FORMATS)}.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The file; beside the checkpoint by default.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="HxW", help="Size of the images of the check; that of its test by default."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Export a trained network, and check its outputs.

    The file takes (N, C, H, W) float32 images after the recipe's test transforms and returns scores (N, classes, H, W),
    for batches and image sizes of any kind where the format allows it. Scores of seeded images are compared with
    PyTorch's; an export that differs by more than rounding is refused, and leaves no file.
    """
    if to not in FORMATS:
        raise UsageError(f"--to {to!r}: expected one of {', '.join(FORMATS)}")
    from segbench.deployment.export.export import Format, export_network
    from segbench.deployment.packages import refuse_absent
    from segbench.engine.checkpoint import load_checkpoint

    form = Format(to)
    file = out or checkpoint.with_suffix(form.suffix)
    check_output(file, form.suffix)
    refuse_absent([to])
    loaded = load_checkpoint(checkpoint)
    chosen = options.size(size) if size is not None else _tested_size(checkpoint)
    made = export_network(loaded.network, form, file, channels=loaded.info.channels, size=chosen)
    _tell_exported(made, loaded, chosen, as_json=as_json)


def deploy(
    suite: options.SuiteFile,
    *,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="A,B:int8,…",
            help="Runtimes, each with a precision (fp32, bf16, fp16, int8); /0.5 behind it prunes a half.",
        ),
    ] = None,
    models: options.Models = None,
    seeds: options.Seeds = None,
    images: Annotated[int | None, typer.Option("--images", metavar="N", min=1, help="How many test images.")] = None,
    overrides: options.Overrides = None,
    device: options.Device = "auto",
    results: options.Results = Path("results"),
    time_limit: options.TimeLimit = None,
    as_json: options.AsJson = False,
) -> None:
    """Test trained networks in other runtimes, at int8, pruned.

    The networks are those that 'segbench run' has stored. Each is exported, tested on the same images and timed; what
    is done already is kept. Every result is stored under RESULTS/<suite>/deployments/. With a time limit, exit code 3
    says that something is left.
    """
    from segbench.cli.support.further_tests import Request, deployment_tests, execute_command
    from segbench.engine.stopping import Stop

    given = {"targets": None if targets is None else read_targets(targets), "images": images}
    stop = Stop.after(options.seconds_of(time_limit, option="--time-limit"))
    request = Request(options.selection_of(models, seeds), results, device, stop)
    execute_command(deployment_tests(), suite, given, request, overrides=overrides, as_json=as_json)


def _tested_size(checkpoint: Path) -> tuple[int, int]:
    """Return the size of the images that a network was tested on, which its record tells.

    Raises:
        UsageError: There is no record beside the checkpoint.
    """
    from segbench.results.store import read_record

    try:
        found = read_record(checkpoint.parent / RECORD_FILE).model.input_size
    except SegbenchError:
        found = None
    if found is None:
        raise UsageError(f"{checkpoint}: no {RECORD_FILE} beside it tells the images' size: give --size HxW")
    return found


def _tell_exported(made: Exported, loaded: Checkpoint, size: tuple[int, int], *, as_json: bool) -> None:
    transforms = [entry.name for entry in loaded.run.recipe.transforms.test]
    if as_json:
        write_json(
            {
                "files": [str(file) for file in made.files],
                "file_bytes": made.file_bytes,
                "channels": loaded.info.channels,
                "classes": loaded.info.classes,
                "size": size,
                "open_sizes": made.open_sizes,
                "transforms": [entry.model_dump(mode="json") for entry in loaded.run.recipe.transforms.test],
                "largest_difference": made.difference.largest,
                "mean_difference": made.difference.mean,
                "mean_magnitude": made.difference.magnitude,
                "seconds": made.seconds,
            }
        )
        return
    height, width = size
    typer.echo(str(made.files[0]))
    sizes = "any batch and image size" if made.open_sizes else f"batches of one image of {height}x{width}"
    tell(f"for {sizes}, after {', '.join(transforms) or 'no transforms'}; checked at {height}x{width}")
    tell(f"{made.difference}, in PyTorch's scores")
