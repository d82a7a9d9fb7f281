"""Transfers that break off, change or start anew, from a real server on this machine."""

from __future__ import annotations

import logging
import os
import re
import resource
import signal

import pytest
from forked import context
from mirror import serving

from segbench.data.datasets.transfer import CHUNK_BYTES, MOST_TRIES, WAITS_S, BrokenTransferError, Partial, receive
from segbench.errors import DataError

CONTENT = bytes(index * 7 % 251 for index in range(100_000))


@pytest.fixture
def mirror():
    with serving(CONTENT) as server:
        yield server


@pytest.fixture
def fetch(mirror, tmp_path):
    """Returns what is received, or the error, after waits that took no time."""

    def fetch(path="/file.tar"):
        partial = Partial(tmp_path, "file.tar", mirror.url + path)
        fetch.waits, fetch.seen, fetch.partial = [], [], partial
        receive(
            mirror.url + path,
            partial,
            progress=lambda received, total: fetch.seen.append((received, total)),
            pause=fetch.waits.append,
        )
        return partial.file.read_bytes()

    return fetch


def ranges(mirror):
    return [headers.get("Range") for headers in mirror.asked]


def broken(mirror, fetch, after):
    """Leave what a command received whose transfers broke off after so many bytes of the first answer."""
    mirror.ends = [after, 0]
    with pytest.raises(BrokenTransferError):
        fetch()
    mirror.ends = [None]
    mirror.asked.clear()


@pytest.mark.parametrize("marks", [{}, {"etag": None, "modified": "Thu, 01 Jan 2026 00:00:00 GMT"}])
def test_a_transfer_that_breaks_off_is_resumed_where_it_stopped(mirror, fetch, marks, caplog):
    vars(mirror).update(marks)
    mirror.ends = [30_000, 50_000, None]
    with caplog.at_level(logging.WARNING):
        assert fetch() == CONTENT
    assert ranges(mirror) == [None, "bytes=30000-", "bytes=80000-"]
    assert fetch.waits == [WAITS_S[0]] * 2, "each of the two brought bytes"
    assert fetch.seen[-1] == (len(CONTENT), len(CONTENT))
    assert "broke off after 30,000 of 100,000 bytes; trying again in 1 s" in caplog.text


def test_waits_grow_while_nothing_arrives_and_end(mirror, fetch):
    mirror.ends = [30_000, 0]
    with pytest.raises(BrokenTransferError, match="after 30,000 of 100,000 bytes; the same command goes on from there"):
        fetch()
    assert fetch.waits == list(WAITS_S)
    assert list(WAITS_S) == sorted(WAITS_S)


def test_the_next_command_asks_for_the_rest_only(mirror, fetch):
    broken(mirror, fetch, 30_000)
    assert fetch() == CONTENT
    assert ranges(mirror) == ["bytes=30000-"]
    assert mirror.asked[0]["If-Range"] == '"one"'
    assert fetch.seen[0][0] > 30_000


def test_what_is_complete_is_not_asked_for_again(mirror, fetch):
    fetch()
    mirror.asked.clear()
    assert fetch() == CONTENT
    assert mirror.asked == []
    assert fetch.seen == [(len(CONTENT), len(CONTENT))]


def test_a_server_without_parts_sends_the_whole_file_again(mirror, fetch):
    mirror.ranges = False
    broken(mirror, fetch, 30_000)
    assert fetch() == CONTENT
    assert len(mirror.asked) == 1


def test_a_file_that_changed_meanwhile_starts_anew(mirror, fetch):
    broken(mirror, fetch, 30_000)
    mirror.etag, mirror.content = '"two"', CONTENT[::-1]
    assert fetch() == CONTENT[::-1]


def test_a_file_that_changed_while_the_command_waits_starts_anew(mirror, fetch, tmp_path):
    partial = Partial(tmp_path, "file.tar", mirror.url)
    mirror.ends = [30_000, None]

    def change(_seconds):
        mirror.etag, mirror.content = '"two"', CONTENT[::-1]

    receive(mirror.url, partial, progress=lambda *_: None, pause=change)
    assert partial.file.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_mark_of_its_version_a_file_starts_anew(mirror, fetch, etag):
    mirror.etag = etag
    mirror.ends = [30_000, None]
    assert fetch() == CONTENT
    assert ranges(mirror) == [None, None]


@pytest.mark.parametrize("wrong", [{"wrong_range": True}, {"statuses": [416]}])
def test_an_answer_that_is_not_the_rest_is_not_put_behind_what_is_there(mirror, fetch, wrong):
    broken(mirror, fetch, 30_000)
    vars(mirror).update(wrong)
    assert fetch() == CONTENT
    assert ranges(mirror) == ["bytes=30000-", None]


def test_a_part_that_was_not_asked_for_is_refused(mirror, fetch):
    mirror.partial = True
    with pytest.raises(DataError, match=r"the server sends a part of the file, but was asked for all of it"):
        fetch()
    assert fetch.partial.received == 0


def test_a_part_that_was_not_asked_for_is_not_put_behind_what_is_there(mirror, fetch):
    broken(mirror, fetch, 30_000)
    fetch.partial.file.with_suffix(".json").unlink()
    mirror.partial = True
    with pytest.raises(DataError, match="asked for all of it"):
        fetch()
    assert fetch.partial.received <= 30_000


@pytest.mark.parametrize("mark", ['"one"', None])
def test_waits_grow_where_each_try_starts_anew_and_brings_no_more_than_an_earlier_one(mirror, fetch, mark):
    mirror.ranges, mirror.etag = False, mark
    mirror.ends = [500, 100] * 50
    with pytest.raises(BrokenTransferError, match="broke off after 500"):
        fetch()
    assert fetch.waits == list(WAITS_S)


