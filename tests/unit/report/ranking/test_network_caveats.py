"""What a report says of networks from elsewhere."""

import pytest
from stored import write_run

from segbench.report.ranking.caveats import caveats
from segbench.report.runs.load import load_results
from segbench.results.outputs import OutputFacts

RECIPE = {"dataset": {"name": "scenes"}, "train": {"epochs": 2, "select": "last", "auxiliary": 0.4}}


@pytest.fixture
def notes(tmp_path):
    def told(**rows):
        for label, facts in rows.items():
            write_run(tmp_path, label, **facts)
        return [note.partition(": ")[2] for note in caveats(load_results(tmp_path))]

    return told


def outputs(**facts):
    tensor = "a tensor (2, 3, 64, 96)"
    return OutputFacts(images=(2, 3, 64, 96), evaluation=tensor, training=tensor, **facts)


def test_rows_that_were_trained_on_auxiliary_outputs_are_named_with_weights(notes):
    fcn = outputs(logits="out", auxiliary=("aux",), auxiliary_weights={"aux": 0.4})
    (note,) = notes(fcn={"recipe": RECIPE, "outputs": fcn}, unet={"recipe": RECIPE})
    assert "were added in training: fcn (aux 0.4); the other rows have none, or none with a weight." in note


def test_weights_that_no_row_has_outputs_for_are_told(notes):
    assert notes(unet={"recipe": RECIPE}) == ["no network has auxiliary outputs that train.auxiliary could weigh."]


def test_auxiliary_outputs_that_are_not_trained_on_are_told(notes):
    (note,) = notes(fcn={"outputs": outputs(logits="out", auxiliary=("aux",))})
    assert note.startswith("fcn has auxiliary outputs (aux), which are not trained;")


def test_probabilities_are_told_with_the_row(notes):
    soft = outputs(activations={"training": "softmax", "evaluation": "softmax"})
    (note,) = notes(soft={"outputs": soft}, unet={})
    assert note.startswith("soft returns probabilities, as after a softmax")


def test_padded_rows_are_named_with_their_multiple(notes):
    (note,) = notes(padded={"options": {"width": 1.0, "pad_to": 32}}, unet={})
    assert "padded (32); its multiply-adds, memory and times are those of the padded images" in note


def test_rows_of_earlier_versions_and_plain_scores_need_no_word(notes):
    assert notes(old={}, plain={"outputs": outputs()}) == []
