"""Measures how the code is laid out: rooms, long functions and modules, and circles of imports.

    python benchmarks/structure.py [--against REVISION]

A room is a folder of modules. Prints, for each room, its modules and lines, and then what is above the limits: folders
of more than 16 modules, functions of more than 60 lines (with signature and docstring), modules of more than 400, and
modules that import each other in a circle, also through others; imports for type checkers alone do not count, those
inside functions do. With `--against`, the same figures of another revision stand beside. Ends with 1 where something is
above a limit.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "segbench"
MOST_MODULES, LONGEST_FUNCTION, LONGEST_MODULE = 16, 60, 400


@dataclass(frozen=True)
class Module:
    """A module of the package.

    Attributes:
        name: Its dotted name.
        room: The folder that it is in, from the package's.
        lines: Lines of text.
        functions: Name and lines of each function and method.
        imports: Dotted names of the package's modules that it imports.
    """

    name: str
    room: str
    lines: int
    functions: tuple[tuple[str, int], ...]
    imports: frozenset[str]


def read_modules(root: Path) -> dict[str, Module]:
    """Read every module below ``root/segbench``, by name."""
    files = {_name(file, root): file for file in sorted((root / PACKAGE).rglob("*.py"))}
    return {name: _read(name, file, root, files) for name, file in files.items()}


def circles(modules: Mapping[str, Module]) -> list[str]:
    """Return the first circle of imports that is found, as names in order; nothing where there is none."""
    try:
        list(TopologicalSorter({name: module.imports for name, module in modules.items()}).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def rooms(modules: Mapping[str, Module]) -> dict[str, tuple[int, int]]:
    """Return how many modules and lines each room has; a file that only makes a folder a package is no module."""
    found: dict[str, tuple[int, int]] = {}
    for module in modules.values():
        count, lines = found.get(module.room, (0, 0))
        found[module.room] = count + (not _is_package(module, modules)), lines + module.lines
    return dict(sorted(found.items()))


def excesses(modules: Mapping[str, Module]) -> list[str]:
    """Return what is above a limit, a line each."""
    found = [
        f"{room}: {count} modules, at most {MOST_MODULES}"
        for room, (count, _) in rooms(modules).items()
        if count > MOST_MODULES
    ]
    for module in modules.values():
        if module.lines > LONGEST_MODULE:
            found.append(f"{module.name}: {module.lines} lines, at most {LONGEST_MODULE}")
        found += [
            f"{module.name}.{name}: {lines} lines, at most {LONGEST_FUNCTION}"
            for name, lines in module.functions
            if lines > LONGEST_FUNCTION
        ]
    circle = circles(modules)
    return [*found, f"circle: {' -> '.join(circle)}"] if circle else found


def _name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read(name: str, file: Path, root: Path, names: Mapping[str, Path]) -> Module:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Module(
        name,
        file.parent.relative_to(root).as_posix(),
        len(text.splitlines()),
        tuple((node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions),
        frozenset(_imports(tree, names)) - {name},
    )


def _imports(tree: ast.Module, names: Mapping[str, Path]) -> Iterator[str]:
    unread = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in names and id(node) not in unread:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in names else str(node.module)


def _is_package(module: Module, modules: Mapping[str, Module]) -> bool:
    return any(other.startswith(f"{module.name}.") for other in modules)


def _of_revision(revision: str) -> dict[str, Module]:
    packed = subprocess.run(["git", "archive", revision, PACKAGE], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
        return read_modules(Path(folder))


def _summary(modules: Mapping[str, Module]) -> str:
    found = rooms(modules)
    lines = sum(module.lines for module in modules.values())
    return f"{len(modules)} files in {len(found)} folders, {lines} lines, {len(excesses(modules))} above a limit"


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; return 1 where something is above a limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", metavar="REVISION", help="another revision of this repository")
    options = parser.parse_args(arguments)
    modules = read_modules(ROOT)
    print(f"{'room':36}{'modules':>9}{'lines':>9}")
    for room, (count, lines) in rooms(modules).items():
        print(f"{room:36}{count:9}{lines:9}")
    if options.against is not None:
        before = _of_revision(options.against)
        print(f"\n{options.against}: {_summary(before)}")
        for line in excesses(before):
            print(f"  {line}")
    print(f"\nhere: {_summary(modules)}")
    above = excesses(modules)
    for line in above:
        print(f"  {line}")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
