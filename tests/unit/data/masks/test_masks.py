"""What masks of every kind are read as."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from segbench.data.masks.masks import IndexLabels, TableLabels, read_index_label
from segbench.data.masks.options import label_table
from segbench.errors import DataError

RED, GREEN, BLACK, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 0], [255, 255, 255]


def decoder(count=3, **options):
    """Return what reads the masks of so many classes."""
    return TableLabels(label_table([f"c{index}" for index in range(count)], **options))


def palette_png(file, pixels, colors, **options):
    """Write indices with the colours of the indices 0, 1, ..."""
    image = Image.fromarray(np.array(pixels, dtype=np.uint8))
    image.putpalette([channel for color in colors for channel in color])
    image.save(file, **options)
    return file


@pytest.fixture
def colors():
    return np.array([[[10, 20, 30], [200, 100, 50]], [[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)), st.booleans())
def test_index_labels_come_back_as_stored(tmp_path_factory, label, palette):
    file = tmp_path_factory.mktemp("labels") / "a.png"
    picture = Image.fromarray(label)
    if palette:
        picture.putpalette([value % 7 for value in range(768)])
    picture.save(file)
    assert np.array_equal(read_index_label(file), label)


def test_sixteen_bit_labels_are_read_when_they_fit(tmp_path, save):
    assert read_index_label(save(np.array([[3, 255]], dtype=np.uint16), tmp_path / "a.png")).tolist() == [[3, 255]]
    with pytest.raises(DataError, match="holds label 256"):
        read_index_label(save(np.array([[3, 256]], dtype=np.uint16), tmp_path / "b.png"))


def test_labels_with_alpha_lose_it(tmp_path):
    Image.fromarray(np.array([[[2, 255], [1, 9]]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert read_index_label(tmp_path / "a.png").tolist() == [[2, 1]]


def test_a_colour_label_without_palette_is_refused(tmp_path, colors, save):
    file = save(colors, tmp_path / "a.png")
    for read in (read_index_label, decoder()):
        with pytest.raises(DataError, match="is a colour image"):
            read(file)


def test_index_labels_are_renamed(tmp_path, save):
    file = save([[0, 11, 2, 255]], tmp_path / "a.png")
    assert IndexLabels({11: 255})(file).tolist() == [[0, 255, 2, 255]]


def test_colours_become_classes(tmp_path, save):
    decode = decoder(2, palette=[RED, [0, 0, 9]], ignore_color=[7, 7, 7])
    file = save([[[0, 0, 9], [255, 0, 0]], [[7, 7, 7], [0, 0, 9]]], tmp_path / "a.png")
    assert decode(file).tolist() == [[1, 0], [255, 1]]
    assert decode(save([[1, 0]], tmp_path / "b.png")).tolist() == [[1, 0]]


def test_a_class_and_void_may_have_several_colours(tmp_path, save):
    decode = decoder(2, palette=[[RED, GREEN], [0, 0, 9]], ignore_color=[BLACK, WHITE])
    file = save([[RED, GREEN, [0, 0, 9], BLACK, WHITE]], tmp_path / "a.png")
    assert decode(file).tolist() == [[0, 0, 1, 255, 255]]


def test_strange_colours_are_named(tmp_path, save):
    file = save([[[255, 0, 0], [255, 0, 1], [0, 0, 0]]], tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png: 2 colours \(2 pixels\) are not in 'palette': \(0, 0, 0\), \(255, 0, 1\); "
    ):
        decoder(1, palette=[RED])(file)
    assert decoder(1, palette=[RED], ignore_color="others")(file).tolist() == [[0, 255, 255]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_colours_decide_in_palette_images_whatever_their_order(tmp_path, bits, transparent):
    decode = decoder(2, palette=[BLACK, RED])
    more = {"transparency": 0} if transparent else {}
    straight = palette_png(tmp_path / "a.png", [[0, 1, 1]], [BLACK, RED], bits=bits, **more)
    turned = palette_png(tmp_path / "b.png", [[1, 0, 0]], [RED, BLACK], bits=bits, **more)
    assert decode(straight).tolist() == decode(turned).tolist() == [[0, 1, 1]]


def test_a_palette_image_in_other_colours_is_refused(tmp_path):
    file = palette_png(tmp_path / "a.png", [[0, 1, 2]], [BLACK, RED, (1, 2, 3)])
    with pytest.raises(
        DataError, match=r"1 colours of its own palette \(\d+ pixels\) are not in 'palette': \(1, 2, 3\) at 2"
    ):
        decoder(2, palette=[BLACK, RED])(file)


def test_index_255_is_void_in_a_palette_image_unless_its_colour_is_a_class(tmp_path):
    border = [*[(9, 9, index) for index in range(253)], (224, 224, 192)]
    voc = palette_png(tmp_path / "voc.png", [[0, 1, 255]], [BLACK, RED, *border])
    assert decoder(2, palette=[BLACK, RED])(voc).tolist() == [[0, 1, 255]]
    filled = palette_png(tmp_path / "filled.png", [[0, 1, 255]], [BLACK, RED, *[BLACK] * 254])
    assert decoder(2, palette=[BLACK, RED])(filled).tolist() == [[0, 1, 255]]
    own = palette_png(tmp_path / "own.png", [[0, 255]], [BLACK, RED, *border[:-1], WHITE])
    assert decoder(3, palette=[BLACK, RED, WHITE])(own).tolist() == [[0, 2]]
    with pytest.raises(DataError, match="224, 224, 192"):
        decoder(2, palette=[BLACK, RED], ignore=None)(voc)


def test_colours_that_only_fill_a_palette_up_stand_for_nothing(tmp_path):
    file = palette_png(tmp_path / "a.png", [[0, 1, 7]], [BLACK, RED, *[BLACK] * 254])
    with pytest.raises(DataError, match=r"are not in 'palette': \(0, 0, 0\) at 7"):
        decoder(2, palette=[BLACK, RED])(file)


def test_indices_of_one_colour_that_differ_in_opacity_are_refused_where_colours_are_read(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8))
    image.putpalette([channel for color in (BLACK, BLACK, RED) for channel in color])
    image.save(tmp_path / "a.png", transparency=0)
    image.save(tmp_path / "b.png", transparency=bytes([255, 0]))
    for name in ("a.png", "b.png"):
        with pytest.raises(
            DataError, match=r"0 and 1 of its own palette have one colour, \(0, 0, 0\), and differ in op"
        ):
            decoder(2, palette=[BLACK, RED])(tmp_path / name)
        assert decoder(3)(tmp_path / name).tolist() == [[0, 1, 2]]
    image.crop((1, 0, 3, 1)).save(tmp_path / "c.png", transparency=0)
    assert decoder(2, palette=[BLACK, RED])(tmp_path / "c.png").tolist() == [[0, 1]], "only one of the two is used"


def test_smooth_edges_that_are_ignored_do_not_change_how_grey_is_read(tmp_path, save):
    table = decoder(2, palette=[BLACK, WHITE], ignore="others", ignore_color="others")
    assert table(save([[0, 1, 2]], tmp_path / "numbers.png")).tolist() == [[0, 1, 255]]
    with pytest.raises(DataError, match="not clear whether 0, 128, 255 are class numbers or the grey colours"):
        table(save([[0, 128, 255]], tmp_path / "edges.png"))
    by_color = decoder(2, palette=[BLACK, WHITE], ignore=None, ignore_color="others")
    assert by_color(tmp_path / "edges.png").tolist() == [[0, 255, 1]]


def test_grey_files_beside_a_palette_hold_numbers_or_grey_colours(tmp_path, save):
    decode = decoder(2, palette=[BLACK, WHITE])
    assert decode(save([[0, 1]], tmp_path / "numbers.png")).tolist() == [[0, 1]]
    assert decode(save([[0, 255]], tmp_path / "grey.png")).tolist() == [[0, 1]], "white is a class, and so no void"
    with pytest.raises(DataError, match="no void"):
        decode(save([[0, 1, 255]], tmp_path / "both.png"))
    turned = decoder(2, palette=[WHITE, BLACK])
    assert turned(save([[0, 255]], tmp_path / "turned.png")).tolist() == [[1, 0]]
    with pytest.raises(DataError, match="not clear whether 0 are class numbers or the grey colours"):
        turned(save([[0, 0]], tmp_path / "unclear.png"))
    assert decoder(2, palette=[WHITE, BLACK], values=[0, 1])(tmp_path / "unclear.png").tolist() == [[0, 0]]


def test_grey_rgb_masks_are_read_by_their_values(tmp_path, save):
    file = save([[BLACK, WHITE]], tmp_path / "a.png")
    assert decoder(2, values=[0, 255], ignore=None)(file).tolist() == [[0, 1]]
    with pytest.raises(DataError, match=r"is a colour image .* or 'values' where it is grey"):
        decoder(2)(file)


def test_numbers_without_a_class_are_named_with_what_to_do(tmp_path, save):
    file = save([[0, 3, 255]], tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: holds label 3, but there are 3 classes \(0 to 2, 255 is ignored\)"):
        decoder(3)(file)
    with pytest.raises(DataError, match=r"holds label 255, .*nothing is ignored"):
        decoder(4, ignore=None)(file)
    with pytest.raises(DataError, match="holds 3, which is the value of no class"):
        decoder(1, values=[0])(file)


def test_a_class_and_void_may_have_several_numbers(tmp_path, save):
    file = save([[7, 8, 11, 13, 0, 1, 4]], tmp_path / "a.png")
    several = decoder(3, values=[[7, 8], [11], 13], ignore=[0, 1, 4])
    assert several(file).tolist() == [[0, 0, 1, 2, 255, 255, 255]]
    assert decoder(3, values=[[7, 8], [11], 13], ignore="others")(file).tolist() == several(file).tolist()
    assert decoder(2, ignore="others")(file).tolist() == [[255] * 4 + [0, 1, 255]]


def test_numbers_beyond_a_byte_and_below_zero_can_be_classes_and_void(tmp_path, save):
    file = save(np.array([[1000, 2000, 65535]], dtype=np.uint16), tmp_path / "a.png")
    assert decoder(2, values=[1000, 2000], ignore=65535)(file).tolist() == [[0, 1, 255]]
    Image.fromarray(np.array([[0, 2, -1]], dtype=np.int32)).save(tmp_path / "b.tif")
    assert decoder(3, ignore=[-1, 255])(tmp_path / "b.tif").tolist() == [[0, 2, 255]]
    with pytest.raises(DataError, match="holds label -1"):
        decoder(3)(tmp_path / "b.tif")
    with pytest.raises(DataError, match="holds label -1"):
        read_index_label(tmp_path / "b.tif")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_masks_are_named_as_lossy(tmp_path, mode):
    pixels = np.zeros((32, 32), dtype=np.uint8)
    pixels[8:20, 9:23] = 255
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.jpg")
    for options in ({"values": [0, 255], "ignore": None}, {"palette": [BLACK, WHITE]}):
        with pytest.raises(DataError, match=r"a\.jpg: .*is lossy .*save as PNG"):
            decoder(2, **options)(tmp_path / "a.jpg")


def few_bits(file, rows, *, bits, size):
    """Write a grey PNG of few bits, as optimisers do and Pillow does not."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", *size, bits, 0, 0, 0, 0)
    packed = b"".join(b"\0" + bytes(row) for row in rows)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return file


