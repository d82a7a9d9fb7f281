"""The Dockerfile is pinned, copies what there is, and runs segbench as nobody in particular."""

import json
import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "Dockerfile"
if not FILE.exists():
    pytest.skip("an unpacked package has no Dockerfile", allow_module_level=True)
IGNORED = [line for line in FILE.with_name("Dockerfile.dockerignore").read_text().splitlines() if line[0] != "#"]


def instructions(text):
    """Return word and rest of every instruction, continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


STEPS = instructions(FILE.read_text(encoding="utf-8"))
COPIED = [shlex.split(rest)[:-1] for word, rest in STEPS if word == "COPY" and "--from" not in rest]


def of(word):
    return [rest for found, rest in STEPS if found == word]


def test_the_base_is_one_of_a_whole_version_and_can_be_chosen():
    bases = [*of("ARG")[:1], *re.findall(r"BASE=\S+", FILE.read_text(encoding="utf-8"))]
    assert len(bases) == 3
    assert all(re.fullmatch(r"BASE=[\w./-]+:\d+\.\d+\.\d+-[\w.-]+", base) for base in bases)
    stages = {rest.split()[-1] for rest in of("FROM")[:-1]}
    assert {rest.split()[0] for rest in of("FROM")} <= {"${BASE}", *stages}
    assert "latest" not in FILE.read_text(encoding="utf-8")


def test_what_is_copied_exists_and_is_all_that_the_build_is_given():
    files = [file for files in COPIED for file in files]
    assert all((ROOT / file).exists() for file in files)
    assert [line.removeprefix("!") for line in IGNORED if line.startswith("!")] == sorted(files)
    assert IGNORED[0] == "*"


def test_what_the_build_reads_is_copied():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    read = {
        *wheel["packages"],
        *wheel["force-include"],
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    files = {file for files in COPIED for file in files}
    assert read | {"pyproject.toml", "constraints.txt"} == files


def test_packages_are_those_of_the_constraints():
    (install,) = [rest for rest in of("RUN") if "pip install" in rest]
    assert "-c constraints.txt" in install
    extras = next(rest for rest in of("ARG") if rest.startswith("EXTRAS"))
    assert extras == 'EXTRAS=""'


def test_it_runs_segbench_and_not_as_root():
    last = [word for word, _ in STEPS]
    assert of("USER") == ["10001"]
    assert last.index("USER") > max(place for place, word in enumerate(last) if word == "RUN")
    assert json.loads(of("ENTRYPOINT")[0]) == ["segbench"]
    assert any("useradd --uid 10001" in rest for rest in of("RUN"))
    assert not any(re.search(r"\bsudo\b|chmod (-R )?777\b", rest) for rest in of("RUN"))


def test_every_command_of_a_step_is_one_a_shell_understands():
    for rest in of("RUN"):
        subprocess.run(["sh", "-n", "-c", rest], check=True, capture_output=True)
        assert "curl" not in rest
        assert "://" not in rest


def test_the_base_is_moved_by_dependabot():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert [update["directory"] for update in updates if update["package-ecosystem"] == "docker"] == ["/docker"]


def test_nothing_of_a_persons_own_is_given_to_the_build():
    own = ("results/a/run.json", ".git/config", ".venv/bin/python", "published/results/x", "segbench/__pycache__/a.pyc")
    assert all(ignored(path) for path in own)
    assert not ignored("segbench/cli/app.py")


def ignored(path):
    """Return whether Docker leaves a path out: the last line that matches it or a folder above it decides."""
    parts = Path(path).parts
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    out = False
    for line in IGNORED:
        pattern = line.removeprefix("!").replace("**/", "*/")
        if any(fnmatch(place, pattern) for place in above):
            out = not line.startswith("!")
    return out
