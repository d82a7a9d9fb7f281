"""The commands that documents show, and what the command line makes of them without running them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer.main

from segbench.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^( *)```(?:bash|console|sh|shell)\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
_OPERATORS = frozenset({"&&", "||", ";", "|", ">", ">>", "<", "&", "(", ")", "do", "done", "while", "then", "fi", "if"})
_SHELL_SIGNS = ("|", ">", "<", "$(", "while ", "for ", "if ")


class Block(NamedTuple):
    """One fenced block of commands.

    Attributes:
        where: The page and the line of its first command, such as ``README.md:16``.
        commands: What is to be typed, one command each: comments are left out, lines that go on are joined, and
            commands that ``&&`` joins are apart.
    """

    where: str
    commands: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of commands of a page; of a ``console``, what follows the prompt."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent, content = found.groups()
        lines = [line.removeprefix(indent) for line in content.splitlines()]
        if "console" in found[0].partition("\n")[0]:
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        first = text.count("\n", 0, found.start()) + 2
        yield Block(f"{page.name}:{first}", tuple(_commands(lines)))


def spans(page: Path) -> list[str]:
    """Return the commands of segbench that a page mentions in its sentences, and a suite in its comments."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yaml":
        return [_without_comment(line) for line in re.findall(r"^#\s+(segbench .*)", text, flags=re.MULTILINE)]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`(segbench [^`]*)`", prose)]


def needs_shell(command: str) -> bool:
    """Tell whether a command is more than a program with its arguments."""
    return any(sign in command for sign in _SHELL_SIGNS)


def segbench_calls(command: str) -> list[list[str]]:
    """Return the arguments of every call of segbench in a command, those of quoted commands and of torchrun too."""
    calls: list[list[str]] = []
    current: list[str] | None = None
    before = ";"
    for word in _words(command):
        if word in _OPERATORS:
            current = None
        elif current is not None:
            current.append(word)
        elif Path(word).name == "segbench" and (before in _OPERATORS or before == "-m"):
            current = []
            calls.append(current)
        elif "segbench " in word:
            calls += segbench_calls(word)
        before = word
    return calls


def parse(arguments: Sequence[str]) -> Any:
    """Have the command line read arguments, and do nothing.

    Returns:
        What it says against them: an error that has ``format_message``; None where they are right.
    """
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return UnknownCommand(name)
        command = command.commands[name]
    try:
        command.make_context("segbench", rest)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return error
    return None


class UnknownCommand(Exception):  # noqa: N818 - beside the errors of the command line
    """There is no such command."""

    def format_message(self) -> str:
        return f"there is no command {self}"


def _commands(lines: Sequence[str]) -> Iterator[str]:
    waiting = ""
    for line in lines:
        waiting += _without_comment(line).strip()
        if waiting.endswith("\\"):
            waiting = waiting[:-1]
        elif _is_open(waiting):
            waiting += "\n"
        elif waiting:
            yield from [waiting] if needs_shell(waiting) else _parts(waiting)
            waiting = ""
    assert not waiting, f"a command has no end: {waiting}"


def _is_open(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:  # a quotation without an end
        return True
    return False


def _parts(command: str) -> Iterator[str]:
    """Yield the commands that ``&&`` or ``;`` joins."""
    words: list[str] = []
    for word in [*_words(command, posix=False), ";"]:
        if word in ("&&", ";"):
            yield " ".join(words)
            words = []
        else:
            words.append(word)


def _words(command: str, *, posix: bool = True) -> list[str]:
    reader = shlex.shlex(command, posix=posix, punctuation_chars="&|;<>()")
    reader.whitespace_split, reader.commenters = True, ""
    return list(reader)


def _without_comment(line: str) -> str:
    """Return a line up to a sign ``#`` that is in no quotes and begins a word."""
    quote = ""
    for index, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index]
    return line
