"""Reads YAML with plain values only, within limits on depth and on what aliases expand to."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, NamedTuple

import yaml

from segbench.errors import one_line

MOST_LEVELS = 64
"""Deepest nesting; suites have about six levels."""
MOST_VALUES = 200_000
"""Most values after aliases are expanded; suites have some hundreds."""


class _Extent(NamedTuple):
    """What a node expands to.

    Attributes:
        values: Number of its values, itself among them.
        levels: Its depth.
    """

    values: int
    levels: int


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys and reads ``1e-3`` as a number, and dates as texts."""

    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node after checking its depth."""
        self.levels += 1
        if self.levels > MOST_LEVELS:
            text = f"is nested more than {MOST_LEVELS} levels deep"
            raise yaml.composer.ComposerError(None, None, text, self.get_mark())
        try:
            return super().compose_node(parent, index)
        finally:
            self.levels -= 1

    def get_single_node(self) -> yaml.Node | None:
        """Return the document's node after checking what its aliases expand to."""
        node = super().get_single_node()
        if node is not None:
            _check_expansion(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping after checking for duplicate keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge" else None
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is given twice", key.start_mark)
            if name is not None:
                seen.add(name)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value; what it cannot be built from is told with its place."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"this is no {kind} ({one_line(error, most=80)})", node.start_mark
            ) from None


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def read_yaml(text: str) -> Any:
    """Read YAML with plain values only.

    Raises:
        yaml.YAMLError: The text is not YAML, has a duplicate key, or exceeds a limit.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from SafeLoader


def _check_expansion(root: yaml.Node) -> None:
    """Refuse aliases within themselves, and aliases of aliases that expand to too many values or levels.

    Raises:
        yaml.composer.ComposerError: Says which.
    """
    found: dict[int, _Extent] = {}
    open_nodes: set[int] = set()

    def extent_of(node: yaml.Node) -> _Extent:
        known = found.get(id(node))
        if known is not None:
            return known
        if id(node) in open_nodes:
            raise yaml.composer.ComposerError(None, None, "an alias stands within its own anchor", node.start_mark)
        open_nodes.add(id(node))
        parts = [extent_of(part) for part in _parts(node)]
        open_nodes.discard(id(node))
        extent = _Extent(1 + sum(part.values for part in parts), 1 + max((part.levels for part in parts), default=0))
        if extent.values > MOST_VALUES or extent.levels > MOST_LEVELS:
            most = f"{MOST_VALUES:,} values" if extent.values > MOST_VALUES else f"{MOST_LEVELS} levels"
            text = f"its aliases expand to more than {most}"
            raise yaml.composer.ComposerError(None, None, text, node.start_mark)
        found[id(node)] = extent
        return extent

    extent_of(root)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