def test_grey_of_few_bits_is_read_as_stored(tmp_path):
    two = few_bits(tmp_path / "2.png", [[0b00011011]], bits=2, size=(4, 1))
    four = few_bits(tmp_path / "4.png", [[0x0F, 0x12]], bits=4, size=(4, 1))
    one = few_bits(tmp_path / "1.png", [[0b01010000]], bits=1, size=(4, 1))
    assert decoder(4)(two).tolist() == read_index_label(two).tolist() == [[0, 1, 2, 3]]
    assert decoder(16)(four).tolist() == read_index_label(four).tolist() == [[0, 15, 1, 2]]
    assert decoder(2)(one).tolist() == read_index_label(one).tolist() == [[0, 1, 0, 1]]


def test_few_bits_stand_for_the_greys_they_show_where_values_say_so(tmp_path):
    """An optimiser may store masks of 0 and 255 with one bit, and those of 0, 85, 170 and 255 with two."""
    one = few_bits(tmp_path / "1.png", [[0b01010000]], bits=1, size=(4, 1))
    two = few_bits(tmp_path / "2.png", [[0b00011011]], bits=2, size=(4, 1))
    assert decoder(2, values=[0, 255], ignore=None)(one).tolist() == [[0, 1, 0, 1]]
    assert decoder(4, values=[0, 85, 170, 255], ignore=None)(two).tolist() == [[0, 1, 2, 3]]
    assert decoder(2, values=[0, 1])(one).tolist() == [[0, 1, 0, 1]]
    assert decoder(2, values=[0, 255], ignore="others")(two).tolist() == [[0, 255, 255, 1]]
    assert decoder(3, values=[0, 1, 2], ignore="others")(two).tolist() == [[0, 1, 2, 255]]
    with pytest.raises(DataError, match="not clear whether its 3 is the value 3 or the grey 255"):
        decoder(4, values=[0, 1, 170, 255], ignore="others")(two)
    with pytest.raises(DataError, match="not clear whether its 1 is the value 1 or the grey 255"):
        decoder(3, values=[0, 1, 255], ignore=None)(one)
