"""Memory: what was covered is known, ages tell a beat, and the last few frames are kept in order."""

import torch

from atari_dream.canvas.memory import LONGEST, REST, Memory
from atari_dream.canvas.moves import LAGS, SOURCES


def remember(frames: list[torch.Tensor]) -> Memory:
    sketches = [torch.full((1, 600, 2), float(number)) for number in range(len(frames))]
    memory = Memory.begin(frames[0], sketches[0], ways=3)
    for frame, sketch in zip(frames[1:], sketches[1:], strict=True):
        memory = memory.take_in(frame, sketch, sketch[..., :1].repeat(1, 1, 3))
    return memory


def plain() -> torch.Tensor:
    return torch.full((1, 600, 56), 14, dtype=torch.uint8)


def sprite(cell: int) -> torch.Tensor:
    frame = plain()
    frame[0, cell, :20] = 42
    return frame


def test_the_ground_shows_what_a_passing_sprite_covers() -> None:
    memory = remember([plain(), *(sprite(cell) for cell in range(30, 30 + REST + 3))])
    assert torch.equal(memory.ground, plain())
    assert not torch.equal(memory.last, memory.ground)


def test_what_stays_becomes_ground() -> None:
    assert torch.equal(remember([plain(), *[sprite(5)] * REST]).ground, plain())
    assert torch.equal(remember([plain(), *[sprite(5)] * (REST + 1)]).ground, sprite(5))


def test_ages_tell_a_beat() -> None:
    frames = [sprite(7) if (step // 5) % 2 else plain() for step in range(33)]
    for count, age in ((31, 0), (33, 2)):
        memory = remember(frames[:count])
        assert (memory.age[0, 7], memory.interval[0, 7]) == (age, 5)
        assert (memory.age[0, 8], memory.interval[0, 8]) == (LONGEST, LONGEST)


def test_a_rest_has_no_end() -> None:
    memory = remember([plain()] * 300)
    assert memory.still.min() == 255 and memory.age.min() == LONGEST


def test_the_last_frames_are_known_newest_first() -> None:
    frames = [sprite(cell) for cell in range(LAGS + 1)]
    memory = remember(frames)
    assert torch.equal(memory.frames[:, :LAGS], torch.stack(frames[:0:-1], dim=1))
    assert torch.equal(memory.last, frames[-1])
    assert memory.sketches[0, 0].tolist() == [4, 4, 3, 3, 2, 2, 1, 1]
    assert memory.traces[0, 0].tolist() == [4] * 3 + [3] * 3 + [2] * 3 + [1] * 3


def test_before_the_first_frame_it_was_always_so() -> None:
    memory = remember([plain(), sprite(3)])
    assert memory.sketches[0, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert memory.traces[0, 0].tolist() == [1] * 3 + [0] * 9
    assert all(torch.equal(memory.frames[:, age], plain()) for age in range(1, SOURCES))


def test_what_a_cell_showed_before_it_changed_is_kept() -> None:
    shapes = [sprite(7), plain()]
    memory = remember([shapes[(step // 5) % 2] for step in range(13)])
    assert torch.equal(memory.last, shapes[0]) and torch.equal(memory.frames[:, -1], shapes[1])
