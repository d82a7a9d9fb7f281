"""A terminal is not silent for a second while a command works, and the sign of that never disturbs what is written."""

import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from segbench.cli.terminal.waiting import SILENT_SECONDS, Sign, doing, sign_of_life


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sign(clock):
    return Sign(io.StringIO(), clock=clock)


def drawn(sign):
    return sign._stream.getvalue()


def test_a_short_silence_shows_nothing_and_a_long_one_what_is_done(sign, clock):
    clock.now += SILENT_SECONDS / 2
    sign.tick()
    assert drawn(sign) == ""
    clock.now += SILENT_SECONDS
    with doing("ranking the runs"):
        sign.tick()
    assert "ranking the runs … 1 s" in drawn(sign)
    sign.tick()
    assert "working … 1 s" in drawn(sign)


def test_the_line_is_gone_before_anything_else_is_written(sign, clock):
    answers = io.StringIO()
    clock.now += 2
    sign.tick()
    sign.watching(answers).write("an answer\n")
    assert drawn(sign).endswith("\r\x1b[2K")
    assert answers.getvalue() == "an answer\n"
    sign.tick()
    assert drawn(sign).endswith("\r\x1b[2K")


@pytest.mark.parametrize("open_line", ["Is it void? [y/N]: ", "\x1b[1m bar  3/10\x1b[0m"])
def test_a_question_and_a_bar_are_not_written_over(sign, clock, open_line):
    watched = sign.watching(io.StringIO())
    watched.write(open_line)
    clock.now += 5
    sign.tick()
    assert drawn(sign) == ""
    watched.write("\x1b[2K\r")
    sign.tick()
    assert drawn(sign) == ""
    watched.write("yes\n")
    clock.now += 5
    sign.tick()
    assert "working" in drawn(sign)


def test_where_there_is_no_terminal_nothing_is_watched(capsys):
    before = sys.stdout, sys.stderr
    with sign_of_life():
        assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "")


def test_on_a_real_terminal_a_silent_command_shows_a_sign_and_leaves_no_trace():
    code = (
        "import time\nfrom segbench.cli.terminal.waiting import sign_of_life\n"
        "with sign_of_life():\n    print('begun', flush=True)\n    time.sleep(1.2)\n    print('done', flush=True)\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        time.sleep(0.01)
    assert process.wait() == 0
    shown = text.decode().replace("\r\n", "\n")
    assert "working" in shown
    assert re.sub(r"\r\x1b\[2K[^\r\n]*?(?=\r)|\r\x1b\[2K", "", shown) == "begun\ndone\n"
