"""A network that a notebook defines is what its source says, and what that uses."""

import linecache
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from segbench.config.reading.definitions import (
    definition_digest,
    found_by_other_processes,
    name_of,
    others_can_import_main,
)
from segbench.errors import UsageError

NET = """
WIDTH = 8
unrelated = 1

class Block:
    def __init__(self, width):
        self.width = width * 2

class Net:
    block = Block
    def __init__(self, classes, channels, depth=3):
        self.blocks = [Block(WIDTH) for _ in range(depth)]
        self.unrelated = classes

def build(classes, channels):
    return Net(classes, channels)
"""

MAKE = "def make():\n    def inner():\n        pass\n    return inner\n"


@pytest.fixture
def notebook(monkeypatch):
    """Return a function that runs cells in a new session, with their sources kept or not, and gives its module."""
    number = 0

    def session(*cells, sources=True, file=None):
        nonlocal number
        main = ModuleType("__main__")
        if file is not None:
            main.__file__ = str(file)
        monkeypatch.setitem(sys.modules, "__main__", main)
        for cell in cells:
            number += 1
            name = f"/tmp/cell-{number}.py" if sources else "<stdin>"
            if sources:
                lines = cell.splitlines(keepends=True)
                monkeypatch.setitem(linecache.cache, name, (len(cell), None, lines, name))
            exec(compile(cell, name, "exec"), vars(main))
        return main

    return session


@pytest.mark.parametrize("sources", [True, False], ids=["notebook", "prompt"])
@pytest.mark.parametrize("name", ["Net", "build"])
def test_the_same_cells_make_the_same_network_in_another_session(notebook, name, sources):
    digests = set()
    for cells in ([NET], [NET, "x = 1"], ["x = 1\n", NET]):
        notebook(*cells, sources=sources)
        digests.add(definition_digest(name))
    assert len(digests) == 1


@pytest.mark.parametrize("sources", [True, False], ids=["notebook", "prompt"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("range(depth)", "range(depth + 1)"),  # the network itself
        ("width * 2", "width * 3"),  # a class that it uses
        ("WIDTH = 8", "WIDTH = 16"),  # a value that it uses
        ("depth=3", "depth=4"),
        ("block = Block", "block = 7"),
    ],
)
def test_another_cell_that_a_network_uses_makes_another_network(notebook, before, after, sources):
    notebook(NET, sources=sources)
    known = {name: definition_digest(name) for name in ("Net", "build")}
    assert before in NET
    notebook(NET.replace(before, after), sources=sources)
    assert definition_digest("Net") != known["Net"]
    assert definition_digest("build") != known["build"]  # it uses the network


def test_what_a_network_does_not_use_does_not_count(notebook):
    notebook(NET)
    known = definition_digest("Net")
    notebook(NET.replace("unrelated = 1", "unrelated = open"))  # an attribute has this name, no global that is read
    assert definition_digest("Net") == known


USES = """
import collections, dataclasses, enum, functools, math

class Kind(enum.Enum):
    WIDE = {value}

@dataclasses.dataclass
class Settings:
    width: int = {value}

class Base:
    size = {value}

def factor(x, by={value}):
    return x * by

def scaled(function):
    @functools.wraps(function)
    def call(*arguments):
        return {value} * function(*arguments)
    return call

table, group, fraction = {{"a": [{value}]}}, frozenset({{"x", {value}}}), collections.Counter(a={value})
settings, twice = Settings({value}), functools.partial(math.pow, {value})
"""


@pytest.mark.parametrize(
    "using",
    [
        *("return Kind.WIDE", "return Settings()", "return settings.width", "return Base.size", "return factor(1)"),
        *("return table['a']", "return len(group)", "return fraction['a']", "return twice(1)"),
        "return (lambda: [table for _ in range(2)])()",
    ],
)
def test_values_of_every_kind_count(notebook, using):
    digests = []
    for value in (1, 2, 1):
        notebook(USES.format(value=value), f"def net(classes, channels):\n    {using}\n")
        digests.append(definition_digest("net"))
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize(
    "network",
    [
        "class Net(Base):\n    pass\n",
        "class Net:\n    @staticmethod\n    def make():\n        return factor(2)\n",
        "class Net:\n    @property\n    def width(self):\n        return factor(2)\n",
        "class Net:\n    @functools.cached_property\n    def width(self):\n        return factor(2)\n",
        "@scaled\ndef Net(classes, channels):\n    return 1\n",
        "Net = functools.partial(factor, 2)\n",
        "def make(depth):\n    def inner():\n        return depth\n    return inner\nNet = make(factor(1))\n",
    ],
    ids=["base", "staticmethod", "property", "cached_property", "decorated", "partial", "closure"],
)
def test_whatever_way_a_network_uses_it(notebook, network):
    digests = []
    for value in (1, 2, 1):
        notebook(USES.format(value=value), network)
        digests.append(definition_digest("Net"))
    assert digests[0] == digests[2] != digests[1]


def test_definitions_that_use_each_other_are_no_endless_task(notebook):
    notebook("def a(n):\n    return b(n)\n\ndef b(n):\n    return a(n - 1)\n")
    assert definition_digest("a") != definition_digest("b")


def test_a_value_that_cannot_be_told_from_another_is_refused(notebook, tmp_path):
    (tmp_path / "x").write_text("")
    notebook(f"log = open({str(tmp_path / 'x')!r})\n", "def net(classes, channels):\n    return log\n")
    with pytest.raises(UsageError, match=r"python:__main__\.net uses a TextIOWrapper .* give its values as options"):
        definition_digest("net")
    sys.modules["__main__"].log.close()


def test_a_name_that_is_not_there_has_no_digest(notebook):
    notebook(NET)
    assert definition_digest("Nothing") is None


def test_digests_do_not_depend_on_the_interpreter_that_computes_them(tmp_path):
    program = NET.replace("WIDTH = 8", "WIDTH = {'b', 'a', 'c'}") + (
        "from segbench.config.reading.definitions import definition_digest\nprint(definition_digest('Net'))\n"
    )
    (tmp_path / "script.py").write_text(program)
    told = set()
    for seed in ("1", "2"):
        for command in ([sys.executable, str(tmp_path / "script.py")],):
            environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[4])}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            told.add(done.stdout)
    assert len(told) == 1


def test_a_definition_goes_by_the_name_that_finds_it(notebook):
    main = notebook(
        NET, "other = build\ndef make():\n    def inner():\n        pass\n    return inner\nkept = make()\n"
    )
    assert name_of(main.Net) == "python:__main__.Net"
    assert name_of(main.other) == "python:__main__.build"
    assert name_of(main.kept) == "python:__main__.kept"
    assert name_of(linecache.getline) == "python:linecache.getline"


def test_what_no_name_finds_is_refused(notebook):
    main = notebook(MAKE)
    with pytest.raises(UsageError, match="top level of a module, or of a notebook's cell"):
        name_of(main.make())


def test_other_processes_find_what_stands_in_the_scripts_file_alone(notebook, tmp_path):
    notebook(NET)
    assert not found_by_other_processes("Net")
    assert others_can_import_main()
    file = tmp_path / "script.py"
    file.write_text(NET)
    main = notebook(file=file)
    exec(compile(NET, str(file), "exec"), vars(main))
    assert found_by_other_processes("Net")
    assert others_can_import_main()
    exec(compile("def typed(classes, channels):\n    pass\n", "<stdin>", "exec"), vars(main))  # after python -i
    assert not found_by_other_processes("typed")
    notebook(NET, file="<stdin>")
    assert not others_can_import_main()
