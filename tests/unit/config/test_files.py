"""Files count by what is in them, and are found without importing anything."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from segbench.config import files
from segbench.config.files import FileState, content_digest, encoder_weights, module_source


def test_digests_are_those_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert content_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_digest(str(tmp_path / "nothing")) is None
    assert content_digest(tmp_path) is None


def test_a_change_of_equal_size_right_after_reading_is_seen(tmp_path):
    file = tmp_path / "a"
    for content in (b"first", b"other") * 20:
        file.write_bytes(content)
        assert content_digest(file) == hashlib.sha256(content).hexdigest()


def test_a_settled_file_is_read_once(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    now, reads = time.time_ns(), []
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**10)
    read = files.read_digest
    monkeypatch.setattr(files, "read_digest", lambda path: (reads.append(path), read(path))[1])
    assert content_digest(file) == content_digest(file)
    assert len(reads) == 1
    os.utime(file, ns=(now - 10**9, now - 10**9))
    assert content_digest(file)
    assert len(reads) == 2, "other times may mean another content"


def test_a_file_put_in_the_place_of_another_with_its_times_has_another_state(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"first")
    before = FileState.of(file)
    time.sleep(0.02)
    file.write_bytes(b"other")
    os.utime(file, ns=(before.modified_ns, before.modified_ns))
    after = FileState.of(file)
    assert (after.size, after.modified_ns) == (before.size, before.modified_ns)
    assert after != before


def test_supplied_weights_are_found_by_timms_name(tmp_path, monkeypatch):
    monkeypatch.delenv("SEGBENCH_WEIGHTS", raising=False)
    assert encoder_weights("resnet18") is None
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    assert encoder_weights("resnet18") is None
    (tmp_path / "resnet18.safetensors").touch()
    assert encoder_weights("resnet18") == tmp_path / "resnet18.safetensors"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Modules that must not be imported: in a package, in folders without ``__init__.py``, and alone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for path in ("packed/__init__.py", "packed/sub/__init__.py", "packed/sub/net.py", "bare/sub/net.py", "alone.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("raise ImportError('must not be imported')")
    return tmp_path


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("packed", "packed/__init__.py"),
        ("packed.sub", "packed/sub/__init__.py"),
        ("packed.sub.net", "packed/sub/net.py"),
        ("bare.sub.net", "bare/sub/net.py"),
        ("alone", "alone.py"),
    ],
)
def test_sources_are_found_without_importing(tree, module, path):
    assert module_source(module) == tree / path
    assert module.partition(".")[0] not in sys.modules


@pytest.mark.parametrize(
    "module", ["", "sys", "__main__", "packed.no", "no.net", "alone.net", "bare", "bare.sub", "a..b"]
)
def test_what_has_no_source_has_none(tree, module):
    assert module_source(module) is None


@pytest.mark.parametrize("module", [json.decoder, np.linalg, np])
def test_sources_are_those_that_an_import_would_take(module):
    assert module_source(module.__name__) == Path(module.__file__)
