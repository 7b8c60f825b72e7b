"""The reader of memory sees where colours are, learns from the emulator's play, and is kept as it is."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.replays.ram_reader import (
    COLOURS,
    FRAMES,
    RamReader,
    Recordings,
    accuracy,
    bits_of,
    learn_reader,
    load_reader,
    profile_of,
    rehearse,
    save_reader,
)

SPRITE = 40
CODES = np.arange(0, 16, 2, dtype=np.int64) + SPRITE


def window(row: int, column: int) -> np.ndarray:
    """A sprite of 6 x 4 pixels that stands still."""
    frames = np.zeros((FRAMES, 210, 160), np.uint8)
    frames[:, row : row + 6, column : column + 4] = SPRITE
    return frames


def test_a_profile_tells_columns_and_pairs_of_rows() -> None:
    profile = profile_of(window(50, 33), CODES)
    np.testing.assert_array_equal(np.flatnonzero(profile[:160]), range(33, 37))
    np.testing.assert_array_equal(np.flatnonzero(profile[160:265]), range(25, 28))
    assert (profile[33], profile[160 + 25]) == (6, 8)
    assert not profile[2 * 265 : 2 * 265 * COLOURS].any()


def test_a_profile_tells_a_column_whatever_the_row() -> None:
    one, other = profile_of(window(50, 33), CODES), profile_of(window(120, 33), CODES)
    np.testing.assert_array_equal(one[:160], other[:160])
    assert (one[160:265] != other[160:265]).any()


def test_a_profile_holds_what_flickers() -> None:
    frames = window(50, 33)
    frames[-1] = 0
    profile = profile_of(frames, CODES)
    assert not profile[:265].any()
    np.testing.assert_array_equal(np.flatnonzero(profile[265 : 265 + 160]), range(33, 37))
    assert profile[265 + 33] == 6 * (FRAMES - 1)


def test_bits_are_the_bytes() -> None:
    ram = np.random.default_rng(0).integers(0, 256, (5, 128)).astype(np.uint8)
    np.testing.assert_array_equal(np.packbits(bits_of(ram), axis=1), ram)


def test_a_reader_is_kept_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reader = RamReader("pacman")
    reader.colours.copy_(torch.from_numpy(CODES))
    save_reader(reader, tmp_path / "reader.safetensors")
    kept = load_reader(tmp_path / "reader.safetensors", "pacman")
    np.testing.assert_allclose(
        kept.read(window(50, 33)), reader.eval().read(window(50, 33)), rtol=0.01, atol=0.002
    )
    assert (tmp_path / "reader.safetensors").stat().st_size <= 2**20


def test_a_reader_of_another_game_is_refused(tmp_path: Path) -> None:
    save_reader(RamReader("pacman"), tmp_path / "reader")
    with pytest.raises(UsageError, match="is of game 'pacman', not 'qbert'"):
        load_reader(tmp_path / "reader", "qbert")


@pytest.mark.parametrize("content", [None, b"", b"nothing"])
def test_what_is_no_reader_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "reader").write_bytes(content)
    with pytest.raises(UsageError, match=r"reader .* cannot be read"):
        load_reader(tmp_path / "reader", "pacman")


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_play_is_the_seeds_alone(game: str) -> None:
    plays = [list(islice(rehearse(game, seed, lanes=2), 6)) for seed in (0, 0, 1)]
    assert all(
        (one == other).all() for a, b in zip(*plays[:2], strict=True) for one, other in zip(a, b, strict=True)
    )
    assert any((a[0] != b[0]).any() for a, b in zip(plays[0], plays[2], strict=True))
    frames, ram = plays[0][0]
    assert frames.shape == (FRAMES, 210, 160) and ram.shape == (128,)


@pytest.mark.slow
def test_a_reader_learns_to_read() -> None:
    recordings = Recordings.make("revenge", 1500)
    readers = [learn_reader("revenge", recordings, epochs=30) for _ in range(2)]
    for one, other in zip(readers[0].parameters(), readers[1].parameters(), strict=True):
        assert torch.equal(one, other)
    usual = np.array([np.bincount(column, minlength=256).argmax() for column in recordings.ram.T])
    kept = Recordings.make("revenge", 200, seed=1, held_out=True)
    told = accuracy(readers[0], 200)
    assert told.shape == (128,)
    assert told.sum() > (kept.ram == usual).mean(0).sum() + 5
