"""The composite action runs the gate in a repository that knows nothing of segbench."""

from __future__ import annotations

import os
import re

import pytest
import yaml
from composite_action import execute
from installed import ROOT, Environment
from repositories import git

ACTION = ROOT / ".github" / "actions" / "speed-gate" / "action.yml"
if not ACTION.exists():
    pytest.skip("an unpacked package has no actions", allow_module_level=True)

NETWORK = """\
import time

from torch import nn


class Net(nn.Module):
    def __init__(self, classes, channels, hidden=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, classes, 1))

    def forward(self, images):
        time.sleep({seconds})
        return self.layers(images)
"""
FAKE = """\
#!/bin/bash
printf '%s\\n' "$@" > called
while [ $# -gt 0 ]; do
  if [ "$1" = --markdown ]; then echo "the verdict" > "$2"; fi
  shift
done
exit {code}
"""
"""Stands in for segbench where only the action's own script is tried."""


@pytest.fixture
def theirs(tmp_path):
    """A stranger's repository of two commits: the second one waits in every forward pass."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for seconds in (0, 0.05):  # many times its work, so that a busy machine changes no verdict
        (folder / "their_network.py").write_text(NETWORK.format(seconds=seconds), encoding="utf-8")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"sleep {seconds}")
    return folder


@pytest.fixture
def act(theirs, tmp_path):
    """Execute the action as on a pull request from the first commit to the second."""

    def call(variables, **inputs):
        given = {"models": "python:their_network.Net", "install": "true", **inputs}
        event = {"event.pull_request.base.sha": git(theirs, "rev-parse", "HEAD~1")}
        named = {name.replace("_", "-"): value for name, value in given.items()}
        return execute(
            ACTION,
            inputs=named,
            github=event,
            cwd=theirs,
            temporary=tmp_path,
            variables={"PATH": os.environ["PATH"], **variables},
        )

    return call


@pytest.fixture
def faked(act, theirs, tmp_path):
    """Execute the action with a segbench that only exits, and return the job and what segbench was called with."""

    def call(code, **inputs):
        (tmp_path / "bin").mkdir(exist_ok=True)
        for name, text in {"segbench": FAKE.format(code=code), "python": "#!/bin/bash\necho python $@\n"}.items():
            program = tmp_path / "bin" / name
            program.write_text(text, encoding="utf-8")
            program.chmod(0o755)
        job = act({"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}, **inputs)
        called = theirs / "called"
        return job, called.read_text(encoding="utf-8").splitlines() if called.exists() else []

    return call


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "passed"), (1, "regressed"), (2, "error"), (4, "not comparable"), (137, "error")]
)
def test_the_verdict_is_the_gates_and_so_is_the_exit_code(code, verdict, faked):
    job, _ = faked(code)
    assert (job.code, job.outputs) == (code, {"verdict": verdict})
    assert job.summary == "the verdict\n"


@pytest.mark.parametrize(("meaning", "code"), [("warn", 0), ("fail", 3)])
def test_a_noisy_runner_is_a_warning_or_a_failure_as_asked(meaning, code, faked):
    job, _ = faked(3, inconclusive=meaning)
    assert (job.code, job.outputs["verdict"]) == (code, "inconclusive")
    assert ("::warning title=speed::inconclusive" in job.log) == (meaning == "warn")


def test_inputs_reach_the_command_word_by_word_and_nothing_in_them_is_executed(faked, theirs):
    job, called = faked(0, models="$(touch evil),unet", options="--set 'x=[1,*]'\n--size 64x64 ; `touch evil`")
    assert job.code == 0
    base = git(theirs, "rev-parse", "HEAD~1")
    assert called[:8] == ["regress", "ab", "--models", "$(touch evil),unet", "--base", base, "--head", "HEAD"]
    assert called[8:15] == ["--set", "'x=[1,*]'", "--size", "64x64", ";", "`touch", "evil`"]
    assert not (theirs / "evil").exists()


def test_networks_may_be_those_of_a_suite(faked):
    _, called = faked(0, models="", suite="my suite.yaml")
    assert called[:4] == ["regress", "ab", "my suite.yaml", "--base"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"base": "0123456789abcdef0123456789abcdef01234567"}, "check out with fetch-depth: 0"),
        ({"head": "--help"}, "there is no revision '--help'"),
        ({"inconclusive": "maybe"}, "'warn' or 'fail', not 'maybe'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(inputs, said, faked):
    job, called = faked(0, **inputs)
    assert (job.code, called) == (2, [])
    assert said in job.log


def test_an_installation_that_fails_ends_the_job(faked):
    job, called = faked(0, install="false\ntrue")
    assert (job.code != 0, called) == (True, [])


def test_segbench_is_installed_from_the_revision_of_the_action_unless_another_is_given(faked):
    assert f"python -m pip install -q {ACTION.parent}/../../..\n" in faked(0)[0].log
    assert "python -m pip install -q segbench==1.0\n" in faked(0, segbench="segbench==1.0")[0].log
    assert (ACTION.parent / "../../.." / "pyproject.toml").is_file()


def test_every_input_is_explained_and_used_and_the_page_shows_no_other():
    document = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    text = ACTION.read_text(encoding="utf-8")
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(document["inputs"])
    assert all(one["description"] for one in (*document["inputs"].values(), *document["outputs"].values()))
    page = (ROOT / "docs" / "regression-gate.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `([\w-]+)` \|", page.partition("## In GitHub Actions")[2], flags=re.MULTILINE))
    assert explained == set(document["inputs"])


@pytest.mark.slow(
    reason="installs segbench into an environment of its own, and measures two revisions in fresh processes"
)
def test_a_slower_network_of_a_stranger_fails_and_an_unchanged_one_does_not(act, theirs, tmp_path):
    pytest.importorskip("hatchling", reason="the extra 'test' has it")
    environment = Environment(tmp_path / "environment")
    no_index = {**environment.variables(), "PIP_NO_BUILD_ISOLATION": "0"}  # which pip reads as "no isolation"
    brief = "--size 64x64 --classes 4 --rounds 6 --restarts-limit"
    job = act(no_index, options=f"{brief} 4")
    assert (job.code, job.outputs["verdict"]) == (1, "regressed"), job.log
    assert "❌ regressed" in job.summary
    job = act(no_index, options=f"{brief} 2", base="HEAD", segbench=f"segbench=={_version(environment, theirs)}")
    assert (job.code, job.outputs["verdict"]) in [(0, "passed"), (0, "inconclusive")], job.log
    assert git(theirs, "status", "--porcelain") == ""
    assert len(git(theirs, "worktree", "list").splitlines()) == 1


def _version(environment, folder):
    code = "import importlib.metadata as m; print(m.version('segbench'))"
    return environment.run("python", "-c", code, cwd=folder).stdout.strip()
