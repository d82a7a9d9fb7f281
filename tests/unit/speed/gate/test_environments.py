"""What a name given for base or head means: a revision, an environment, or a mistake."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from repositories import git

from segbench.errors import UsageError
from segbench.speed.gate.environments import Environment, resolve, resolve_both


@pytest.fixture
def repository(tmp_path):
    """Return a repository of two commits, the first of which is tagged ``old``."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number, tag in ((1, "old"), (2, "new")):
        (folder / "nets.py").write_text(f"NUMBER = {number}\n", encoding="utf-8")
        git(folder, "add", "nets.py")
        git(folder, "commit", "--quiet", "-m", tag)
        git(folder, "tag", tag)
    return folder


def worktrees(repository):
    return git(repository, "worktree", "list").splitlines()


def test_a_revision_is_checked_out_and_searched_first(repository):
    with resolve("old", repository=repository) as found:
        assert (found.paths[0] / "nets.py").read_text(encoding="utf-8") == "NUMBER = 1\n"
        assert found.commit == git(repository, "rev-parse", "old")
        assert (found.name, found.folder, found.hidden) == ("old", found.paths[0], repository.resolve())
        assert found.python == Path(sys.executable)
        assert len(worktrees(repository)) == 2
    assert not found.paths[0].exists()
    assert len(worktrees(repository)) == 1


def test_the_working_copy_stays_as_it_is(repository):
    (repository / "nets.py").write_text("NUMBER = 3\n", encoding="utf-8")
    with resolve("HEAD~1", repository=repository):
        assert git(repository, "status", "--short") == "M nets.py"
    assert (repository / "nets.py").read_text(encoding="utf-8") == "NUMBER = 3\n"


def test_a_checkout_is_removed_after_an_error(repository):
    with pytest.raises(RuntimeError, match="in the block"), resolve("old", repository=repository) as found:
        raise RuntimeError("in the block")
    assert not found.paths[0].exists()
    assert len(worktrees(repository)) == 1


def test_the_sources_of_a_repository_with_a_src_folder_are_searched(repository):
    (repository / "src").mkdir()
    (repository / "src" / "more.py").write_text("", encoding="utf-8")
    git(repository, "add", "src")
    git(repository, "commit", "--quiet", "-m", "src")
    with resolve("HEAD", repository=repository / "src") as found:
        assert found.paths == (found.folder, found.folder / "src")


def test_one_revision_can_be_both_sides_under_paths_of_one_length(repository):
    with resolve_both("new", "HEAD", repository=repository) as (base, head):
        assert base.commit == head.commit
        assert base.folder != head.folder
        assert len(str(base.folder)) == len(str(head.folder))
    assert len(worktrees(repository)) == 1


def test_hooks_of_the_repository_are_not_run(repository):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {repository}/ran\n", encoding="utf-8")
    hook.chmod(0o755)
    with resolve("old", repository=repository):
        pass
    assert not (repository / "ran").exists()


def test_an_interpreter_is_taken_as_it_is(tmp_path):
    with resolve(sys.executable, repository=tmp_path) as found:
        assert found == Environment(sys.executable, python=Path(sys.executable))


def test_a_virtual_environment_is_known_by_its_interpreter(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    with resolve(str(tmp_path / "venv"), repository=tmp_path) as found:
        assert found.python == python  # not what it links to: that is another environment
        assert (found.commit, found.paths) == (None, ())


def test_an_unknown_revision_is_named_with_what_to_do(repository):
    with pytest.raises(UsageError, match=r"'v9' is no revision .* no virtual environment; .*fetch-depth: 0"):
        resolve("v9", repository=repository).__enter__()


@pytest.mark.parametrize("text", ["--help", "-q", "", "old; touch x", "HEAD:nets.py"])
def test_what_looks_like_an_option_or_a_file_is_no_revision(repository, text):
    with pytest.raises(UsageError, match="is no revision"), resolve(text, repository=repository):
        pass


def test_outside_a_repository_revisions_mean_nothing(tmp_path):
    with pytest.raises(UsageError, match="is in no git repository"), resolve("main", repository=tmp_path):
        pass


def test_a_name_that_could_be_either_is_refused(repository, monkeypatch):
    python = repository / "old" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.chdir(repository)
    with pytest.raises(UsageError, match=r"write the folder as '\./old'"), resolve("old", repository=repository):
        pass
    with resolve("./old", repository=repository) as found:
        assert found.python == python


def test_a_title_has_the_short_commit_once():
    commit = "0123456789abcdef0123"
    assert Environment("main", commit=commit).title == "main (0123456789)"
    assert Environment(commit, commit=commit).title == commit
    assert Environment("venv").title == "venv"
