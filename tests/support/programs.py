"""Programs that claims about a fresh interpreter are made of."""

from __future__ import annotations

import json
import subprocess
import sys

_SHOW_MODULES = "\nimport json, sys\nprint()\nprint(json.dumps(sorted(sys.modules)))\n"


def modules_after(program: str) -> set[str]:
    """Run a program in an interpreter of its own, and return the modules that are imported when it ends.

    What the program asserts has to hold there.
    """
    command = [sys.executable, "-c", program + _SHOW_MODULES]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
