"""Hues: a screen that flashes is painted in the colours that bytes hold, but for a bar that stays."""

import numpy as np
import pytest
import torch

from atari_dream.console.hues import Hues, find_hues

COUNT, BYTE = 300, 31


def scenes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A wall of colour 118 that every tenth frame is of the colour of byte 31; eight columns of it stay."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    memory[:, BYTE] = np.where(np.arange(COUNT) % 10, 118, memory[:, BYTE]) | 1
    frames = np.zeros((COUNT, 210, 160), np.uint8)
    frames[:, 40:80] = (memory[:, BYTE] & 254)[:, None, None]
    frames[:, 40:80, :8] = 118
    frames[:, 60:64, 90:94] = 42
    return frames, memory


BACKDROP = np.median(scenes()[0], axis=0).astype(np.uint8)


@pytest.fixture(scope="module")
def hues() -> Hues:
    frames, memory = scenes()
    made = Hues(find_hues(frames, memory, BACKDROP))
    made.learn(*(torch.from_numpy(part) for part in (BACKDROP, frames, memory)))
    return made


def test_colours_that_go_by_a_byte_are_found() -> None:
    frames, memory = scenes()
    assert find_hues(frames, memory, BACKDROP) == [(118, BYTE)]
    assert find_hues(np.where(frames > 42, 118, frames), memory, BACKDROP) == []


def test_frames_are_painted_and_made_plain_again(hues: Hues) -> None:
    frames, memory = (torch.from_numpy(part) for part in scenes(seed=1))
    plain = torch.from_numpy(BACKDROP).expand(COUNT, -1, -1)
    assert torch.equal(hues.paint(plain, memory), frames)
    assert torch.equal(hues.plain(frames, memory), plain)
    assert torch.equal(hues.paint(plain, memory)[3:5], hues.paint(plain[3:5], memory[3:5]))


def test_without_any_frames_stay_as_they_are() -> None:
    frames, memory = (torch.from_numpy(part) for part in scenes())
    none = Hues([])
    none.learn(torch.from_numpy(BACKDROP), frames, memory)
    assert torch.equal(none.paint(frames, memory), frames) and not none.state_dict()
