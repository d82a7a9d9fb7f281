"""Which options of a component were written, and which have their defaults."""

import pickle

from segbench.config.component import DatasetEntry

WRITTEN = {"name": "folder", "classes": ["a", "b"]}


def entry(**options):
    return DatasetEntry.model_validate({**WRITTEN, **options})


def test_an_option_is_unwritten_until_it_is_written_with_its_default():
    assert "ignore" in entry().unwritten
    assert "classes" not in entry().unwritten
    assert "ignore" not in entry(ignore=255).unwritten


def test_what_is_written_changes_neither_equality_nor_what_is_stored():
    assert entry() == entry(ignore=255)
    assert entry().model_dump(mode="json") == entry(ignore=255).model_dump(mode="json")


def test_copies_remember_what_was_written():
    for copied in (
        entry().model_copy(update={"fraction": 0.5}),
        entry().model_copy(deep=True),
        DatasetEntry.model_validate(entry()),
        pickle.loads(pickle.dumps(entry())),
    ):
        assert "ignore" in copied.unwritten
        assert "classes" not in copied.unwritten


def test_a_stored_entry_knows_of_none():
    assert DatasetEntry.model_validate(entry().model_dump(mode="json")).unwritten == frozenset()
