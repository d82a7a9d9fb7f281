"""YAML as suites use it: plain values, no key twice, variables, files."""

import pytest
import yaml

from segbench.config.files import content_digest
from segbench.config.reading.yaml_file import expand_variables, find_files, read_document
from segbench.config.reading.yaml_loader import read_yaml
from segbench.errors import SuiteError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-2.5e+1", -25.0),
        (".5e1", 5.0),
        ("3", 3),
        ("'1e-3'", "1e-3"),
        ("v1e3", "v1e3"),
        ("1e", "1e"),
        ("[a, b]", ["a", "b"]),
        ("", None),
    ],
)
def test_values_are_read_as_people_mean_them(text, value):
    assert read_yaml(text) == value


def test_merge_keys_and_anchors_work():
    text = "a: &common {x: 1, y: 2}\nb:\n  <<: *common\n  y: 3\nc: [*common]"
    assert read_yaml(text) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [{"x": 1, "y": 2}]}


def test_a_chain_of_aliases_counts_as_its_depth():
    chain = "\n".join(f"a{index}: &a{index} [*a{index - 1}]" for index in range(1, 5_000))
    with pytest.raises(yaml.YAMLError, match="its aliases expand to more than 64 levels"):
        read_yaml(f"a0: &a0 [1]\n{chain}\n")


def test_aliases_of_aliases_count_as_all_that_they_expand_to():
    nine = "\n".join(f"a{index}: &a{index} [{', '.join([f'*a{index - 1}'] * 9)}]" for index in range(1, 9))
    with pytest.raises(yaml.YAMLError, match="its aliases expand to more than 200,000 values"):
        read_yaml(f"a0: &a0 [1]\n{nine}\n")


def test_an_alias_within_its_own_anchor_is_refused():
    with pytest.raises(yaml.YAMLError, match="an alias stands within its own anchor"):
        read_yaml("a: &a [*a]")


def test_a_key_given_twice_is_refused_with_its_line():
    with pytest.raises(yaml.YAMLError, match=r"the key 'b' is given twice(.|\n)*line 4"):
        read_yaml("a: 1\nc:\n  b: 1\n  b: 2\n")


def test_variables_may_stand_within_a_value_and_in_lists(monkeypatch):
    monkeypatch.setenv("SEGBENCH_A", "one")
    monkeypatch.setenv("SEGBENCH_B", "two")
    document = {"x": "${SEGBENCH_A}/${SEGBENCH_B}.pt", "y": [{"z": "${SEGBENCH_B}"}], "w": "$SEGBENCH_A", "v": 3}
    expected = {"x": "one/two.pt", "y": [{"z": "two"}], "w": "$SEGBENCH_A", "v": 3}
    assert expand_variables(document) == expected
    assert document["y"] == [{"z": "${SEGBENCH_B}"}]


@pytest.mark.parametrize("text", ["${SEGBENCH_NONE}", "${}", "${SEGBENCH_NONE:-x}"])
def test_an_unset_variable_is_named_with_its_key(text):
    with pytest.raises(SuiteError) as caught:
        expand_variables({"a": [{"b": text}]})
    assert caught.value.key == "a[0].b"
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_are_finite(number):
    with pytest.raises(SuiteError, match=r"a\[1\]: expected a finite number"):
        expand_variables({"a": [1, number]})


def test_files_are_found_beside_the_suite_only_where_paths_are_expected(tmp_path):
    (tmp_path / "there").mkdir()
    document = {
        "dataset": {"root": "there", "name": "there"},
        "models": [{"weights": "there", "name": "there"}, "there", {"pretrained": True}, {"weights": "absent"}],
        "defaults": {"pretrained": "there"},
    }
    find_files(document, tmp_path)
    found = str(tmp_path / "there")
    assert document["dataset"] == {"root": found, "name": "there"}
    assert document["models"] == [
        {"weights": found, "name": "there"},
        "there",
        {"pretrained": True},
        {"weights": "absent"},
    ]
    assert document["defaults"] == {"pretrained": found}


@pytest.mark.parametrize("document", [{}, {"dataset": "x", "models": "y", "defaults": 3}, {"models": [1, None]}])
def test_looking_for_files_leaves_wrong_suites_to_the_checks(document, tmp_path):
    before = repr(document)
    find_files(document, tmp_path)
    assert repr(document) == before


def test_absolute_paths_are_left_alone(tmp_path):
    document = {"dataset": {"root": "/there"}}
    find_files(document, tmp_path)
    assert document == {"dataset": {"root": "/there"}}


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert content_digest(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_digest(tmp_path / "absent") is None
    assert content_digest(tmp_path) is None


def test_a_suite_in_another_encoding_says_what_to_do(tmp_path):
    file = tmp_path / "suite.yaml"
    file.write_text("dataset: scenes", encoding="utf-16")
    with pytest.raises(SuiteError, match=r"is no UTF-8 text \(invalid start byte at byte 0\); save it as UTF-8"):
        read_document(file)
