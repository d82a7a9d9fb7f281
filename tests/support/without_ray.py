"""What a machine of a Ray cluster does with a run, where no cluster is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from segbench.engine.events import Event
from segbench.engine.launchers.ray_worker import RayResult, RayTask, execute_task


def done_here(order: RayTask, monkeypatch: pytest.MonkeyPatch, observer: Callable[[Event], None]) -> RayResult:
    """Do a run as a machine of the cluster would; return what it sends back."""
    context = SimpleNamespace(get_node_id=lambda: "node")
    ray = SimpleNamespace(get_runtime_context=lambda: context, get=lambda reference: reference)
    monkeypatch.setitem(sys.modules, "ray", ray)
    mailbox = SimpleNamespace(put=SimpleNamespace(remote=observer), all_is_in=SimpleNamespace(remote=lambda: None))
    return execute_task(order, mailbox)
