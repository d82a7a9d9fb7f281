"""The line of a YAML text that an error is about, with a caret below the place."""

from __future__ import annotations

import re
from functools import lru_cache

import yaml

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def excerpt_of(text: str, key: str) -> str:
    """Return the line of a dotted key, such as ``models[2].name``, with a caret; empty where it is not written.

    Of a key that is missing, it is the line of what should hold it.
    """
    node = _composed(text)
    mark = None
    for name, index in _PART.findall(key):
        found = _below(node, name, index)
        if found is None:
            break
        mark, node = found
    return snippet(mark) if mark is not None else ""


@lru_cache(maxsize=1)  # a suite with many mistakes is asked for the place of each
def _composed(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None


def snippet(mark: yaml.Mark) -> str:
    """Return the line of a place with a caret below it; empty for an empty line."""
    lines = mark.get_snippet() or ""
    return f"\n{lines}" if lines.partition("\n")[0].strip() else ""


def _below(node: yaml.Node | None, name: str, index: str) -> tuple[yaml.Mark, yaml.Node] | None:
    """Return where a member of a node begins, and the member."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if name and isinstance(key, yaml.ScalarNode) and key.value == name:
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
        member = node.value[int(index)]
        return member.start_mark, member
    return None
