"""Reader: frames are described to the pixel, and a byte is read off where something stands."""

import copy

import pytest
import torch

from atari_dream import noise
from atari_dream.console.mechanics import weight_of
from atari_dream.console.reader import KINDS, Clues, Reader
from atari_dream.console.sprites import Sighted

CONTEXT, COUNT = 2, 600
COLUMN, SCORE = 30, 40


def scenes(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A box stands at the column that byte 30 tells, 40 to 120; byte 40 is 7 or 9, which nothing shows."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.zeros(COUNT, 128, dtype=torch.uint8)
    memory[:, COLUMN] = 40 + torch.randint(81, (COUNT,), generator=generator).to(torch.uint8)
    memory[:, SCORE] = 7
    frames = torch.zeros(COUNT, 210, 160, dtype=torch.uint8)
    for frame, column in zip(frames, memory[:, COLUMN].tolist(), strict=True):
        frame[100:108, column : column + 6] = 66
    return frames, memory


def seen(reader: Reader, frames: torch.Tensor) -> tuple[torch.Tensor, Clues]:
    profiles, cells = reader.profile(frames)
    nothing = Sighted(
        torch.zeros(len(frames), CONTEXT, 1, 2).byte(), torch.zeros(len(frames), CONTEXT, 1).bool()
    )
    actions = torch.zeros(len(frames), CONTEXT, dtype=torch.uint8)
    sketches = reader.sketched(profiles)[:, None].expand(-1, CONTEXT, -1)
    return sketches, Clues(cells, nothing, actions)


@pytest.fixture(scope="module")
def reader() -> Reader:
    torch.manual_seed(0)
    made = Reader([COLUMN], [], 1, CONTEXT, sketch=16, width=48)
    frames, memory = scenes()
    made.learn(torch.zeros(210, 160, dtype=torch.uint8), frames, memory)
    learnt = [part for part in made.parameters() if part.requires_grad]
    optimizer = torch.optim.AdamW(learnt, 4e-3)
    for _ in range(60):
        for chosen in torch.randperm(COUNT).split(150):
            optimizer.zero_grad()
            made.nll(*seen(made, frames[chosen]), memory[chosen]).mean().backward()
            optimizer.step()
    return made.requires_grad_(False)


def test_profiles_count_pixels_by_column_and_row(reader: Reader) -> None:
    frames, memory = scenes()
    profiles, cells = reader.profile(frames[:1])
    column = int(memory[0, COLUMN])
    counts = profiles.view(1, KINDS, -1)[0, 0]
    assert (
        counts[column : column + 6].tolist() == [8] * 6 and counts[160 + 100 : 160 + 108].tolist() == [6] * 8
    )
    assert counts.sum() == 96 and not profiles.view(1, KINDS, -1)[0, 1:].any()
    assert cells.sum() == 48


def test_it_reads_what_is_shown_of_frames_that_it_never_saw(reader: Reader) -> None:
    frames, memory = scenes(seed=1)
    read = reader.likeliest(reader(*seen(reader, frames)), torch.zeros(COUNT, 128, 256))
    assert ((read[:, COLUMN].int() - memory[:, COLUMN].int()).abs() <= 1).float().mean() > 0.9


def test_what_never_changes_is_known(reader: Reader) -> None:
    frames, _ = scenes()
    read = reader.likeliest(reader(*seen(reader, frames)), torch.zeros(COUNT, 128, 256))
    assert (read[:, SCORE] == 7).all() and not read[:, :COLUMN].any()


def test_what_nothing_comes_of_counts_little(reader: Reader) -> None:
    frames, memory = scenes(seed=1)
    looked = seen(reader, frames)
    nats = reader.nll(*looked, memory)
    idle = copy.deepcopy(reader)
    idle.weight = weight_of(reader.bytes, reader.bytes.tolist())
    torch.testing.assert_close(idle.nll(*looked, memory), 0.1 * nats)


def test_what_a_cell_shows_is_believed(reader: Reader) -> None:
    frames, _ = scenes(seed=2)
    against = torch.ones(COUNT, 128, 256)
    against[:, COLUMN, 99] = 0
    read = reader.likeliest(reader(*seen(reader, frames)), 20 * against)
    assert (read[:, COLUMN] == 99).float().mean() > 0.9 and (read[:, SCORE] == 7).all()


def test_keys_leave_something_out_for_each_lane_by_itself(reader: Reader) -> None:
    frames, memory = scenes(seed=3)
    sketches, clues = seen(reader, frames[:20])
    keys = noise.key_of(torch.arange(20))
    nats = reader.nll(sketches, clues, memory[:20], keys)
    assert torch.equal(nats, reader.nll(sketches, clues, memory[:20], keys))
    assert not torch.isclose(nats, reader.nll(sketches, clues, memory[:20])).any()
    changed = keys.clone()
    changed[0] += 1
    same = torch.isclose(nats, reader.nll(sketches, clues, memory[:20], changed))
    assert not same[0] and same[1:].all()


def test_what_is_left_makes_up_for_what_is_left_out(reader: Reader) -> None:
    frames, _ = scenes(seed=3)
    sketches, clues = seen(reader, frames[:1].expand(4000, -1, -1))
    heard: list[torch.Tensor] = []
    hook = reader.recall.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    reader(
        sketches, clues._replace(actions=clues.actions[:1].expand(4000, -1)), noise.key_of(torch.arange(4000))
    )
    hook.remove()
    whole = sketches.flatten(1)[0]
    torch.testing.assert_close(heard[0].mean(0), whole, rtol=0.05, atol=1e-3)
    left_out = (heard[0][:, whole != 0] == 0).float().mean()
    assert 0.13 < left_out < 0.17
