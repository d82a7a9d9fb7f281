"""Resolves the environments to measure: a git revision (checked out temporarily) or an installed environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import UsageError

_INTERPRETERS = ("bin/python", "Scripts/python.exe")
_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
_CHECKOUT = "tree"
_GIT_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Environment:
    """The environment of a worker process.

    Attributes:
        name: The name that the user gave.
        python: The interpreter.
        paths: Folders that are searched first for modules.
        folder: The worker's working directory; None for that of this process.
        hidden: A working copy whose modules must not be imported, because a revision replaces it.
        commit: The full hash of the revision; None for an installed environment.
    """

    name: str
    python: Path = Path(sys.executable)
    paths: tuple[Path, ...] = ()
    folder: Path | None = None
    hidden: Path | None = None
    commit: str | None = None

    @property
    def title(self) -> str:
        """The name, with the short commit hash if it differs."""
        short = (self.commit or "")[:10]
        return self.name if not short or self.name.startswith(short) else f"{self.name} ({short})"


@contextmanager
def resolve(text: str, *, repository: Path) -> Iterator[Environment]:
    """Yield the environment of a name; temporary files are removed at the end of the block.

    Args:
        text: A git revision of the repository, a Python interpreter, or the folder of a virtual environment.
        repository: A folder in the repository that the revision belongs to.

    Yields:
        The environment. A revision is checked out into a temporary folder that is always removed at the end. Its root,
        and its ``src`` folder if it has one, are searched first for modules.

    Raises:
        UsageError: The name is none of these or ambiguous, or git cannot check it out.
    """
    interpreter = _interpreter(Path(text))
    root, commit = _commit(text, repository)
    if interpreter is not None and commit is not None:
        raise UsageError(f"{text!r} is a revision and an installed environment; write the folder as './{text}'")
    if interpreter is not None:
        yield Environment(text, python=interpreter)
        return
    if root is None or commit is None:
        raise UsageError(_unknown(text, repository, in_repository=root is not None))
    with _checked_out(root, commit) as tree:
        source = tree / "src"
        paths = (tree, source) if source.is_dir() else (tree,)
        yield Environment(text, paths=paths, folder=tree, hidden=root, commit=commit)


@contextmanager
def resolve_both(base: str, head: str, *, repository: Path) -> Iterator[tuple[Environment, Environment]]:
    """Yield the environments of base and head; see ``resolve``."""
    with ExitStack() as stack:
        first = stack.enter_context(resolve(base, repository=repository))
        yield first, stack.enter_context(resolve(head, repository=repository))


def _interpreter(path: Path) -> Path | None:
    """Return the interpreter at a path; links are not resolved, since they identify a virtual environment."""
    if path.is_file() and os.access(path, os.X_OK):
        return path.absolute()
    candidates = [path / name for name in _INTERPRETERS]
    return next((candidate.absolute() for candidate in candidates if candidate.is_file()), None)


def _commit(text: str, repository: Path) -> tuple[Path | None, str | None]:
    """Return the repository's root and the full hash of a revision; None for either if it does not exist."""
    top = _git(repository, "rev-parse", "--show-toplevel")
    if top.returncode != 0:
        return None, None
    root = Path(top.stdout.strip()).resolve()
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    return root, found.stdout.strip() if found.returncode == 0 else None


@contextmanager
def _checked_out(root: Path, commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder; its path has the same length for every commit.

    The length matters: the size of a process's environment variables shifts its memory layout, which changes its speed.
    """
    with tempfile.TemporaryDirectory(prefix="segbench-") as folder:
        tree = Path(folder).resolve() / _CHECKOUT
        added = _git(root, *_NO_HOOKS, "worktree", "add", "--detach", str(tree), commit)
        try:
            if added.returncode != 0:
                raise UsageError(f"git cannot check out {commit[:10]}: {added.stderr.strip()}")
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", "--force", str(tree))
    _git(root, "worktree", "prune")  # in case git did not remove the folder


def _unknown(text: str, repository: Path, *, in_repository: bool) -> str:
    if not in_repository:
        return (
            f"{text!r} is no Python interpreter and no virtual environment, and {repository} is in no git repository "
            "whose revision it could be; start in the repository, or give the path of an environment"
        )
    return (
        f"{text!r} is no revision of this repository, no Python interpreter and no virtual environment; "
        "a shallow clone lacks older revisions: fetch them with 'git fetch --unshallow' (fetch-depth: 0)"
    )


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - no shell, and what is given stands after --end-of-options
            command, cwd=folder, capture_output=True, text=True, timeout=_GIT_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
