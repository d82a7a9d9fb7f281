"""A small world of components, so that these tests depend on no real network, data set or loss."""

from pathlib import Path

import pytest

import segbench.data
import segbench.engine
import segbench.models

CATALOGS = {
    (segbench.models, "CATALOG"): {"tiny": "tiny", "plain": "plain", "family:": "anything", "python:": "anything"},
    (segbench.data, "CATALOG"): {"pictures": "pictures"},
    (segbench.data, "TRANSFORMS"): {"normalize": "normalize", "crop": "crop"},
    (segbench.engine, "LOSSES"): {"cross_entropy": "cross_entropy", "dice": "dice"},
    (segbench.engine, "OPTIMIZERS"): {"sgd": "sgd", "adamw": "adamw"},
    (segbench.engine, "SCHEDULES"): {"constant": "constant", "poly": "poly"},
}

SUITE = """\
name: mini
dataset: {name: pictures, size: [24, 32]}
transforms:
  train: [{name: crop, size: [16, 16]}, normalize]
models:
  - {name: tiny, width: 0.5}
  - plain
train:
  epochs: 3
  loss: cross_entropy
  optimizer: {name: sgd, lr: 1e-2}
seeds: [0, 1]
"""


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delenv("SEGBENCH_WEIGHTS", raising=False)
    for (module, attribute), members in CATALOGS.items():
        monkeypatch.setattr(module, attribute, {name: f"toys:{factory}" for name, factory in members.items()})


@pytest.fixture
def mini():
    """The text of a suite that is right."""
    return SUITE


@pytest.fixture
def write(tmp_path):
    """Write a suite and return its path."""

    def write(text: str, name: str = "suite.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
