"""Executes the shell steps of a composite action as GitHub's runner does; steps that use other actions are left out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Job:
    """What the steps of an action did.

    Attributes:
        code: The exit code of the last step that was executed.
        log: What they wrote to standard output and error.
        outputs: The action's outputs.
        summary: The job's summary.
    """

    code: int = 0
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""


def execute(
    action: Path,
    *,
    inputs: Mapping[str, str],
    github: Mapping[str, str],
    cwd: Path,
    temporary: Path,
    variables: Mapping[str, str],
) -> Job:
    """Execute an action.

    Args:
        action: The file ``action.yml``.
        inputs: What the workflow gives; the others have their defaults.
        github: Values of the context ``github`` by their dotted names; what is missing is empty.
        cwd: The repository that was checked out.
        temporary: The folder ``runner.temp``.
        variables: The environment of the steps.

    Raises:
        ValueError: An input does not exist, or a required one is missing.
    """
    document = yaml.safe_load(action.read_text(encoding="utf-8"))
    context = {f"github.{name}": value for name, value in github.items()}
    context |= {"github.action_path": str(action.parent), "runner.temp": str(temporary)}
    context |= {f"inputs.{name}": value for name, value in _inputs(document, inputs, context).items()}
    job, summary = Job(), temporary / "summary.md"
    summary.touch()
    for number, step in enumerate(document["runs"]["steps"]):
        if "run" not in step or job.code:
            continue
        outputs = temporary / f"output-{number}"
        outputs.touch()
        own = {name: _filled(value, context) for name, value in step.get("env", {}).items()}
        files = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary)}
        _shell(step, job, cwd=cwd, variables={**variables, **files, **own}, context=context)
        for line in outputs.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            context[f"steps.{step['id']}.outputs.{name}"] = value
    job.outputs = {name: _filled(output["value"], context) for name, output in document.get("outputs", {}).items()}
    job.summary = summary.read_text(encoding="utf-8")
    return job


def _inputs(document: Mapping[str, Any], given: Mapping[str, str], context: Mapping[str, str]) -> dict[str, str]:
    declared = document["inputs"]
    if unknown := set(given) - set(declared):
        raise ValueError(f"there is no input {sorted(unknown)}")
    if missing := {name for name, one in declared.items() if one.get("required") and name not in given}:
        raise ValueError(f"required inputs are missing: {sorted(missing)}")
    defaults = {name: _filled(str(one.get("default", "")), context) for name, one in declared.items()}
    return {**defaults, **given}


def _filled(text: str, context: Mapping[str, str]) -> str:
    """Replace expressions: names of the context, and ``||`` between them."""

    def value(found: re.Match[str]) -> str:
        return next(filter(None, (context.get(name.strip(), "") for name in found[1].split("||"))), "")

    return _EXPRESSION.sub(value, str(text))


def _shell(
    step: Mapping[str, Any], job: Job, *, cwd: Path, variables: Mapping[str, str], context: Mapping[str, str]
) -> None:
    assert step["shell"] == "bash", "a composite action names the shell of every step"
    script = Path(variables["GITHUB_OUTPUT"] + ".sh")
    script.write_text(_filled(step["run"], context), encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        cwd=cwd,
        env={**variables, "GITHUB_ACTIONS": "true", "CI": "true", "PWD": os.fspath(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    job.code = done.returncode
    job.log += done.stdout + done.stderr
