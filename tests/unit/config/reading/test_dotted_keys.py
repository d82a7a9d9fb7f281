"""Dotted keys lead to one place, and changing it leaves everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.config.reading.dotted_keys import Named, matching, set_key, with_keys
from segbench.errors import SuiteError

DOCUMENT = {
    "train": {"optimizer": "sgd", "epochs": 3},
    "models": ["unet", {"name": "fcn", "label": "first"}, {"name": "fcn"}, 5],
    "evaluate": None,
}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("train.epochs", lambda document: document["train"]["epochs"]),
        ("train.optimizer.lr", lambda document: document["train"]["optimizer"]["lr"]),
        ("models.unet.width", lambda document: document["models"][0]["width"]),
        ("models.first.width", lambda document: document["models"][1]["width"]),
        ("models.fcn.width", lambda document: document["models"][2]["width"]),
        ("models.2.width", lambda document: document["models"][2]["width"]),
        ("models.1", lambda document: document["models"][1]),
        ("evaluate.flip", lambda document: document["evaluate"]["flip"]),
        ("new.section.key", lambda document: document["new"]["section"]["key"]),
    ],
)
def test_a_key_is_set_where_it_leads(key, place):
    assert place(with_keys(DOCUMENT, {key: "value"})) == "value"


def test_a_bare_name_becomes_a_component_with_keys():
    assert with_keys(DOCUMENT, {"train.optimizer.lr": 1})["train"]["optimizer"] == {"name": "sgd", "lr": 1}


def test_the_original_is_left_alone():
    before = repr(DOCUMENT)
    value = [1]
    changed = with_keys(DOCUMENT, {"train.epochs": value, "models.unet.width": 2})
    changed["train"]["epochs"].append(2)
    assert repr(DOCUMENT) == before
    assert value == [1]


@pytest.mark.parametrize("key", ["models.nothing.width", "models.9.width", "models.-1", "train.epochs.x", "models.3.x"])
def test_a_key_that_leads_nowhere_is_refused_by_name(key):
    with pytest.raises(SuiteError) as caught:
        with_keys(DOCUMENT, {key: 1})
    assert caught.value.key == key


def test_what_could_have_been_meant_is_listed():
    with pytest.raises(SuiteError, match=r"there is 0 \(unet\), 1 \(first\), 2 \(fcn\), 3"):
        set_key({"models": DOCUMENT["models"]}, "models.x.y", 1)


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [("a", (0,)), ("A", (1,)), ("B", (2,)), ("unet", (0, 1)), ("SegNet", (2,)), ("net", ()), ("", ())],
)
def test_a_word_means_a_label_and_else_a_name_whatever_its_capitals(wanted, positions):
    assert matching(wanted, [Named("a", "unet"), Named("A", "unet"), Named("b", "segnet"), Named("", "")]) == positions


def test_a_name_of_several_models_is_refused_and_the_labels_are_listed():
    models = [{"name": "unet", "label": "narrow"}, {"name": "unet", "label": "wide"}]
    with pytest.raises(SuiteError, match=r"several entries here are 'unet'.* 0 \(narrow\), 1 \(wide\)"):
        set_key({"models": models}, "models.unet.width", 1)


def test_the_nearest_entry_is_named():
    with pytest.raises(SuiteError, match=r"'unett', did you mean 'unet'\? There is 0 \(unet\)"):
        set_key({"models": ["unet", 3]}, "models.unett.width", 1)


@given(
    st.dictionaries(
        st.sampled_from(["train.epochs", "train.batch_size", "seeds", "models.unet.width"]), st.integers(), max_size=4
    )
)
def test_the_order_of_independent_keys_does_not_matter(values):
    assert with_keys(DOCUMENT, values) == with_keys(DOCUMENT, dict(reversed(values.items())))
