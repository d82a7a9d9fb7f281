"""Commands that detect slowdowns between revisions: regress ab, regress calibrate."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.support.options import names, size
from segbench.cli.support.outputs import check_output
from segbench.cli.terminal.completion import complete_models, complete_suite
from segbench.cli.terminal.output import json_text, tell, write_table
from segbench.config.component import ModelEntry, find_entry, options_schema
from segbench.config.load import load_suite, set_options
from segbench.errors import SegbenchError, UnknownNameError, UsageError
from segbench.registry import MODELS
from segbench.results.files import replace_text
from segbench.speed.gate.environments import resolve, resolve_both
from segbench.speed.gate.gate_case import Activity, GateCase

if TYPE_CHECKING:
    from segbench.speed.gate.compare import GateResult
    from segbench.speed.gate.decision import Rule
    from segbench.speed.gate.interleaved import Settings


@contextmanager
def crashes_told() -> Iterator[None]:
    """Convert every error to exit code 2, because 1, Python's own, means a regression."""
    try:
        yield
    except UsageError:  # one message and exit code 2, as in every command
        raise
    except SegbenchError as error:
        raise UsageError(str(error)) from None
    except Exception as error:
        tell(traceback.format_exc())
        raise UsageError(f"the gate crashed: {type(error).__name__}: {error}") from error


app = typer.Typer(help="Decide whether something became slower.", no_args_is_help=True)


class Precision(StrEnum):
    """The precision of a network."""

    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"
    FP16 = "fp16"


Suite = Annotated[
    Path | None,
    typer.Argument(
        metavar="[SUITE]",
        help="A suite whose networks to take; or name them by --models.",
        autocompletion=complete_suite,
    ),
]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="A,B",
        help="Networks, by name or import path; of a suite, by label or name.",
        autocompletion=complete_models,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set an option of every network, or a key of the suite; may be repeated."
    ),
]
Classes = Annotated[int, typer.Option("--classes", metavar="N", min=1, help="Classes of the logits.")]
Channels = Annotated[int, typer.Option("--channels", metavar="C", min=1, help="Channels of the images.")]
Size = Annotated[str, typer.Option("--size", metavar="HxW", help="Height and width of an image, in pixels.")]
Batch = Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Images in one pass.")]
What = Annotated[Activity, typer.Option("--what", help="Forward passes, or whole training steps.")]
Numbers = Annotated[Precision, typer.Option("--precision", help="In which numbers to compute.")]
ChannelsLast = Annotated[bool, typer.Option("--channels-last", help="Lay images and weights out channels last.")]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Threads of an operation on the CPU.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N.")]
Threshold = Annotated[float, typer.Option("--threshold", metavar="SHARE", help="The slowdown to find; 0.1 is 10 %.")]
Rounds = Annotated[int, typer.Option("--rounds", metavar="N", min=1, help="Rounds of each side in a restart.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the order of rounds and cases.")]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long one answer of a worker may take.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all rounds and verdicts as JSON.")]


@app.command()
def ab(  # noqa: PLR0913 - one parameter for each option
    suite: Suite = None,
    *,
    base: Annotated[
        str, typer.Option("--base", metavar="REF", help="Compare with: a git revision, or a Python environment.")
    ],
    head: Annotated[
        str, typer.Option("--head", metavar="REF", help="What may be slower: a git revision, or a Python environment.")
    ] = "HEAD",
    models: Models = None,
    options: Sets = None,
    classes: Classes = 21,
    channels: Channels = 3,
    image_size: Size = "128x128",
    batch: Batch = 1,
    what: What = Activity.INFERENCE,
    precision: Numbers = Precision.FP32,
    channels_last: ChannelsLast = False,
    threads: Threads = 1,
    device: Device = "cpu",
    threshold: Threshold = 0.1,
    restarts_limit: Annotated[
        int | None, typer.Option("--restarts-limit", metavar="N", min=2, help="Most restarts; 12 by default.")
    ] = None,
    rounds: Rounds = 24,
    seed: Seed = 0,
    timeout: Timeout = 120.0,
    json_file: JsonFile = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write Markdown, for a pull request.")
    ] = None,
    benchmark_file: Annotated[
        Path | None,
        typer.Option("--pytest-benchmark", metavar="FILE", help="Write JSON that 'pytest-benchmark compare' reads."),
    ] = None,
) -> None:
    """Decide whether a revision is slower than another one.

    Both run as live processes that take turns, restarted until the outcome is sure. Exit codes: 0 passed, 1 regressed,
    2 usage or crash, 3 inconclusive, 4 not comparable.
    """
    with crashes_told():
        for file, ending in ((json_file, ".json"), (markdown_file, ".md"), (benchmark_file, ".json")):
            check_output(file, ending)
        from segbench.speed.gate.compare import compare

        shape = classes, channels, size(image_size), batch
        like = GateCase({"name": ""}, *shape, precision.value, channels_last, threads, what, device)
        cases = _cases(suite, names(models, option="--models"), options or (), like=like)
        rule, settings = _rule(threshold, restarts_limit), _settings(rounds, seed, timeout)
        with resolve_both(base, head, repository=Path.cwd()) as (before, after):
            result = compare(before, after, cases=cases, rule=rule, settings=settings, tell=tell)
        _write(result, json_file=json_file, markdown_file=markdown_file, benchmark_file=benchmark_file)
        _show(result)
    raise typer.Exit(int(result.exit_code))


