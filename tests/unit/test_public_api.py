"""The public names, and that they cost nothing until they are used."""

import pytest
from programs import modules_after

import segbench

PUBLIC = {
    "__version__": None,
    "load_suite": "segbench.config.load",
    "run_suite": "segbench.engine.launch",
    "load_results": "segbench.report.runs",
    "leaderboard": "segbench.report.leaderboard",
}


def test_the_public_names_are_these():
    assert set(segbench.__all__) == set(PUBLIC)
    assert set(PUBLIC) <= set(dir(segbench))


@pytest.mark.parametrize("name", [name for name in PUBLIC if PUBLIC[name]])
def test_each_public_name_is_a_documented_function(name):
    function = getattr(segbench, name)
    assert function.__module__ == PUBLIC[name]
    assert function.__doc__


def test_the_version_is_text():
    assert segbench.__version__[0].isdigit()


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        _ = segbench.train


def test_importing_segbench_imports_nothing_heavy():
    assert not {"torch", "pandas", "pydantic", "yaml", "numpy"} & modules_after("import segbench")


def test_loading_a_suite_and_a_leaderboard_need_no_torch():
    code = "from segbench import leaderboard, load_results, load_suite"
    assert not {"torch", "torchvision", "timm"} & modules_after(code)


def test_the_package_is_typed():
    from importlib.resources import files

    assert files("segbench").joinpath("py.typed").is_file()
