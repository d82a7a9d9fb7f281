"""The documents as a site: the reference is complete, and nothing is fetched from elsewhere."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml

from segbench.cli.app import app
from segbench.config.suite import Suite
from segbench.registry import CATALOGS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def commands(command, path="segbench"):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def test_every_command_with_every_option_is_in_the_reference(pages):
    sections = dict(re.findall(r"^## (segbench .*)\n((?:(?!## ).*\n)*)", pages["reference/commands.md"], re.MULTILINE))
    known = {path: command for path, command in commands(typer.main.get_command(app)) if path != "segbench"}
    assert sections.keys() == known.keys()
    for path, command in known.items():
        options = [name for one in command.params for name in one.opts if name.startswith("--") and name != "--help"]
        assert all(f"`{name}`" in sections[path] for name in options), path


def test_every_key_of_a_suite_and_every_part_is_in_the_reference(pages):
    assert all(f"\n| `{key}` |" in pages["reference/suite.md"] for key in Suite.model_fields)
    for kind, catalogue in CATALOGS.items():
        for name in catalogue.entries():
            assert f"\n### {kind}: {name}" in pages["reference/parts.md"]


def test_no_row_of_a_table_has_another_number_of_cells(pages):
    for text in pages.values():
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            rows = table.splitlines()
            assert len({len(re.split(r"(?<!\\)\|", row)) for row in rows}) == 1, rows[0]


def test_every_document_is_in_the_navigation():
    def files(entry):
        if isinstance(entry, str):
            yield entry
        else:
            for part in entry.values() if isinstance(entry, dict) else entry:
                yield from files(part)

    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(files(yaml.safe_load(text)["nav"]))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= listed


@pytest.mark.slow(reason="builds the whole site")
def test_the_site_is_built_strictly_and_its_pages_fetch_nothing(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fetched = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//|<link[^>]*href=["']?https?://"""
    )
    found = [page.name for page in tmp_path.rglob("*.html") if fetched.search(page.read_text(encoding="utf-8"))]
    assert len(list(tmp_path.rglob("*.html"))) > 20
    assert found == []


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone")
@pytest.mark.parametrize("path", ["results/quickstart/run/run.json", "reports/quickstart/index.html", "build/site"])
def test_what_a_person_makes_is_ignored_and_lies_where_nothing_is_published(path):
    assert git("check-ignore", path)[0] == 0
    assert git("ls-files", path.partition("/")[0]) == (0, "")


def test_the_citation_and_the_newest_changes_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", changes, flags=re.MULTILINE)[0] == project["version"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone")
def test_pictures_are_published_of_generated_data_alone():
    generated = ("quickstart", "quickstart-seeds", "tuned")
    files = git("ls-files", "published")[1].splitlines()
    pictures = [file for file in files if {"gallery", "samples"} & set(file.split("/")) or "figures/pictures-" in file]
    assert pictures
    assert {file.split("/")[2] for file in pictures} == set(generated)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone")
@pytest.mark.parametrize(
    "report", ["camvid-cpu", "camvid-gpu", "camvid-challenges", "data-efficiency", "ablation", "nuclei"]
)
def test_pages_of_others_data_show_no_pictures(report):
    page = (ROOT / "published" / "reports" / report / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"data:image/(?:png|jpeg)", page)
