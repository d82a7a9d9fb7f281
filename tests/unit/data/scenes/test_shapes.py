import numpy as np
import pytest

from segbench.data.scenes.shapes import ROTATIONS, disc, fence, grid_around, square, texture, triangle


def picture(mask):
    return ["".join(".#"[int(pixel)] for pixel in row) for row in mask]


def test_disc_of_radius_two():
    assert picture(disc(grid_around((2, 2), 2, (5, 5)), 2)) == ["..#..", ".###.", "#####", ".###.", "..#.."]


def test_upright_square_of_half_side_one():
    assert picture(square(grid_around((2, 2), 2, (5, 5)), 1, (1, 0, 1))) == [
        ".....",
        ".###.",
        ".###.",
        ".###.",
        ".....",
    ]


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_rotations_have_whole_length(rotation):
    cosine, sine, length = rotation
    assert cosine**2 + sine**2 == length**2


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_turning_keeps_a_squares_area(rotation):
    area = square(grid_around((40, 40), 40, (81, 81)), 20, rotation).sum()
    assert abs(area - 41 * 41) < 0.06 * 41 * 41


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_a_triangles_area_is_half_its_base_times_its_height(rotation):
    area = triangle(grid_around((40, 40), 40, (81, 81)), 20, rotation).sum()
    assert abs(area - 30 * 30 / 2) < 0.1 * 450


def test_a_window_is_cut_off_at_the_canvas():
    grid = grid_around((1, 9), 3, (8, 10))
    assert (grid.rows, grid.columns) == (slice(0, 5), slice(6, 10))
    assert grid.y.ravel().tolist() == [-1, 0, 1, 2, 3]
    assert grid.x.ravel().tolist() == [-3, -2, -1, 0]


def test_a_fence_is_thin_posts_and_two_rails():
    mask = fence(grid_around((6, 8), 8, (13, 17)), (6, 8), 5, 1)
    assert picture(mask)[0] == "#....#....#....#."
    assert [row for row in range(13) if mask[row].all()] == [3, 9]


def test_textures_are_dark_on_half_of_the_area_and_plain_nowhere():
    grid = grid_around((16, 16), 16, (32, 32))
    assert not texture("plain", grid, 4, (1, 0, 1)).any()
    for kind in ("stripes", "checks"):
        dark = np.broadcast_to(texture(kind, grid, 4, (1, 0, 1)), (32, 32))
        assert dark.mean() == 0.5
