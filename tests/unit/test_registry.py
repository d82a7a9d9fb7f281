"""Catalogues are known without importing what they list."""

import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from programs import modules_after

from segbench import registry
from segbench.errors import UnknownNameError, UsageError
from segbench.registry import CATALOGS, Registry
from segbench.signature import Signature, argument_helps, read_signature

SOURCE = '''
import module_that_does_not_exist

def factory(
    classes, channels=3, *, width: float = -1.5, sizes: list[int] = [1, 2], norm: "str" = None, needed, target="x"
):
    """Build a thing.

    More of it.

    Args:
        classes: Ignored here.
        width: How wide,
            in two lines: really.
        sizes: Some sizes.

    Returns:
        width: not this.
    """

def open_factory(**options): "Take anything."

def bare(): pass

def computed(*, a: float = 1 / 3): ...

class NoFunction: ...

class NoOptions(NoFunction):
    width: int = 1

@dataclass(frozen=True, kw_only=True)
class Shared:
    """What both have."""

    width: float = 1.0
    """How wide."""
    norm: str = "none"

@dataclass(frozen=True)
class Own(Shared):
    """Build a thing of a class.

    More of it.
    """

    width: float = 0.5
    """How wide,
    in two lines: really."""
    needed: int

    kind: ClassVar[str] = "own"
    note = "no option"

    def build(self, classes):
        return classes
'''

ELSEWHERE = """
from made_here import Shared

@dataclass
class Further(Shared):
    depth: int = 2
"""

BROKEN = "def factory(:"


