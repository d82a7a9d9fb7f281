"""How runs that failed are told of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.run.execute import explain


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "out of memory on cpu with batches of 4 images: MemoryError"),
        (MemoryError("no 3 GiB"), "out of memory on cpu with batches of 4 images: no 3 GiB"),
        (KeyError("a"), "KeyError: 'a'"),
    ],
)
def test_an_error_is_told_in_one_sentence_that_ends_with_a_reason(error, told):
    execution = SimpleNamespace(run=plan(check(document()))[0], device="cpu")
    assert explain(error, execution) == told
