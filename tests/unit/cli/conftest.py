"""One small suite, run once, and a way to call the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segbench.cli.app import app

SUITE = """\
name: small
dataset: {name: scenes, size: [32, 32], train_images: 4, test_images: 2}
transforms: {train: [normalize], test: [normalize]}
models:
  - {name: cnn, width: 0.05}
  - {name: unet, width: 0.05, label: U-Net}
train: {steps: 2, batch_size: 2, loss: cross_entropy, optimizer: {name: adamw, lr: 0.001}}
seeds: [0]
"""


class Answer:
    """What a command gave back."""

    def __init__(self, result) -> None:
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr

    @property
    def json(self):
        return json.loads(self.out)


def call(*arguments) -> Answer:
    """Run a command in this process; an unexpected_outcome error is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result)


@pytest.fixture(scope="session")
def segbench():
    return call


@pytest.fixture
def suite(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """A folder with the small suite, its results and its report, and what the command answered."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "small.yaml").write_text(SUITE, encoding="utf-8")
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    answer = call("run", folder / "small.yaml", *places)
    return folder, answer
