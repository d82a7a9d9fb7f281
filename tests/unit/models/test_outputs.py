"""Logits and auxiliary outputs in whatever a network returns."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from segbench.errors import ModelRefusal
from segbench.models.outputs import find_auxiliary, find_logits, in_words

SCORES = torch.rand(2, 5, 8, 12)
OTHER = torch.rand(2, 5, 4, 6)
FEATURES = torch.rand(2, 64, 4, 6)
Pair = namedtuple("Pair", ["masks", "edges"])
Named = namedtuple("Named", ["loss", "logits", "aux_logits"])


@dataclass
class SegmenterOutput:
    """As transformers returns it: no mapping here, and fields that are None."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class ModelOutput(OrderedDict):
    """As transformers' base class: a mapping whose keys are attributes too."""

    def __getattr__(self, name):
        return self[name]


class Slotted:
    __slots__ = ("logits",)

    def __init__(self, logits):
        self.logits = logits


def found(returned, **options):
    return find_logits(returned, classes=5, name="theirs", **options)


def kind(value):
    """Return an id of a case that is the same in every process: tensors are random."""
    if isinstance(value, str | int):
        return str(value)
    return type(value).__name__


def auxiliary(returned, **options):
    return dict(find_auxiliary(returned, classes=5, name="theirs", **options))


