"""Claims about stored suites: they hold no content of variables and no folder of the machine, and run again."""

from __future__ import annotations

import json

import pytest
import yaml

from segbench.config import load_suite
from segbench.engine.suite.housekeeping import write_plan
from segbench.engine.suite.planning import planned
from segbench.results.store import Store

SUITE = """
name: photos
dataset: {name: folder, root: ROOT, images: 'images-${SEGBENCH_SECRET}', classes: [a, b]}
models: [{name: unet, norm: '${SEGBENCH_NORM}'}]
train: {epochs: 1}
description: of ${SEGBENCH_SECRET} alone, photos${SEGBENCH_EMPTY}
"""


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Return a function that stores a suite with a root, and returns both the suite and its store."""
    monkeypatch.setenv("SEGBENCH_SECRET", "token-4711")
    monkeypatch.setenv("SEGBENCH_EMPTY", "")
    monkeypatch.setenv("SEGBENCH_NORM", "batch")
    monkeypatch.chdir(tmp_path)

    def store(root):
        place = tmp_path / "photos"
        for folder in (place / "data", tmp_path / "beside"):
            folder.mkdir(parents=True, exist_ok=True)
        (place / "suite.yaml").write_text(SUITE.replace("ROOT", root))
        suite, store = load_suite("photos/suite.yaml"), Store(tmp_path / "results", "photos")
        write_plan(suite, planned(suite, store).runs, store)
        return suite, store

    return store


@pytest.mark.parametrize("root", [".", "data", "../beside"])
def test_a_stored_suite_names_neither_secrets_nor_folders_and_finds_its_data(stored, tmp_path, root):
    suite, store = stored(root)
    texts = [(store.folder / name).read_text() for name in ("suite.yaml", "suite.lock.json")]
    assert not any("token-4711" in text or str(tmp_path) in text for text in texts)
    written = yaml.safe_load(texts[0])
    assert written["name"] == "photos", "only what stood under the same key is respelled"
    assert written["description"] == "of ${SEGBENCH_SECRET} alone, photos${SEGBENCH_EMPTY}"
    assert json.loads(texts[1])["runs"][0]["model"]["norm"] == "${SEGBENCH_NORM}"
    again = load_suite(store.folder / "suite.yaml")
    place = (tmp_path / "photos" / root).resolve()
    assert (tmp_path / again.dataset.options["root"]).resolve() == place
    assert again.dataset.options["images"] == suite.dataset.options["images"] == "images-token-4711"
    assert [run.identity for run in planned(again, store).runs] == [run.identity for run in planned(suite, store).runs]
