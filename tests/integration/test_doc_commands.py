"""Every command that the documents show is right: it is run, or read without being run, and then the reason is told."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import doc_tree
import pytest
from doc_commands import PAGES, ROOT, blocks, needs_shell, parse, segbench_calls, spans
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.config.load import load_suite
from segbench.config.plan import plan
from segbench.engine.suite.selection import chosen

_INSTALLS = "installs packages"
_DOCKER = "needs Docker; tests/unit/test_container.py reads its file"
_MINUTES = "takes minutes on a processor"
_FRESH = f"{_MINUTES}: many fresh processes; tests/integration/test_regress_ab.py and _stored.py do the same, smaller"

NOT_RUN = {
    **{
        f"segbench score --predictions out --labels {rest}": (
            "wants masks of another kind than the block's first command; tests/unit/cli/test_score.py scores each kind"
        )
        for rest in (
            "masks --values 0,255",
            "masks --values '[7,8],11' --ignore-index others",
            "gtFine/val --values cityscapes-label-ids --label-suffix _gtFine_labelIds",
            "masks --palette '[0,0,0],[255,0,0]'",
        )
    },
    "python3 -m venv .venv": _INSTALLS,
    ".venv/bin/pip install -q -c constraints.txt -e .": _INSTALLS,
    ".venv/bin/pip install -q -c constraints.txt -e '.[test]'": _INSTALLS,
    "pip install -e '.[ray]'": _INSTALLS,
    "pip install ../segbench": _INSTALLS,
    "docker build --file docker/Dockerfile --tag segbench .": _DOCKER,
    'docker run --rm --gpus all --shm-size 8g --user "$(id -u):$(id -g)" -v "$PWD:/work" segbench run quickstart': (
        _DOCKER
    ),
    '.venv/bin/pytest -n 2 --dist worksteal -m "not slow"': "is these tests",
    "segbench doctor --networks suites/voc.yaml --seconds 240 --json doctor.json": (
        f"{_MINUTES}; tests/unit/cli/test_network_doctor.py does the same, smaller"
    ),
    "benchmarks/gpu_session.sh look home 150": "needs a GPU; tests/integration/test_gpu_session.py",
    "benchmarks/gpu_session.sh train home 480": "needs a GPU; tests/integration/test_gpu_session.py",
    "torchrun --nproc-per-node 4 -m segbench run suites/voc.yaml": (
        "needs a core for each process; tests/integration/test_torchrun.py does the same with two"
    ),
    "segbench run suites/voc.yaml --launcher ray --address ray-head:6379 --cpus-per-run 8 --gpus-per-run 1": (
        "needs a Ray cluster; tests/integration/test_ray.py"
    ),
    "segbench data download nuclei": "fetches 400 MB; tests/unit/data/datasets do the same from a server of their own",
    "segbench run suites/data-efficiency.yaml --jobs 2": f"{_MINUTES}, and needs the nuclei",
    "segbench efficiency results/data-efficiency": (
        "needs the results of that run; tests/unit/cli/commands/stored/test_efficiency.py makes some"
    ),
    "segbench speed suites/voc.yaml --results /shared/results": "suites/speed.yaml is measured in its place",
    "segbench speed --models unet,segnet --size 360x480 --batch sweep": f"{_MINUTES}: networks at full width",
    "segbench speed --models all --size 128x128 --json": f"{_MINUTES}: networks at full width",
    "segbench deploy suites/quickstart.yaml --targets eager,onnxruntime,onnxruntime:int8 --images 50": (
        f"{_MINUTES}: many fresh processes; tests/unit/deployment/suite/test_suite.py does the same, smaller"
    ),
    "segbench export results/quickstart/unet-seed0-0123456789/checkpoint.safetensors --to onnx": (
        "needs a trained network; tests/integration/test_deploy_command.py"
    ),
    "segbench regress ab --base main --head HEAD --models unet": _FRESH,
    "segbench regress save --models unet,segnet --size 128x128 --out baseline.json": _FRESH,
    "segbench regress check --baseline baseline.json": _FRESH,
    "segbench regress ab --base main --head HEAD --models python:my_package.networks.pointwise --size 256x256": _FRESH,
    "segbench regress ab --base ./old-venv --head ./new-venv --models unet,python:my_package.networks.pointwise": (
        _FRESH
    ),
    "segbench regress calibrate --models python:my_package.networks.pointwise --size 256x256": _FRESH,
}
"""Commands that are not run, each with the reason; what they say to segbench is read all the same."""

TYPED_ELSEWHERE = {
    "first-steps.md": "tests/integration/test_first_steps.py types the page from its first line to its last"
}
"""Pages whose commands are run in the page's order, with what happens between them."""