@pytest.fixture(name="module")
def make_module(tmp_path, monkeypatch):
    (tmp_path / "made_here.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "broken_here.py").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "elsewhere_here.py").write_text(ELSEWHERE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    read_signature.cache_clear()
    yield "made_here"
    read_signature.cache_clear()


def test_a_signature_is_read_without_importing_the_module(module):
    signature = read_signature(f"{module}:factory")
    assert module not in sys.modules
    assert signature.summary == "Build a thing."
    assert not signature.open
    assert [(option.name, option.annotation, option.default, option.help) for option in signature.parameters] == [
        ("width", "float", -1.5, "How wide, in two lines: really."),
        ("sizes", "list[int]", [1, 2], "Some sizes."),
        ("norm", "'str'", None, ""),
        ("needed", "Any", ..., ""),
    ]


def test_a_signature_may_be_open_or_empty(module):
    assert read_signature(f"{module}:open_factory").open
    assert read_signature(f"{module}:bare") == Signature("", (), open=False)


def test_a_class_of_options_inherits_options_in_their_order_and_may_change_them(module):
    signature = read_signature(f"{module}:Own")
    assert module not in sys.modules
    assert (signature.summary, signature.open) == ("Build a thing of a class.", False)
    assert [(option.name, option.annotation, option.default, option.help) for option in signature.parameters] == [
        ("width", "float", 0.5, "How wide, in two lines: really."),
        ("norm", "str", "none", ""),
        ("needed", "int", ..., ""),
    ]


def test_a_class_of_options_inherits_from_another_module(module):
    parameters = read_signature("elsewhere_here:Further").parameters
    assert [(option.name, option.default) for option in parameters] == [("width", 1.0), ("norm", "none"), ("depth", 2)]


@pytest.mark.parametrize("registry_of", [registry.MODELS, registry.OPTIMIZERS], ids=lambda one: one.kind)
def test_a_class_of_options_has_at_run_time_the_defaults_that_its_source_shows(registry_of):
    classes = {name: entry for name, entry in registry_of.entries().items() if isinstance(entry.load(), type)}
    assert len(classes) >= 7
    for name, entry in classes.items():
        shown = [(option.name, option.default) for option in entry.signature.parameters]
        assert shown == list(vars(entry.load()()).items()), name


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("made_here:absent", "defines no function 'absent'"),
        ("made_here:NoFunction", "defines no function"),
        ("made_here:NoOptions", "defines no function 'NoOptions'"),
        ("made_here:computed", r"made_here:computed: a: the default 1 / 3 has to be a literal"),
        ("not_installed:factory", "there is no module 'not_installed'"),
        ("not_installed.sub:factory", "there is no module 'not_installed.sub'"),
        ("itertools:chain", "there is no module 'itertools' with a source"),
        ("made_here", "defines no function ''"),
        ("broken_here:factory", "cannot be read as Python: "),
        ("broken_here.sub:factory", "there is no module 'broken_here.sub'"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(module, reference, problem):
    with pytest.raises(UsageError, match=problem):
        read_signature(reference)


@pytest.mark.parametrize("kind", CATALOGS)
def test_every_registered_factory_has_a_readable_documented_signature(kind):
    for name, entry in CATALOGS[kind].entries().items():
        signature = entry.signature
        assert signature.summary, name
        for option in signature.parameters:
            assert option.annotation != "Any" or signature.open, f"{name}: {option.name}"
            assert option.help, f"{kind}: {name}: {option.name} has no line under Args"


@pytest.mark.parametrize("kind", CATALOGS)
def test_every_annotation_is_known_so_that_values_are_checked(kind):
    from segbench.config.component import options_schema

    for name, entry in CATALOGS[kind].entries().items():
        for option in entry.signature.parameters:
            if option.annotation != "Any":
                assert options_schema(entry).model_fields[option.name].annotation is not Any, f"{name}: {option.name}"


@pytest.mark.parametrize("kind", CATALOGS)
def test_every_default_is_valid_for_its_own_annotation(kind):
    from segbench.config.component import options_schema

    for name, entry in CATALOGS[kind].entries().items():
        required = {option.name for option in entry.signature.parameters if option.default is ...}
        schema = options_schema(entry)
        fields = {option: field for option, field in schema.model_fields.items() if option not in required}
        assert fields.keys() | required == schema.model_fields.keys()
        if not required:
            assert schema().model_dump().keys() == fields.keys(), name


def test_families_answer_for_what_follows_the_colon():
    entry, target = registry.MODELS.find("torchvision:fcn_resnet50")
    assert (entry.name, target) == ("torchvision:", "fcn_resnet50")
    entry, target = registry.MODELS.find("python:package.module:Class")
    assert (entry.name, target) == ("python:", "package.module:Class")
    assert registry.MODELS.find("unet").target is None


@pytest.mark.parametrize("name", ["unett", "torchvision:", "torchvison:fcn", "", ":", "unet:x"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UnknownNameError, match="unknown model"):
        registry.MODELS.find(name)


def test_the_nearest_name_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'torchvision:'"):
        registry.MODELS.find("torchvison:fcn")


@pytest.fixture(name="catalog")
def make_catalog(tmp_path, monkeypatch):
    text = "MEMBERS = {'double': 'some_catalog:double', 'say:': 'some_catalog:say'}\n"
    text += "def double(value, *, plus=0): return 2 * value + plus\n"
    text += "def say(*, target, loud=False): return target.upper() if loud else target\n"
    (tmp_path / "some_catalog.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Registry("thing", "some_catalog:MEMBERS", "segbench.trial")
    sys.modules.pop("some_catalog", None)


def test_members_are_imported_and_called(catalog):
    assert catalog.create("double", 4, plus=1) == 9
    assert catalog.create("say:hello", loud=True) == "HELLO"


def test_installed_packages_add_members_but_replace_none(catalog, monkeypatch):
    points = [
        EntryPoint("triple", "elsewhere:triple", "segbench.trial"),
        EntryPoint("double", "elsewhere:double", "segbench.trial"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "segbench.trial" else [])
    registry._installed.cache_clear()
    try:
        references = {name: entry.reference for name, entry in catalog.entries().items()}
    finally:
        registry._installed.cache_clear()
    assert references == {
        "double": "some_catalog:double",
        "say:": "some_catalog:say",
        "triple": "elsewhere:triple",
    }


def test_reading_all_signatures_imports_neither_torch_nor_any_factory():
    code = (
        "from segbench.registry import CATALOGS\n"
        "count = sum(len(entry.signature.summary) > 0 for r in CATALOGS.values() for entry in r.entries().values())\n"
        "assert count > 40, count\n"
    )
    assert not {"torch", "timm", "torchvision", "segbench.models.networks.unet"} & modules_after(code)


def test_argument_helps_end_with_the_section():
    helps = argument_helps("Do it.\n\nArgs:\n    a: First.\n    b: Second,\n        longer.\n\nReturns:\n    c: no.\n")
    assert helps == {"a": "First.", "b": "Second, longer."}
    assert argument_helps("Do it.") == {}
