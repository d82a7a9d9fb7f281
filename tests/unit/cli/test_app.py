"""The command line starts at once, and every error is one message and an exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from segbench.cli import app as application
from segbench.cli.app import Commands, app, main
from segbench.errors import ModelRefusal, SuiteError

COMMANDS = [
    *("run", "plan", "validate", "schema", "leaderboard", "list", "describe"),
    *("evaluate", "predict", "score", "init", "doctor", "data"),
]


def python(code: str):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "sys.argv = ['segbench', '--help']\n"
        "from segbench.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'torch', 'torchvision', 'timm', 'pandas', 'numpy', 'pydantic', 'yaml', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    assert "Usage: segbench" in python(code)


def test_control_c_while_the_command_line_is_imported_gives_no_traceback(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt  # as Python raises it in the midst of an import\n")
    command = [sys.executable, "-m", "segbench", "--help"]
    root = os.pathsep.join([str(tmp_path), str(Path(application.__file__).parents[2])])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_no_help_screen_imports_torch_or_pandas():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from segbench.cli.app import _COMMANDS, app\n"
        "for name in _COMMANDS:\n"
        "    assert CliRunner().invoke(app, [name, '--help']).exit_code == 0, name\n"
        "    assert not {'torch', 'torchvision', 'timm', 'pandas', 'scipy'} & set(sys.modules), name\n"
        "print('none')"
    )
    assert python(code) == "none\n"


def test_the_help_of_run_reads_no_schema_of_suites():
    code = (
        "import sys\n"
        "sys.argv = ['segbench', 'run', '--help']\n"
        "from segbench.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "assert not {'numpy', 'yaml', 'segbench.config.suite', 'segbench.engine.processes'} & set(sys.modules)\n"
    )
    assert "--time-limit" in python(code)


@pytest.mark.parametrize(
    "arguments", [["validate", "SUITE"], ["plan", "SUITE"], ["schema"], ["list", "models"], ["leaderboard", "RESULTS"]]
)
def test_commands_that_do_not_compute_import_no_torch(arguments, done):
    folder, _ = done
    places = {"SUITE": str(folder / "small.yaml"), "RESULTS": str(folder / "results")}
    given = [places.get(argument, argument) for argument in arguments]
    code = (
        "import sys\n"
        f"sys.argv = ['segbench', *{given!r}]\n"
        "from segbench.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "assert not {'torch', 'torchvision', 'timm'} & set(sys.modules)\n"
    )
    assert python(code)


def test_help_and_completion_import_no_command():
    code = (
        "import sys, typer\n"
        "from typer.testing import CliRunner\n"
        "from segbench.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "group = typer.main.get_command(app)\n"
        "named = [found.value for found in group.shell_complete(group.make_context('segbench', ['list']), 're')]\n"
        "assert named == ['report', 'regress', 'results'], named\n"
        "print([name for name in sys.modules if name.startswith('segbench.cli.commands.')])\n"
    )
    assert python(code) == "[]\n"


def test_summaries_in_the_list_are_those_of_the_commands():
    commands = typer.main.get_command(app).commands
    own = {name: command.loaded.get_short_help_str(100) for name, command in commands.items()}
    assert own == {name: command.short_help for name, command in commands.items()}


def test_python_m_segbench_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "segbench", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("segbench ")


def test_every_command_is_there_with_a_help(segbench):
    listed = segbench("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in listed
        answer = segbench(command, "--help")
        assert answer.code == 0
        assert f" {command} " in answer.out.splitlines()[0]


@pytest.mark.parametrize("group", [[], ["data"], ["regress"]])
def test_summaries_of_commands_are_whole(group, segbench):
    listed = segbench(*group, "--help").out.split("Commands:")[1]
    assert "..." not in listed
    assert all(len(line.split(maxsplit=1)[1]) < 58 for line in listed.splitlines() if line.strip())


@pytest.mark.parametrize(
    "arguments",
    [
        ["ruin"],
        ["run"],
        ["run", "--colour"],
        ["list", "modells"],
        ["score", "--classes", "0", "--predictions", "a", "--labels", "b"],
        ["score", "--classes", "two", "--predictions", "a", "--labels", "b"],
        ["leaderboard", "a", "--format", "word"],
        ["data", "fetch"],
        [],
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(arguments, segbench):
    answer = segbench(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.err or answer.out


@pytest.fixture(name="failing")
def make_failing():
    def build(error):
        failing = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

        @failing.command()
        def command() -> None:
            raise error

        @failing.command()
        def other() -> None:
            """Two commands make a group."""

        return failing

    return build


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SuiteError("unknown key", file="a.yaml", key="b"), 2, "error: a.yaml: b: unknown key\n"),
        (ModelRefusal("too small"), 1, "error: too small\n"),
        (KeyboardInterrupt(), 130, "interrupted; "),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(error, code, message, failing):
    from typer.testing import CliRunner

    result = CliRunner().invoke(failing(error), ["command"])
    assert result.exit_code == code
    assert result.stderr.startswith(message)
    assert result.stdout == ""


def test_an_unforeseen_error_keeps_its_traceback(failing):
    from typer.testing import CliRunner

    result = CliRunner().invoke(failing(ZeroDivisionError("surprise")), ["command"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_main_is_the_application(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["segbench", "--version"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("segbench ")
    assert application.app is app