def test_tries_end_even_if_each_brings_a_byte(mirror, fetch):
    mirror.ends = [1]
    with pytest.raises(BrokenTransferError, match=rf"after {MOST_TRIES} of 100,000 bytes; the same command goes on"):
        fetch()
    assert len(mirror.asked) == MOST_TRIES


def test_what_no_command_could_resume_is_removed_and_said(mirror, fetch, tmp_path):
    mirror.etag = None
    mirror.ends = [30_000, 0]
    with pytest.raises(BrokenTransferError, match="it is removed, since the server names no version"):
        fetch()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_received_behind_the_end(mirror, fetch):
    broken(mirror, fetch, 30_000)
    mirror.surplus = bytes(50_000)
    assert fetch() == CONTENT
    assert ranges(mirror) == ["bytes=30000-"]


def test_a_file_without_a_stated_size_has_a_bound(mirror, fetch, tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.data.datasets.transfer.MOST_BYTES", 150_000)
    mirror.total = False
    assert fetch() == CONTENT
    fetch.partial.remove()
    mirror.surplus = bytes(10 << 20)
    with pytest.raises(DataError, match=r"does not state the file's size and sent 150,000 bytes without an end"):
        fetch()
    assert list(tmp_path.iterdir()) == []


def linked(part, other):
    part.unlink()
    part.symlink_to(other)


def linked_hard(part, other):
    part.unlink()
    part.hardlink_to(other)


@pytest.mark.parametrize("link", [linked, linked_hard])
def test_a_link_in_place_of_what_was_received_is_not_written_through(mirror, fetch, tmp_path, link):
    broken(mirror, fetch, 30_000)
    other = tmp_path / "other"
    other.write_bytes(CONTENT[:30_000])
    link(fetch.partial.file, other)
    assert fetch() == CONTENT
    assert ranges(mirror) == [None]
    assert other.read_bytes() == CONTENT[:30_000]


def test_a_link_that_appears_while_the_server_answers_is_not_written_through(mirror, fetch, tmp_path, monkeypatch):
    broken(mirror, fetch, 30_000)
    other = tmp_path / "other"
    other.write_bytes(CONTENT[:30_000])
    part, resume = fetch.partial.file, Partial.resume

    def linked_meanwhile(partial):
        linked(part, other)
        return resume(partial)

    monkeypatch.setattr(Partial, "resume", linked_meanwhile)
    with pytest.raises(OSError, match=re.escape(str(part))):
        fetch()
    assert other.read_bytes() == CONTENT[:30_000]


def test_links_in_place_of_the_facts_are_not_written_through(mirror, fetch, tmp_path):
    partial = Partial(tmp_path, "file.tar", f"{mirror.url}/file.tar")
    partial.file.with_suffix(".json").symlink_to(tmp_path / "other")
    partial.file.symlink_to(tmp_path / "another")
    assert fetch() == CONTENT
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "another").exists()


def test_a_redirected_file_is_resumed_too(mirror, fetch):
    mirror.moved = "/file.tar"
    mirror.ends = [30_000, None]
    assert fetch("/file.tar") == CONTENT
    assert ranges(mirror) == [None, "bytes=30000-"]


def test_a_file_of_unknown_size_is_received(mirror, fetch):
    mirror.total = False
    assert fetch() == CONTENT
    assert fetch.seen[-1] == (len(CONTENT), None)


def test_a_server_that_is_busy_for_a_while_is_asked_again_once_something_was_received(mirror, fetch):
    mirror.ends, mirror.statuses = [30_000, None], [None, 503, 429]
    assert fetch() == CONTENT
    assert fetch.waits == [WAITS_S[0], *WAITS_S[1:3]]


@pytest.mark.parametrize("statuses", [[503], [None, 404]])
def test_other_answers_end_the_command_at_once(mirror, fetch, statuses):
    mirror.ends, mirror.statuses = [30_000, None], list(statuses)
    with pytest.raises(OSError, match=str(statuses[-1])):
        fetch()
    assert len(fetch.waits) == len(statuses) - 1
    assert fetch.partial.received == (30_000 if len(statuses) > 1 else 0)


def test_parts_of_two_addresses_are_never_put_together(mirror, fetch, tmp_path):
    broken(mirror, fetch, 30_000)
    assert fetch("/other.tar") == CONTENT
    assert ranges(mirror) == [None]
    fetch.partial.remove_all()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("facts", ["", "{", "[]", '{"total": 5, "mark": "x"}', '{"total": null, "mark": null}'])
def test_damaged_facts_of_what_was_received_start_anew(mirror, fetch, facts):
    broken(mirror, fetch, 30_000)
    fetch.partial.file.with_suffix(".json").write_text(facts)
    assert fetch() == CONTENT
    assert ranges(mirror) == [None]


def receive_until_killed(url, folder):
    """Run in another process, which is killed by the first call of its progress."""
    receive(url, Partial(folder, "file.tar", url), progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))


def test_a_killed_command_leaves_what_it_received_to_the_next(mirror, fetch, tmp_path):
    mirror.content = CONTENT * 5
    process = context().Process(target=receive_until_killed, args=(f"{mirror.url}/file.tar", tmp_path))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert fetch() == CONTENT * 5
    assert ranges(mirror) == [None, f"bytes={CHUNK_BYTES}-"]


def test_a_disk_that_takes_no_more_keeps_what_was_received(mirror, fetch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fetch.partial.received == 20_000
    assert fetch.waits == [], "no wait makes room"
    assert fetch() == CONTENT
    assert ranges(mirror) == [None, "bytes=20000-"]
