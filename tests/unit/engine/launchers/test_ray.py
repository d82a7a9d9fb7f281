"""Claims about the command's side of a Ray cluster that hold without one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from segbench.engine.launchers.ray import _joined
from segbench.engine.stopping import Stop
from segbench.errors import UsageError


@pytest.fixture
def install_ray(monkeypatch):
    """Return a function that puts a module in Ray's place, with the ``init`` that is given."""

    def install(init):
        monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=init))

    return install


def exit_at_sigterm(**_):
    """Do what Ray's ``init`` does to the process that calls it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))


def refuse(**options):
    exit_at_sigterm()
    raise ConnectionError("nobody is there")


def test_sigterm_is_the_word_to_stop_after_joining_a_cluster_too(install_ray):
    install_ray(exit_at_sigterm)
    stop = Stop()
    with stop.on_signals():
        _joined(None)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.terminated


def test_sigterm_is_the_word_to_stop_when_no_cluster_answers(install_ray):
    install_ray(refuse)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UsageError, match="no Ray cluster answers there: nobody is there"):
        _joined("auto")
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_can_join_a_cluster(install_ray):
    install_ray(exit_at_sigterm)
    before, joined = signal.getsignal(signal.SIGTERM), []
    thread = threading.Thread(target=lambda: joined.append(_joined(None)))
    thread.start()
    thread.join()
    assert joined == [sys.modules["ray"]]
    assert signal.getsignal(signal.SIGTERM) is before