@app.command()
def calibrate(  # noqa: PLR0913 - one parameter for each option
    suite: Suite = None,
    *,
    environment: Annotated[
        str, typer.Option("--environment", metavar="REF", help="What to run: a git revision, or a Python environment.")
    ] = "HEAD",
    models: Models = None,
    options: Sets = None,
    classes: Classes = 21,
    channels: Channels = 3,
    image_size: Size = "128x128",
    batch: Batch = 1,
    what: What = Activity.INFERENCE,
    precision: Numbers = Precision.FP32,
    channels_last: ChannelsLast = False,
    threads: Threads = 1,
    device: Device = "cpu",
    threshold: Threshold = 0.1,
    restarts: Annotated[int, typer.Option("--restarts", metavar="N", min=2, help="Starts of both processes.")] = 8,
    rounds: Rounds = 24,
    seed: Seed = 0,
    timeout: Timeout = 120.0,
    json_file: JsonFile = None,
) -> None:
    """Measure this machine's noise: a revision against itself.

    Shows how far restarts scatter, and the smallest slowdown that 'regress ab' would find here in 95 of 100 cases.
    """
    with crashes_told():
        check_output(json_file, ".json")
        from segbench.speed.gate.compare import calibrate as measure_noise
        from segbench.speed.gate.report import calibration_document, calibration_rows

        shape = classes, channels, size(image_size), batch
        like = GateCase({"name": ""}, *shape, precision.value, channels_last, threads, what, device)
        cases = _cases(suite, names(models, option="--models"), options or (), like=like)
        rule, settings = _rule(threshold, None), _settings(rounds, seed, timeout)
        with resolve(environment, repository=Path.cwd()) as found:
            noise = measure_noise(found, cases, restarts=restarts, rule=rule, settings=settings, tell=tell)
        save_text(json_file, json_text(calibration_document(noise)))
        titles = ["case", "restarts", "spread", "bias", "finds"]
        write_table(titles, calibration_rows(noise), right=titles[1:], whole=["case"])


def _cases(
    suite: Path | None, models: Sequence[str] | None, options: Sequence[str], *, like: GateCase
) -> list[GateCase]:
    """Return copies of the case ``like`` for the networks of a suite, or for named networks."""
    documents = _named(models, options) if suite is None else _of_suite(suite, models, options)
    return [replace(like, model=document) for document in documents]


def _named(models: Sequence[str] | None, options: Sequence[str]) -> list[dict[str, Any]]:
    """Return entries of networks by name; unchecked, since only the revisions know their networks."""
    if not models:
        raise UsageError("no network is named; give --models a,b or a suite file")
    documents: list[dict[str, Any]] = [{"name": name} for name in models]
    for document in documents:
        set_options(document, options)
    return documents


def _of_suite(file: Path, models: Sequence[str] | None, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Return a suite's entries, all or those named by label or name."""
    entries = load_suite(file, overrides=overrides).models
    known = {name for entry in entries for name in (entry.label, entry.name)}
    for name in models or ():
        if name not in known:
            raise UnknownNameError(f"model of {file}", name, known)
    return [_written(entry) for entry in entries if models is None or {entry.label, entry.name} & set(models)]


def _written(entry: ModelEntry) -> dict[str, Any]:
    """Return an entry without defaults, which each revision fills in itself, and without weights.

    Weights do not affect the time of a network, and no revision holds their files.
    """
    fields = options_schema(find_entry(MODELS, entry.name)).model_fields
    options = {
        key: value
        for key, value in entry.options.items()
        if key != "pretrained" and (key not in fields or fields[key].default != value)
    }
    label = {} if entry.label == entry.name else {"label": entry.label}
    return {"name": entry.name, **label, **options}


def _rule(threshold: float, restarts_limit: int | None) -> Rule:
    from segbench.speed.gate.decision import Rule

    rule = Rule(threshold=threshold)
    return rule if restarts_limit is None else rule.limited(restarts_limit)


def _settings(rounds: int, seed: int, timeout: float) -> Settings:
    from segbench.speed.gate.interleaved import Settings

    return Settings(rounds=rounds, seed=seed, timeout_seconds=timeout)


def _write(
    result: GateResult, *, json_file: Path | None, markdown_file: Path | None, benchmark_file: Path | None
) -> None:
    from segbench.speed.gate.pytest_benchmark_json import benchmark_document
    from segbench.speed.gate.report import document, markdown

    save_text(json_file, json_text(document(result)))
    save_text(markdown_file, markdown(result))
    save_text(benchmark_file, json_text(benchmark_document(result)))


def _show(result: GateResult) -> None:
    from segbench.speed.gate.report import TITLES, headline, notes, rows

    write_table(TITLES, rows(result), right=TITLES[1:-1], whole=TITLES[:1])
    for note in notes(result):
        tell(f"note: {note}")
    tell(headline(result))


def save_text(file: Path | None, text: str) -> None:
    """Write a text to a file, if one is given."""
    if file is not None:
        replace_text(file, text.rstrip("\n") + "\n")
