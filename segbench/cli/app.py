"""The command line: every command and, around all of them, what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from segbench.cli.commands import (
    catalog,
    compare,
    data,
    doctor,
    plan,
    predict,
    regress,
    report,
    results,
    robustness,
    run,
    score,
    speed,
)
from segbench.cli.commands import init as starter
from segbench.cli.commands import regress_baseline as baseline
from segbench.cli.support.network_doctor import JsonCommand
from segbench.cli.terminal.output import tell
from segbench.errors import SegbenchError, UsageError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it."""


class Commands(TyperGroup):
    """Turns errors raised on purpose into one message and an exit code; others keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except SegbenchError as error:
            tell(f"error: {error}")
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        except KeyboardInterrupt:
            tell("interrupted; what is finished is kept, and the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None


_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "plan": plan.plan,
    "validate": plan.validate,
    "schema": plan.schema,
    "speed": speed.speed,
    "robustness": robustness.robustness,
    "leaderboard": report.leaderboard,
    "report": report.report,
    "compare": compare.compare,
    "list": catalog.list_catalog,
    "describe": catalog.describe,
    "evaluate": predict.evaluate,
    "predict": predict.predict,
    "score": score.score,
    "init": starter.init,
    "doctor": doctor.doctor,
}

_CLASSES: dict[str, type[TyperCommand]] = {"doctor": JsonCommand}
"""Commands that read their arguments in a way of their own."""


def _show_version(wanted: bool) -> None:
    if wanted:
        import segbench

        typer.echo(f"segbench {segbench.__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Compare semantic-segmentation networks: one recipe, one fair leaderboard."""


def _regress() -> typer.Typer:
    """Return the commands that decide whether something became slower: side by side, and against what was saved."""
    regress.app.command("save")(baseline.save)
    regress.app.command("check")(baseline.check)
    return regress.app


def build() -> typer.Typer:
    """Return the application with all its commands."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, command in _COMMANDS.items():
        app.command(name, cls=_CLASSES.get(name))(command)
    app.add_typer(data.app, name="data")
    app.add_typer(_regress(), name="regress")
    app.add_typer(results.app, name="results")
    return app


app = build()


def main() -> None:
    """Run the command line."""
    app(prog_name="segbench")
