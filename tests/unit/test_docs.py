"""What the documents show is what the code does."""

import importlib
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel

from segbench.config import Run, Suite, plan
from segbench.config.component import DatasetEntry, ModelEntry
from segbench.config.load import check
from segbench.config.plan import digest
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.sections.training import (
    Distill,
    Evaluate,
    Loader,
    Resume,
    RunTimeout,
    Speed,
    Train,
    Transforms,
    Window,
)
from segbench.config.sections.tuning import Tuning
from segbench.data.base import Remark
from segbench.data.scenes.dataset import scenes
from segbench.data.validation.check import check_dataset
from segbench.data.validation.facts import to_json
from segbench.models.build import build_network
from segbench.results import outputs, record
from segbench.results.archive import manifest
from segbench.results.arrays.matrices import ImageMatrices, save_matrices
from segbench.results.record import RunRecord
from segbench.results.speed import record as speed_record

DOCS = Path(__file__).parents[2] / "docs"


def text(name):
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name, language):
    return re.findall(rf"^[ ]*```{language}\n(.*?)^[ ]*```", text(name), flags=re.DOTALL | re.MULTILINE)


def imported(tmp_path, name, source):
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_placeholder_is_left_in_the_readme():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\W*[A-Z]+(?:_[A-Z]+)+\W*$", readme, flags=re.MULTILINE) == []


SECTIONS = (
    *(Suite, DatasetEntry, ModelEntry, Train, Distill, Tuning, Evaluate, Loader, Resume, RunTimeout, Speed),
    *(Transforms, Window),
)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_suite_is_explained(section):
    explained = set(re.findall(r"`(\w+)", text("suites.md")))
    assert set(section.model_fields) - {"options"} <= explained | set(re.findall(r"\b(\w+):", text("suites.md")))


