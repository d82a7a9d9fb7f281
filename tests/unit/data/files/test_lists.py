import codecs
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segbench.data.files.lists import read_list
from segbench.errors import DataError

PLAIN = st.text(st.sampled_from("abcXYZ019._-+()éßЖ漢#'"), min_size=1, max_size=8).filter(
    lambda text: text[0] not in "#"
)
SUFFIX = st.sampled_from([".jpg", ".JPG", ".png", ".tif"])
FOLDER = st.sampled_from(["", "images/", "a/b/"])


def paths(inner=PLAIN):
    return st.builds(lambda folder, stem, suffix: f"{folder}{stem}{suffix}", FOLDER, inner, SUFFIX)


WITH_SEPARATORS = st.builds(lambda first, mark, last: f"{first}{mark}{last}", PLAIN, st.sampled_from(", ;"), PLAIN)
ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with a byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16 little-endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16 big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def listed(file, **options):
    return [tuple(map(str, entry.paths)) for entry in read_list(file, **options)]


def write(file, rows, *, separator, encoding="utf-8", end="\n", before="", after=""):
    lines = [f"{before}{separator.join(row)}{after}{end}" for row in rows]
    file.write_bytes(ENCODINGS[encoding]("".join(lines)))
    return file


@quick
@given(
    rows=st.lists(st.tuples(paths(), paths()), min_size=1, max_size=5),
    separator=st.sampled_from([" ", "   ", "\t", " \t ", ",", ", ", " , ", ";", "; "]),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \r\n\t\r\n"]),
    blanks=st.tuples(st.sampled_from(["", " ", "\t", "./"]), st.sampled_from(["", "  ", "\t"])),
    backslashes=st.booleans(),
)
def test_a_list_in_any_style_holds_the_same_entries(tmp_path, rows, separator, encoding, end, blanks, backslashes):
    before, after = blanks
    written = [tuple(path.replace("/", "\\") for path in row) for row in rows] if backslashes else rows
    file = write(
        tmp_path / "list.txt", written, separator=separator, encoding=encoding, end=end, before=before, after=after
    )
    assert listed(file) == [tuple(str(PurePosixPath(path)) for path in row) for row in rows]


@quick
@given(rows=st.lists(st.tuples(*[paths(PLAIN | WITH_SEPARATORS)] * 2), min_size=1, max_size=5), data=st.data())
def test_names_with_blanks_and_commas_are_kept_between_tabs_and_in_quotes(tmp_path, rows, data):
    if data.draw(st.booleans()):
        write(tmp_path / "list.txt", rows, separator="\t")
    else:
        quoted = [tuple(f'"{path}"' for path in row) for row in rows]
        write(tmp_path / "list.txt", quoted, separator=data.draw(st.sampled_from([" ", ",", ", ", "  "])))
    assert listed(tmp_path / "list.txt") == rows


@quick
@given(names=st.lists(PLAIN | WITH_SEPARATORS | paths(), min_size=1, max_size=5), data=st.data())
def test_a_list_of_names_holds_them_whole(tmp_path, names, data):
    file = write(
        tmp_path / "list.txt", [(name,) for name in names], separator=" ", after=data.draw(st.sampled_from(["", " "]))
    )
    assert listed(file, is_name=names.__contains__) == [(str(PurePosixPath(name)),) for name in names]


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("a,1.jpg a,1.png", ("a,1.jpg", "a,1.png")),
        ("my photo.jpg,my mask.png", ("my photo.jpg", "my mask.png")),
        ("a.jpg, a.png,", ("a.jpg", "a.png")),
        ("a b", ("a", "b")),
        ("a,b", ("a", "b")),
        ("a.jpg\t\ta.png", ("a.jpg", "a.png")),
        ("images/a masks/a.png", ("images/a", "masks/a.png")),
        ("a\u202fb.jpg a\u202fb.png", ("a\u202fb.jpg", "a\u202fb.png")),
    ],
)
def test_what_looks_like_files_tells_what_separates(tmp_path, line, entry):
    (tmp_path / "list.txt").write_text(line, encoding="utf-8")
    assert listed(tmp_path / "list.txt") == [entry]


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("a.jpg b.png c.png", 3),
        ("a.jpg,b.png,c.png", 3),
        ("0,a.jpg,a.png", 3),
        ("a.jpg,a.png,train", 3),
        ("a.jpg\tb.png\t1", 3),
        ("b.jpg", 1),
        ("my photo.jpg my mask.png", 4),
    ],
)
def test_a_line_that_is_no_pair_is_named_with_what_it_holds(tmp_path, line, columns):
    (tmp_path / "list.txt").write_text(f"a.jpg a.png\n\n{line}\nc.jpg c.png\n")
    with pytest.raises(DataError, match=rf"list\.txt:3: expected an image and a label .* found {columns} columns"):
        read_list(tmp_path / "list.txt", is_name=lambda text: False)


