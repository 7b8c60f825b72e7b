"""Tables: cells follow the bytes that tell what they show, and only those."""

import numpy as np
import pytest
import torch

from atari_dream.canvas.cells import to_cells, to_frame
from atari_dream.console.tables import Tables

COUNT = 600
DIGIT, DOT, LIVES, FREE = 585, 45, 590, 300


def scenes(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A digit by the upper half of byte 9, a dot by a bit of byte 12, lives by byte 80; one cell is at random."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    memory[:, 80] = rng.integers(0, 4, COUNT)
    cells = np.full((COUNT, 600, 56), 14, np.uint8)
    cells[:, DIGIT, :20] = (memory[:, 9] >> 4 << 1)[:, None]
    cells[:, DOT, 30:34] = np.where(memory[:, 12] >> 2 & 1, 74, 14)[:, None]
    cells[:, LIVES, 5:9] = (memory[:, 80] * 2 + 40)[:, None]
    cells[:, FREE, 0] = rng.choice([14, 26], COUNT)
    frames = cells.reshape(COUNT, 30, 20, 7, 8).swapaxes(2, 3).reshape(COUNT, 210, 160)
    return torch.from_numpy(frames), torch.from_numpy(memory), torch.zeros(COUNT, 210, 160, dtype=torch.bool)


def learnt(scene: tuple[torch.Tensor, torch.Tensor, torch.Tensor], count: int = 64) -> Tables:
    tables = Tables(count)
    tables.learn([scene])
    return tables


@pytest.fixture(scope="module")
def tables() -> Tables:
    return learnt(scenes())


def test_what_tells_is_found(tables: Tables) -> None:
    told = {cell: tuple(part.tolist()) for cell, part in enumerate(tables.part.T)}
    assert {cell: part for cell, part in told.items() if part[2]} == {
        DOT: (12, 2, 1),
        DIGIT: (9, 4, 15),
        LIVES: (80, 0, 15),
    }
    assert not tables.besides.any()


def test_other_frames_are_told(tables: Tables) -> None:
    frames, memory, _ = scenes(seed=1)
    cells = to_cells(frames)
    blank = torch.full_like(cells, 14)
    shown = tables.shown(memory, blank)
    assert torch.equal(shown[:, [DIGIT, DOT, LIVES]], cells[:, [DIGIT, DOT, LIVES]])
    assert (shown[:, FREE] == 14).all()


def test_cells_follow_a_change_and_stay_otherwise(tables: Tables) -> None:
    _, memory, _ = scenes(seed=1)
    odd = torch.full((COUNT, 600, 56), 200, dtype=torch.uint8)
    assert torch.equal(tables.follow(odd, memory, memory), odd)
    eaten = memory.clone()
    eaten[:, 12] ^= 4
    followed = tables.follow(odd, memory, eaten)
    assert (followed != odd).any(-1).sum(1).unique().tolist() == [1]
    assert torch.equal(followed[:, DOT], tables.shown(eaten, odd)[:, DOT])


def test_what_sprites_cover_does_not_count() -> None:
    frames, memory, covered = scenes()
    frames[::2, 14:21, 40:48] = 196
    covered[::2, 14:21, 40:48] = True
    tables = learnt((frames, memory, covered))
    assert tables.part[:, DOT].tolist() == [12, 2, 1]
    assert not (tables.pictures == 196).any()


def test_a_value_that_was_never_seen_changes_nothing() -> None:
    frames, memory, covered = scenes()
    seldom = memory[:, 80] < 3
    tables = learnt((frames[seldom], memory[seldom], covered[seldom]))
    after = memory.clone()
    after[:, 80] = 99
    odd = torch.full((COUNT, 600, 56), 200, dtype=torch.uint8)
    shown = tables.shown(after, odd)
    assert (shown[:, LIVES] == 200).all() and (shown[:, DOT] != 200).any()


def test_cells_whose_pictures_do_not_fit_are_left_as_they_are() -> None:
    tables = learnt(scenes(), count=3)
    _, memory, _ = scenes()
    blank = torch.full((COUNT, 600, 56), 14, dtype=torch.uint8)
    shown = tables.shown(memory, blank)
    assert (shown[:, DOT] != 14).any() and (shown[:, DIGIT] == 14).all()


def test_cells_speak_against_the_values_that_they_do_not_show(tables: Tables) -> None:
    frames, memory, _ = scenes(seed=1)
    cells, bare = to_cells(frames), torch.ones(COUNT, 600, dtype=torch.bool)
    against = tables.against(cells, bare, memory)
    held = against.gather(2, memory.long()[..., None])[..., 0]
    assert not held.any()
    value = torch.arange(256)
    other = value[None] >> 4 != memory[:, 9:10].long() >> 4
    assert torch.equal(against[:, 9] > 0, other)
    assert torch.equal((against.amax(-1) > 0).any(0).nonzero()[:, 0], torch.tensor([9, 12, 80]))
    assert not tables.against(cells, ~bare, memory).any()
    cells[:, DIGIT] = 3
    assert not tables.against(cells, bare, memory)[:, 9].any()


def test_a_bit_is_asked_besides_where_it_tells_more() -> None:
    frames, memory, covered = scenes()
    hidden = (memory[:, 30] >> 6 & 1).bool()
    shown = to_cells(frames)
    shown[hidden, DIGIT] = 14
    frames = shown.reshape(COUNT, 30, 20, 7, 8).swapaxes(2, 3).reshape(COUNT, 210, 160)
    tables = learnt((frames[:400], memory[:400], covered[:400]))
    assert tables.besides[:, DIGIT].tolist() == [30, 6, 1] and not tables.besides[:, [DOT, LIVES]].any()
    blank = torch.full_like(shown, 200)
    assert torch.equal(tables.shown(memory, blank)[400:, DIGIT], shown[400:, DIGIT])
    seen, bare = shown[400:], torch.ones(200, 600, dtype=torch.bool)
    against = tables.against(seen, bare, memory[400:])[:, 9]
    digit = torch.arange(256)[None] >> 4 != memory[400:, 9:10].long() >> 4
    assert torch.equal(against > 0, digit & ~hidden[400:, None])


def test_two_digits_side_by_side_in_a_cell_are_told_by_both() -> None:
    many = [scenes(seed) for seed in range(6)]
    frames, memory, covered = (torch.cat(parts) for parts in zip(*many, strict=True))
    shown = to_cells(frames)
    shown[:, DIGIT, 28:48] = (memory[:, 31] % 16 // 2 * 2)[:, None]
    frames = shown.reshape(-1, 30, 20, 7, 8).swapaxes(2, 3).reshape(-1, 210, 160)
    tables = learnt((frames, memory, covered), 300)
    parts = sorted(part[:, DIGIT].tolist() for part in (tables.part, tables.besides))
    assert parts == [[9, 4, 15], [31, 0, 15]]
    blank = torch.full_like(shown, 200)
    assert torch.equal(tables.shown(memory, blank)[:, DIGIT], shown[:, DIGIT])
    some, held = shown[:300], memory[:300]
    against = tables.against(some, torch.ones(300, 600, dtype=torch.bool), held)
    byte = int(tables.part[0, DIGIT])
    told = against[:, byte].gather(1, held[:, byte : byte + 1].long())
    assert not told.any() and (against[:, byte] > 0).sum() >= 200 * 300


def test_what_is_hidden_below_some_value_of_a_byte_is_told_by_whether_it_is_less() -> None:
    def hidden(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        frames, memory, covered = scenes(seed)
        cells = to_cells(frames)
        cells[memory[:, 67] < 56, DIGIT] = 0
        return to_frame(cells), memory, covered

    tables = learnt(hidden(0))
    assert tables.part[:, DIGIT].tolist() == [9, 4, 15] and tables.besides[0, DIGIT] == 67
    assert abs(int(tables.besides[1, DIGIT]) + 56) <= 2
    frames, memory, _ = hidden(1)
    away = (memory[:, 67].int() - 56).abs() > 2
    shown = tables.shown(memory, to_cells(frames))[:, DIGIT]
    assert torch.equal(shown[away], to_cells(frames)[away, DIGIT])
