"""Git repositories that tests make."""

from __future__ import annotations

import subprocess


def git(folder, *arguments):
    """Run git in a folder as somebody; return what it printed."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