def test_empty_lines_and_comments_are_no_entries_but_names_with_a_hash_are(tmp_path):
    text = "# made by hand\n#\n\n  \na.jpg a.png\n#1.jpg #1.png\n# b.jpg b.png\n"
    (tmp_path / "list.txt").write_text(text)
    assert listed(tmp_path / "list.txt") == [("a.jpg", "a.png"), ("#1.jpg", "#1.png")]
    assert [entry.line for entry in read_list(tmp_path / "list.txt")] == [5, 6]


def test_most_lines_say_whether_a_list_holds_names_or_pairs(tmp_path):
    """The odd line is then wrong, and never read the other way."""
    (tmp_path / "names.txt").write_text("photo 1\nphoto 2\ngone 3\n")
    assert listed(tmp_path / "names.txt", is_name=["photo 1", "photo 2"].__contains__)[2] == ("gone 3",)
    (tmp_path / "pairs.txt").write_text("a.jpg a.png\nb.jpg\nc.jpg c.png\n")
    with pytest.raises(DataError, match=r"pairs\.txt:2: expected an image and a label .* found 1 columns"):
        read_list(tmp_path / "pairs.txt", is_name=["b.jpg"].__contains__)


@pytest.mark.parametrize(
    "content", [b"caf\xe9.jpg caf\xe9.png\n", "a.jpg a.png".encode("utf-16-le"), codecs.BOM_UTF16_LE + b"\0", b"\0\0"]
)
def test_other_encodings_are_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"list\.txt: cannot be read as a list .* save it as text in UTF-8"):
        read_list(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "header", ["image,mask", "Image\tLabel", "file_name;mask_path", "img_path mask_path", "images,masks"]
)
def test_a_line_of_column_names_may_be_a_header(tmp_path, header):
    (tmp_path / "list.txt").write_text(f"{header}\nimage1.jpg mask1.png\n")
    assert [entry.may_be_header for entry in read_list(tmp_path / "list.txt")] == [True, False]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("above", ["", "Unnamed: 0"])
@pytest.mark.parametrize("numbers", [(0, 1, 2), (17, 3, 120)])
def test_the_row_numbers_of_pandas_are_left_out(tmp_path, separator, above, numbers):
    rows = [(above, "image", "mask"), *((str(n), f"{i}.jpg", f"{i}.png") for i, n in enumerate(numbers))]
    file = write(tmp_path / "list.csv", rows, separator=separator)
    assert listed(file) == [("image", "mask"), ("0.jpg", "0.png"), ("1.jpg", "1.png"), ("2.jpg", "2.png")]
    assert [entry.line for entry in read_list(file)] == [1, 2, 3, 4]


def test_what_pandas_writes_is_read(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"image": ["a, b.jpg", "c.jpg"], "mask": ["a, b.png", "c.png"]})
    table.to_csv(tmp_path / "list.csv")
    assert listed(tmp_path / "list.csv")[1:] == [("a, b.jpg", "a, b.png"), ("c.jpg", "c.png")]
    table[["image"]].to_csv(tmp_path / "names.csv")
    assert listed(tmp_path / "names.csv", is_name=["a, b.jpg", "c.jpg"].__contains__)[1:] == [("a, b.jpg",), ("c.jpg",)]


@pytest.mark.parametrize("header", ["image,mask", "name,image"])
def test_numbers_that_have_a_name_of_their_own_are_kept(tmp_path, header):
    (tmp_path / "list.csv").write_text(f"{header}\n0,10\n1,11\n")
    assert listed(tmp_path / "list.csv")[1:] == [("0", "10"), ("1", "11")]


def test_row_numbers_without_a_header_are_refused_as_what_they_are(tmp_path):
    (tmp_path / "list.csv").write_text("0,a.jpg,a.png\n1,b.jpg,b.png\n")
    with pytest.raises(DataError, match=r"list\.csv:1: .*3 columns.*leave the numbers of the rows out"):
        read_list(tmp_path / "list.csv")
