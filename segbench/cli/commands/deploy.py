"""The commands about other runtimes: export, deploy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.support.options import (
    AsJson,
    Device,
    Models,
    Overrides,
    Results,
    Seeds,
    SuiteFile,
    TimeLimit,
    names,
    numbers,
    seconds_of,
)
from segbench.cli.support.options import size as size_of
from segbench.cli.support.suite_command import SOMETHING_LEFT
from segbench.cli.support.suite_file import load, naming
from segbench.cli.terminal.deployment_table import show
from segbench.cli.terminal.output import counted, tell, write_json
from segbench.config.sections.deploy import Deploy, read_targets
from segbench.config.suite import Suite
from segbench.errors import RunInterrupted, SegbenchError, UsageError
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
    as_json: AsJson = False,
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
    refuse_absent([to])
    loaded = load_checkpoint(checkpoint)
    chosen = size_of(size) if size is not None else _tested_size(checkpoint)
    file = out or checkpoint.with_suffix(form.suffix)
    made = export_network(loaded.network, form, file, channels=loaded.info.channels, size=chosen)
    _tell_exported(made, loaded, chosen, as_json=as_json)


def deploy(
    suite: SuiteFile,
    *,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="A,B:int8,…",
            help="Runtimes, each with a precision (fp32, bf16, fp16, int8); /0.5 behind it prunes a half.",
        ),
    ] = None,
    models: Models = None,
    seeds: Seeds = None,
    images: Annotated[int | None, typer.Option("--images", metavar="N", min=1, help="How many test images.")] = None,
    overrides: Overrides = None,
    device: Device = "auto",
    results: Results = Path("results"),
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Test trained networks in other runtimes, at int8, pruned.

    The networks are those that 'segbench run' has stored. Each is exported, tested on the same images and timed; what
    is done already is kept. Every result is stored under RESULTS/<suite>/deployments/. With a time limit, exit code 3
    says that something is left.
    """
    wanted_seeds = numbers(seeds, option="--seeds")
    given = {"targets": None if targets is None else read_targets(targets), "images": images}
    checked = load(suite, overrides, seeds=wanted_seeds)
    with naming(suite):
        complete = deploy_block(
            checked,
            {key: value for key, value in given.items() if value is not None},
            file=suite,
            models=names(models, option="--models"),
            seeds=wanted_seeds,
            device=device,
            results=results,
            seconds=seconds_of(time_limit, option="--time-limit"),
        )
    show(results / checked.name, as_json=as_json)
    if not complete:
        tell("something is left, the same command goes on")
        raise typer.Exit(SOMETHING_LEFT)


def deploy_block(
    suite: Suite,
    given: Mapping[str, Any],
    *,
    file: Path | None,
    models: Sequence[str] | None,
    seeds: Sequence[int] | None,
    device: str,
    results: Path,
    seconds: float | None = None,
) -> bool:
    """Deploy the trained networks of a suite as its block says.

    Args:
        suite: The suite.
        given: Options of a ``deploy:`` block that win over the suite's.
        file: The suite's file, for messages.
        models: Labels or names of the models; all by default.
        seeds: Their seeds; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        results: Folder of all results.
        seconds: After so many it is time to stop.

    Returns:
        Whether nothing is left.

    Raises:
        UsageError: The block or the data is wrong, a package is missing, or no network of the suite was trained.
    """
    from segbench.cli.terminal.progress import observing
    from segbench.config.load import check_part
    from segbench.deployment.suite.suite import deploy_networks, open_deployments, refuse_absent_packages
    from segbench.engine.robustness.suite import KEEP_WEIGHTS
    from segbench.engine.stopping import Stop
    from segbench.engine.suite.planning import planned
    from segbench.engine.suite.selection import chosen
    from segbench.results.store import Store

    written = suite.deploy.model_dump(mode="json") if suite.deploy else {}
    block = check_part(Deploy, written | dict(given), file=file, key="deploy")
    refuse_absent_packages(block, device=device)
    store, stop = Store(results, suite.name), Stop.after(seconds)
    runs = chosen(planned(suite, store).shown, models, seeds)
    found = open_deployments(runs, store, block, device=device)
    if found.without_weights:
        tell(f"{counted(len(found.without_weights), 'run')} not deployed: {KEEP_WEIGHTS}")
    if not found.tasks and not found.done:
        raise UsageError(f"{suite.name}: no trained network to deploy; 'segbench run' trains them first")
    tell(f"{counted(len(found.tasks), 'deployment')} to do, {found.done} done before")
    try:
        with stop.on_sigterm(), observing() as observer:
            deploy_networks(found, store, stop=stop, observer=observer)
    except RunInterrupted as interrupted:
        tell(str(interrupted))
        return False
    return True


def refuse_what_cannot_be_deployed(suite: Suite, *, device: str) -> None:
    """Refuse a suite whose deploy block needs packages that are missing, before anything is trained.

    Raises:
        UsageError: Packages are missing.
    """
    if suite.deploy is not None:
        from segbench.deployment.suite.suite import refuse_absent_packages

        refuse_absent_packages(suite.deploy, device=device)


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
