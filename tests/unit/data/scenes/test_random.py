import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segbench.data.scenes.random import PortableRandom


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 2**32))
def test_draws_stay_in_their_range(first, last, seed):
    drawn = PortableRandom(seed).between(first, last)
    assert first <= drawn <= max(first, last)


def test_stream_is_the_raw_output_of_pcg64():
    raw = np.random.PCG64(np.random.SeedSequence((3, 1, 4))).random_raw(2)
    draws = PortableRandom(3, 1, 4)
    assert [draws.below(1000), draws.below(7)] == [int(raw[0]) % 1000, int(raw[1]) % 7]


def test_bytes_are_the_little_endian_words():
    word = int(np.random.PCG64(np.random.SeedSequence((5,))).random_raw())
    assert PortableRandom(5).bytes(8).tobytes() == word.to_bytes(8, "little")
    assert PortableRandom(5).bytes(3).tolist() == list(word.to_bytes(8, "little")[:3])


def test_chance_agrees_with_its_percentage():
    draws = PortableRandom(0)
    hits = sum(draws.chance(30) for _ in range(4000))
    assert 1080 < hits < 1320  # four standard deviations


def test_published_draws_never_change():
    draws = PortableRandom(0, 0, 0)
    assert [draws.below(100) for _ in range(6)] == [71, 17, 24, 33, 71, 94]