def test_no_key_is_explained_that_does_not_exist():
    known = {field for section in SECTIONS for field in section.model_fields}
    rows = re.findall(r"^\| ([^|]*) \| [^|]* \| [^|]* \|$", text("suites.md"), flags=re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert len(named) > 30
    assert named <= known


def test_defaults_in_the_tables_are_those_of_the_schema():
    pages = text("suites.md").split("\n### ")
    for title, section in {"train": Train, "evaluate": Evaluate, "loader": Loader}.items():
        page = next(page for page in pages if page.startswith(f"{title}\n"))
        rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", page, flags=re.MULTILINE))
        for name, field in section.model_fields.items():
            if isinstance(field.default, bool | int | str):
                assert rows[name] == str(field.default).lower(), name


def test_the_smallest_suite_is_a_suite():
    smallest = next(block for block in blocks("suites.md", "yaml") if "train: {epochs: 3}" in block)
    assert [(run.label, run.seed) for run in plan(check(read_yaml(smallest)))] == [
        *(("cnn", 0), ("unet", 0), ("cnn", 1), ("unet", 1), ("cnn", 2), ("unet", 2))
    ]


@pytest.mark.parametrize(
    "block", [*blocks("suites.md", "yaml"), *blocks("checkpoints.md", "yaml")], ids=lambda block: block.split("\n")[0]
)
def test_every_excerpt_of_a_suite_is_right(block):
    excerpt: dict = {}
    for document in yaml.safe_load_all(re.sub(r"^optimizer: adamw$", "---", block, flags=re.MULTILINE)):
        excerpt |= document or {}
    if "optimizer" in excerpt:
        excerpt = {"train": {"epochs": 1, **excerpt}}
    whole = {"dataset": "scenes", "models": ["unet"], "train": {"epochs": 1}} | excerpt
    assert check(whole).models


NOT_PACKED = ("published", "docker")
"""Folders of the repository that its sdist leaves out."""


@pytest.mark.parametrize("name", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_between_documents_lead_somewhere(name):
    for target in re.findall(r"\]\(((?!http)[^)#]+)", text(name)):
        first = Path(target.removeprefix("../")).parts[0]
        if target.startswith("../") and first in NOT_PACKED and not (DOCS.parent / first).exists():
            continue
        assert (DOCS / target).exists(), target


def test_the_import_path_example_builds(tmp_path, monkeypatch):
    source = next(block for block in blocks("add-a-model.md", "python") if "# my_package/networks.py" in block)
    entry = yaml.safe_load(next(block for block in blocks("add-a-model.md", "yaml") if "python:" in block))["models"][0]
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "networks.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    network = build_network(ModelEntry.model_validate(entry), classes=3, channels=3, seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == (3 * 32 + 32) + (32 * 3 + 3)
    sys.modules.pop("my_package.networks", None)


def test_the_built_in_model_example_builds(tmp_path):
    import torch

    source = next(block for block in blocks("add-a-model.md", "python") if "SegmentationNetwork" in block)
    head = "from torch import Tensor, nn\nfrom segbench.models.base import SegmentationNetwork\n"
    lines = [line.removeprefix("   ") for line in source.splitlines()]
    module = imported(tmp_path, "pointwise_example", head + "\n".join(lines))
    assert module.pointwise(4)(torch.zeros(2, 3, 5, 7)).shape == (2, 4, 5, 7)


def test_the_data_set_example_reads(tmp_path):
    (source,) = blocks("add-a-dataset.md", "python")
    module = imported(tmp_path, "some_city_example", source)
    for part in ("images", "labels"):
        folder = tmp_path / "data" / "train" / part
        folder.mkdir(parents=True)
        Image.fromarray(np.array([[0, 1], [2, 4]], np.uint8)).save(folder / "a.png")
    dataset = module.some_city("train", root=str(tmp_path / "data"))
    assert dataset.read(0).label.tolist() == [[255, 1], [2, 4]]
    assert check_dataset(dataset).problems == ()


def test_the_result_examples_recompute_protocol_and_score(tmp_path, monkeypatch, capsys):
    protocol, _, score = blocks("result-format.md", "python")
    run = plan(check({"dataset": "scenes", "models": ["unet"], "train": {"epochs": 1, "optimizer": {"name": "lamb"}}}))[
        0
    ]
    assert isinstance(run, Run)
    record = {"recipe": run.recipe.canonical(), "protocol_id": run.recipe.protocol_id}
    known = RunRecord.model_construct(**record)
    (tmp_path / "run.json").write_text(known.model_dump_json(include={"recipe", "protocol_id"}), encoding="utf-8")
    save_matrices(tmp_path / "confusion.npz", ImageMatrices(("a", "b"), np.array([[[3, 1], [0, 0]], [[0, 0], [2, 2]]])))
    monkeypatch.chdir(tmp_path)
    exec(protocol, {})
    exec(score, {})
    assert float(capsys.readouterr().out) == pytest.approx((3 / 6 + 2 / 5) / 2)
    assert digest(run.recipe.canonical()) == run.recipe.protocol_id


def test_the_pixel_digest_example_recomputes_that_of_a_split(capsys):
    dataset = scenes("test", size=[16, 16], test_images=2)
    samples = [dataset.read(index) for index in range(2)]
    exec(blocks("result-format.md", "python")[1], {"classes": dataset.info.classes, "samples": samples})
    assert capsys.readouterr().out.strip() == check_dataset(dataset).pixel_digest


STORED = (record, outputs, speed_record, manifest)
"""Modules of what is stored as JSON."""


def stored_models():
    """Return every class of what is stored, but for those that are only a base of others."""
    found = {
        kind
        for module in STORED
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == module.__name__
    }
    return sorted((kind for kind in found if kind.model_fields), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", stored_models(), ids=lambda kind: kind.__name__)
def test_every_field_of_what_is_stored_is_explained(kind):
    explained = set(re.findall(r"`(\w+)`", text("result-format.md")))
    assert set(kind.model_fields) - explained == set()


def test_every_key_of_what_was_counted_in_a_split_is_explained():
    some = {"void_images": ("a",), "repeats": (("a", "b"),), "relabelled": (("a", "b"),), "thin_classes": ("a",)}
    report = check_dataset(scenes("test", size=[16, 16], test_images=1))
    full = to_json(replace(report, **some, remarks=(Remark("a", "b"),)), "test")
    page = text("result-format.md")
    section = page[page.index("## data.json") : page.index("## confusion.npz")]
    explained = set(re.findall(r"^\| (`.+?) \|", section, flags=re.MULTILINE))
    assert {key for cell in explained for key in re.findall(r"`(\w+)`", cell)} == {*full, "notes"}


def test_the_tests_that_reliability_names_exist():
    named = re.findall(r"`(\S+\.py)::(\w+)`", text("reliability.md"))
    tests = DOCS.parent / "tests"
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (tests / file).read_text("utf-8")]
    assert len(named) >= 40
    assert missing == []


@pytest.mark.skipif(not (DOCS.parent / "published").is_dir(), reason="the published results are in the repository only")
@pytest.mark.slow(reason="reads the published results and resamples their images")
def test_the_page_on_what_changed_is_what_its_command_writes(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS.parent / "benchmarks"))
    assert text("what-changed.md") == importlib.import_module("what_changed").page()
