"""Programs that claims about a fresh interpreter are made of."""

from __future__ import annotations

import subprocess
import sys


def succeed(program: str) -> None:
    """Run a program in an interpreter of its own; what it asserts has to hold there."""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