MADE_SMALL = {
    "segbench run my-data/suite.yaml": "--models cnn --set train.epochs=1 --set seeds=[0] --set models.cnn.width=0.05",
    "segbench run suite.yaml --set train.epochs=3 --set models.unet.width=0.5 --set 'seeds=[0, 1, 2]'": (
        "--set models.unet.width=0.05 --set train.epochs=1"
    ),
}
"""What is added to commands that train, so that they end soon."""

WHOLE = (".venv/bin/segbench run quickstart",)
"""Commands that also estimate what they take and write a report; other runs leave that out, for time."""

REWRITTEN = {"/shared/results": "shared-results", ".venv/bin/segbench": "segbench"}
"""Places that this machine does not have."""

BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = sorted({command for block in BLOCKS for command in block.commands})
WRITTEN = [*PAGES, *sorted((ROOT / "suites").glob("*.yaml"))]
MENTIONS = sorted({(page.name, span) for page in WRITTEN for span in spans(page)})


def runs(command):
    return command not in NOT_RUN


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_says_to_segbench_is_understood(command):
    for arguments in segbench_calls(command):
        error = parse(arguments)
        assert error is None, f"segbench {shlex.join(arguments)}: {error.format_message()}"


PICKS = [
    (suite, arguments[arguments.index("--models") + 1])
    for command in COMMANDS
    for arguments in segbench_calls(command)
    if "--models" in arguments
    for suite in {*arguments} & {str(path.relative_to(ROOT)) for path in (ROOT / "suites").glob("*.yaml")}
]
"""Suites of the repository, and the networks that a command picks of each."""


def test_networks_that_commands_pick_of_a_suite_are_in_it():
    """The tree has stand-ins of these suites, which would not show it."""
    assert PICKS
    for suite, names in PICKS:
        assert chosen(plan(load_suite(ROOT / suite)), names.split(","), None)


@pytest.mark.parametrize(("page", "span"), MENTIONS)
def test_what_a_sentence_says_to_segbench_has_commands_and_options_that_exist(page, span):
    """It may leave arguments out, or have words in their place, such as ``SUITE``."""
    for arguments in segbench_calls(span):
        error = parse(arguments)
        incomplete = ("MissingParameter", "BadParameter", "NoArgsIsHelpError")
        assert error is None or type(error).__name__ in incomplete, f"{page}: {span}: {error.format_message()}"


def test_no_command_is_listed_that_no_document_shows():
    assert {*NOT_RUN, *MADE_SMALL, *WHOLE} <= set(COMMANDS)
    assert not {*NOT_RUN} & {*MADE_SMALL, *WHOLE}


def test_scripts_that_commands_name_exist():
    scripts = {command.split()[0] for command in COMMANDS if re.match(r"\w+/", command)}
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    doc_tree.build(folder)
    return folder


@pytest.mark.slow(reason="runs every command that the documents show")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_commands_come_to_their_end_without_an_error(block, tree, tmp_path, monkeypatch):
    """A command that fails here is wrong, needs a file that ``doc_tree`` lacks, or belongs into ``NOT_RUN``."""
    if elsewhere := TYPED_ELSEWHERE.get(block.where.partition(":")[0]):
        pytest.skip(elsewhere)
    reasons = [f"{command!r} {NOT_RUN[command]}" for command in block.commands if not runs(command)]
    if len(reasons) == len(block.commands):
        pytest.skip("; ".join(reasons))
    print("not run:", *reasons or ["nothing"], sep="\n")
    doc_tree.copy(tree, tmp_path, results=not any("segbench run" in command for command in block.commands))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # for networks that the documents show
    for command in filter(runs, block.commands):
        error = error_of(command, monkeypatch)
        assert error is None, error


def error_of(command, monkeypatch):
    """Run a command in the current folder, in this process or a shell; return what went wrong, None if nothing did."""
    text = f"{command} {MADE_SMALL.get(command, '')}"
    for place, there in REWRITTEN.items():
        text = text.replace(place, there)
    if command not in WHOLE:
        text = text.replace("segbench run ", "segbench run --no-estimate --no-report ")
    if needs_shell(text):
        monkeypatch.setenv("PATH", doc_tree.search_path(Path.cwd()))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", text], capture_output=True, text=True, check=False)
        return f"{text}\n{done.stdout}\n{done.stderr}" if done.returncode else None
    program, *words = shlex.split(text)
    assert program == "segbench", f"{command!r} is neither a command of segbench nor listed in NOT_RUN"
    arguments = [found for word in words for found in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
    result = CliRunner().invoke(app, arguments)
    return f"{text}\n{result.output}\n{result.exception!r}" if result.exit_code else None
