"""Claims about stored suites: they hold neither the content of variables nor the folders of the machine."""

from __future__ import annotations

import yaml

from segbench.config import load_suite


def test_a_stored_suite_spells_variables_and_paths_as_its_file_does(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_SECRET", "token-4711")
    (tmp_path / "data").mkdir()
    file = tmp_path / "s.yaml"
    file.write_text(
        "dataset: {name: folder, root: data, classes: [a, b]}\n"
        "models: [{name: unet, label: 'U-Net ${SEGBENCH_SECRET}'}]\n"
        "train: {epochs: 1}\ndescription: of ${SEGBENCH_SECRET} alone\n"
    )
    suite = load_suite(file)
    assert suite.models[0].label == "U-Net token-4711"
    assert suite.dataset.options["root"] == str(tmp_path / "data")
    stored = yaml.safe_dump(suite.document())
    assert "token-4711" not in stored
    assert str(tmp_path) not in stored
    assert suite.document()["dataset"]["root"] == "data"
    assert suite.document()["description"] == "of ${SEGBENCH_SECRET} alone"
