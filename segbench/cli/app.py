"""The command line: all commands, and the handling of errors."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from segbench.cli.terminal.completion import is_completing
from segbench.cli.terminal.interruption import INTERRUPTED
from segbench.cli.terminal.output import tell
from segbench.cli.terminal.streams import make_usable, telling_full_disks
from segbench.cli.terminal.waiting import sign_of_life
from segbench.errors import SegbenchError, UsageError

_COMMANDS = {
    "run": ("run.run", "Train and evaluate what a suite names, and rank it."),
    "suites": ("catalog.suites", "List the suites that come with segbench."),
    "plan": ("plan.plan", "Show the runs of a suite, and which of them are done."),
    "validate": ("plan.validate", "Check a suite without reading its images."),
    "schema": ("plan.schema", "Write the JSON Schema of suites, for editors."),
    "speed": ("speed.speed", "Measure how fast networks are, and what that costs."),
    "robustness": ("robustness.robustness", "Test trained networks on corrupted images and other data."),
    "deploy": ("deploy.deploy", "Test trained networks in other runtimes, at int8, pruned."),
    "export": ("deploy.export", "Export a trained network, and check its outputs."),
    "leaderboard": ("stored.report.leaderboard", "Rank stored runs, each against those of equal protocol."),
    "report": ("stored.report.report", "Write the report of stored runs as one page."),
    "efficiency": ("stored.efficiency.efficiency", "Show how networks do with fewer training images."),
    "joint": ("stored.compare.joint", "Rank networks over several data sets or recipes."),
    "compare": ("stored.compare.compare", "Compare two runs, or two folders of results."),
    "list": ("catalog.list_catalog", "List what a suite can name, of one kind."),
    "describe": ("catalog.describe", "Show a model's size, cost, input sizes and paper."),
    "evaluate": ("predict.evaluate", "Evaluate a checkpoint on a split, as its suite would."),
    "predict": ("predict.predict", "Predict the classes of images, as PNG masks."),
    "score": ("score.score", "Score masks made by any tool against true ones."),
    "init": ("init.init", "Write a starter suite for your own images and masks."),
    "doctor": ("doctor.doctor", "Show what this machine has and what it lacks."),
    "data": ("data_convert.app", "Check and fetch data sets."),
    "regress": ("regress_baseline.app", "Decide whether something became slower."),
    "results": ("stored.results.app", "List, pack, merge, recount and verify stored results."),
}
"""By name: module and function of each command below ``segbench.cli.commands``, and its summary."""


class Commands(TyperGroup):
    """Converts segbench's own errors to a message and an exit code; other errors keep their traceback."""

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


class DeferredCommand(TyperCommand):
    """A command or group whose module is imported when it is called, so that help starts fast."""

    def __init__(self, name: str, place: str, summary: str) -> None:
        self.place = place
        super().__init__(name, short_help=summary)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments by the command itself."""
        return self.loaded.make_context(*arguments, **options)

    def __getattr__(self, name: str) -> Any:  # such as the commands of a group
        return getattr(self.loaded, name)

    @cached_property
    def loaded(self) -> Any:
        """The command itself."""
        module_name, _, name = self.place.rpartition(".")
        module = import_module(f"segbench.cli.commands.{module_name}")
        command = getattr(module, name)
        app = _empty_app()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=self.name)
        else:
            app.command(self.name, cls=getattr(module, "COMMAND_CLASS", None))(command)
        group: Any = typer.main.get_command(app)
        return group.commands[self.name]


class AllCommands(Commands):
    """The commands of segbench."""

    def __init__(self, **attributes: Any) -> None:
        commands = {name: DeferredCommand(name, place, summary) for name, (place, summary) in _COMMANDS.items()}
        super().__init__(**{**attributes, "commands": commands})


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


def _empty_app(cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    app = typer.Typer(
        cls=cls,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def build() -> typer.Typer:
    """Return the application with all its commands."""
    return _empty_app(AllCommands)


app = build()


def main() -> None:
    """Run the command line."""
    make_usable()
    with telling_full_disks(), nullcontext() if is_completing() else sign_of_life():
        app(prog_name="segbench")
