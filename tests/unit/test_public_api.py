"""The public names, that each is explained, and that they cost nothing until they are used."""

import inspect
import re
from pathlib import Path

import pytest
from programs import modules_after

import segbench

PUBLIC = {
    "__version__": None,
    "load_suite": "segbench.config.load",
    "run_suite": "segbench.api.run",
    "load_results": "segbench.report.runs.load",
    "class_iou": "segbench.report.runs.class_tables",
    "confusion_matrix": "segbench.report.runs.class_tables",
    "figure": "segbench.report.figures.single",
    "figure_names": "segbench.report.figures.single",
    "leaderboard": "segbench.api.leaderboard",
}


PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
HEADINGS = [
    re.findall(r"`(\w+)(?:\((.*?)\))?`", heading) for heading in re.findall(r"^## (.*)", PAGE, flags=re.MULTILINE)
]
EXPLAINED = {name: arguments for heading in HEADINGS for name, arguments in heading}
"""The public names of the page on Python, with the arguments that its headings show."""


def test_the_public_names_are_these():
    assert set(segbench.__all__) == set(PUBLIC)
    assert set(PUBLIC) <= set(dir(segbench))


@pytest.mark.parametrize("name", [name for name in PUBLIC if PUBLIC[name]])
def test_each_public_name_is_a_documented_function(name):
    function = getattr(segbench, name)
    assert function.__module__ == PUBLIC[name]
    assert function.__doc__


def test_the_page_on_python_explains_every_public_name_and_no_other():
    assert set(EXPLAINED) == set(segbench.__all__)


@pytest.mark.parametrize("name", [name for name in PUBLIC if PUBLIC[name]])
def test_the_page_on_python_has_an_example_of_each_function(name):
    examples = "".join(re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE))
    assert f"segbench.{name}(" in examples


@pytest.mark.parametrize("name", [name for name in PUBLIC if PUBLIC[name]])
def test_the_page_on_python_shows_arguments_as_they_are(name):
    parameters = inspect.signature(getattr(segbench, name)).parameters
    shown = [argument.lstrip("*") for argument in EXPLAINED[name].split(", ") if argument.strip("*…")]
    for argument in shown:
        key, _, default = argument.partition("=")
        assert key in parameters
        assert not default or repr(parameters[key].default) == default.replace('"', "'")
    if "…" not in EXPLAINED[name]:
        assert [argument.partition("=")[0] for argument in shown] == list(parameters)


def test_the_page_on_python_explains_every_argument_of_a_run():
    rows = re.findall(r"^\| (`\w+`.*?) \|", PAGE, flags=re.MULTILINE)
    explained = {argument for row in rows for argument in re.findall(r"`(\w+)`", row)}
    assert explained == set(inspect.signature(segbench.run_suite).parameters) - {"suite"}


def test_the_version_is_text():
    assert segbench.__version__[0].isdigit()


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        _ = segbench.train


def test_importing_segbench_imports_nothing_heavy():
    assert not {"torch", "pandas", "pydantic", "yaml", "numpy"} & modules_after("import segbench")


def test_loading_a_suite_and_a_leaderboard_need_no_torch():
    code = "from segbench import class_iou, confusion_matrix, figure, leaderboard, load_results, load_suite"
    assert not {"torch", "torchvision", "timm"} & modules_after(code)


def test_the_package_is_typed():
    from importlib.resources import files

    assert files("segbench").joinpath("py.typed").is_file()