@pytest.mark.parametrize(
    ("returned", "path"),
    [
        (SCORES, ""),
        ({"out": SCORES}, "out"),
        ({"logits": SCORES, "loss": None}, "logits"),
        ({"aux": OTHER, "logits": OTHER, "out": SCORES}, "out"),
        (OrderedDict(aux=OTHER, out=SCORES), "out"),
        ([SCORES, OTHER], "0"),
        ((SCORES,), "0"),
        ((SCORES, (FEATURES, FEATURES)), "0"),
        (Pair(SCORES, OTHER), "masks"),
        (Named(None, SCORES, OTHER), "logits"),
        (SegmenterOutput(logits=SCORES, hidden_states=(FEATURES,)), "logits"),
        (ModelOutput(logits=SCORES, hidden_states=(FEATURES,)), "logits"),
        (SimpleNamespace(logits=SCORES), "logits"),
        (Slotted(SCORES), "logits"),
        (SCORES.half(), ""),
        (SCORES.bfloat16(), ""),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value or "itself",
)
def test_logits_are_found_in_what_networks_return(returned, path):
    assert found(returned).path == path
    assert torch.equal(found(returned).value.float(), SCORES if path else returned.float())


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        ({"pred": SCORES}, "pred"),
        ([OTHER, SCORES], 1),
        ([OTHER, OTHER, SCORES], -1),
        ((OTHER, SCORES), "-1"),
        (Pair(OTHER, SCORES), "edges"),
        (Pair(OTHER, SCORES), 1),
        ({"out": [OTHER, SCORES]}, "out.1"),
        ({"decoder": {"scores.full": SCORES}}, "decoder.scores.full"),
        ([[OTHER, SCORES]], "0.1"),
        (SimpleNamespace(logits=OTHER, semantic=SCORES), "semantic"),
        (SegmenterOutput(hidden_states=(FEATURES, SCORES)), "hidden_states.-1"),
        (SCORES, "anything"),  # in one of the two modes a network may return a tensor
    ],
    ids=kind,
)
def test_output_names_where_the_logits_are(returned, output):
    assert found(returned, output=output).value is SCORES


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (torch.zeros(2, 8, 12, 5), r"the classes come last.*return it\.permute\(0, 3, 1, 2\)"),
        (torch.zeros(2, 21, 8, 12), "scores of 21 classes, and the data set has 5"),
        (torch.zeros(2, 8, 12, dtype=torch.int64), r"an int64 tensor \(2, 8, 12\): int64 numbers are no scores, but"),
        (torch.zeros(2, 5, 8, 12, dtype=torch.uint8), "uint8 numbers are no scores"),
        (torch.zeros(2, 5, 8, 12) > 0, "bool numbers are no scores"),
        (torch.zeros(2, 8, 12), "one number a pixel is no score of each class"),
        (torch.zeros(2, 5), r"a tensor \(2, 5\): logits \(N, 5, height, width\) are expected"),
        (None, "returns a NoneType; its logits belong in 'out' or 'logits', and it holds no logits"),
        ({}, "returns a dict of nothing"),
        ([], "returns a list of nothing"),
        ({"pred": SCORES}, r"a dict of pred: \(2, 5, 8, 12\); .*write 'output: pred' in the model's entry"),
        ({"out": [SCORES, OTHER]}, r"'out' is no tensor: write 'output: out.0' \(or out.1\)"),
        ([[OTHER, SCORES], FEATURES], r"a list of 0: \(a list of .*'0' is no tensor: write 'output: 0.0'"),
        ((None, SCORES), r"'0' is no tensor: write 'output: 1'"),
        (SegmenterOutput(hidden_states=(SCORES,)), "write 'output: hidden_states.0'"),
        ({"out": torch.zeros(2, 7, 8, 8), "x": 1}, "of which the logits would be 'out': scores of 7 classes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_no_logits_is_refused_with_what_was_returned_and_what_to_write(returned, problem):
    with pytest.raises(ModelRefusal, match=problem):
        found(returned)


def test_one_score_for_two_classes_is_refused_as_one():
    with pytest.raises(ModelRefusal, match=r"one score for two classes, as a sigmoid takes it.*2 output channels"):
        find_logits(torch.zeros(2, 1, 8, 8), classes=2, name="theirs")


@pytest.mark.parametrize("output", ["pred", 3, -4, "out.0", "0.1"])
def test_an_output_that_is_not_there_is_refused_with_what_there_is(output):
    with pytest.raises(ModelRefusal, match=rf"a list of 0: .*there is no 'output: {output}' in it"):
        found([SCORES, OTHER, FEATURES], output=output)


@pytest.mark.parametrize(
    ("returned", "options", "paths"),
    [
        (SCORES, {}, []),
        ({"out": SCORES, "features": OTHER}, {}, []),
        ({"out": SCORES, "aux": OTHER}, {}, ["aux"]),
        ({"out": SCORES, "aux": None}, {}, []),
        ({"logits": SCORES, "aux_1": OTHER, "AuxLogits": OTHER}, {}, ["aux_1", "AuxLogits"]),
        ({"out": SCORES, "aux": [OTHER, OTHER]}, {}, ["aux.0", "aux.1"]),
        ({"out": SCORES, "edge": OTHER}, {"also": ["edge"]}, ["edge"]),
        ([SCORES, OTHER, OTHER], {}, ["1", "2"]),
        ([OTHER, OTHER, SCORES], {"output": -1}, ["0", "1"]),
        ((SCORES, OTHER, FEATURES, torch.zeros(2, 5)), {}, ["1"]),
        ((SCORES, (OTHER, OTHER)), {}, []),
        (Pair(SCORES, OTHER), {}, ["edges"]),
        (Named(None, SCORES, OTHER), {}, ["aux_logits"]),
        ({"out": [SCORES, OTHER], "aux": OTHER}, {"output": "out.0"}, ["out.1", "aux"]),
    ],
    ids=kind,
)
def test_auxiliary_outputs_are_found_beside_the_logits(returned, options, paths):
    assert list(auxiliary(returned, **options)) == paths
    assert all(value is OTHER for value in auxiliary(returned, **options).values())


def test_an_auxiliary_output_of_other_classes_is_refused():
    with pytest.raises(ModelRefusal, match="as its auxiliary output 'aux': scores of 64 classes, and"):
        auxiliary({"out": SCORES, "aux": FEATURES})


def test_what_is_returned_is_put_in_words():
    assert in_words({"out": SCORES, "aux": None, "ids": torch.zeros(3).long()}) == (
        "a dict of out: (2, 5, 8, 12), ids: an int64 tensor (3,)"
    )
