"""Around: where a thing heads is found by counting, and what is learnt for a place is seen there alone."""

import numpy as np
import torch

from atari_dream.console.around import Around, Course, Thing, find_things
from atari_dream.console.changes import find_changes

COLUMN, ROW, TURN = 20, 21, 50
ACROSS = Course(COLUMN, finer=22, speed=24, factor=3, turn=TURN, bit=7)
DOWN = Course(ROW, finer=23, speed=25, factor=2, turn=TURN, bit=6)
FRAMES = 4


def steps(count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A ball that moves four frames; whatever else memory holds stays."""
    rng = np.random.default_rng(seed)
    before = np.zeros((count, 128), np.uint8)
    before[:, [COLUMN, ROW]] = rng.integers(40, 120, (count, 2))
    before[:, [22, 23, 24, 25, TURN, 70]] = rng.integers(256, size=(count, 6))
    after = before.copy()
    for course in (ACROSS, DOWN):
        way = np.where(before[:, course.turn] >> course.bit & 1, 1, -1)
        total = before[:, course.byte].astype(int) * 256 + before[:, course.finer]
        total += way * FRAMES * course.factor * before[:, course.speed]
        after[:, course.byte], after[:, course.finer] = total // 256, total % 256
    return before, after


def test_what_moves_is_found() -> None:
    before, after = steps()
    told = find_changes(before, after)
    assert find_things(told, before, after, [(COLUMN, ROW), (70, 70)], FRAMES) == [Thing(ACROSS, DOWN)]


def test_of_what_no_bit_turns_only_the_place_is_known() -> None:
    before, after = steps()
    told = find_changes(before, after)
    before[:, TURN], after[:, TURN] = 0, 0
    (thing,) = find_things(told, before, after, [(COLUMN, ROW)], FRAMES)
    assert not thing.moves and thing.bytes == {COLUMN, ROW}
    around = Around([thing], FRAMES)
    assert around.outputs * (FRAMES + 1) == Around([Thing(ACROSS, DOWN)], FRAMES).outputs
    seen = around(torch.from_numpy(before[:64]))
    before[:64, [22, 23, 24, 25, TURN, 70]] += 1
    assert torch.equal(around(torch.from_numpy(before[:64])), seen)


def test_a_course_tells_where_it_leads() -> None:
    before, after = steps()
    told = ACROSS.at(torch.from_numpy(before), torch.tensor([0.0, FRAMES]))
    assert torch.equal(told[:, 0], torch.from_numpy(before[:, COLUMN]).float())
    assert torch.equal(told[:, 1], torch.from_numpy(after[:, COLUMN]).float())


def test_what_is_learnt_for_a_place_is_seen_by_what_is_there_or_heads_there() -> None:
    torch.manual_seed(0)
    around = Around([Thing(ACROSS, DOWN)], FRAMES)
    memory = torch.zeros(3, 128, dtype=torch.uint8)
    memory[:, COLUMN], memory[:, ROW] = torch.tensor([60, 49, 90]), 80
    # the second moves 12 pixels to the right in four frames
    memory[1, [24, TURN]] = torch.tensor([255, 128], dtype=torch.uint8)
    seen = around(memory)
    assert seen.shape == (3, 1, around.outputs)
    seen[0].sum().backward()
    with torch.no_grad():
        for table in around.tables:
            assert table.grad is not None
            learnt = table.grad != 0
            assert learnt.any(1).sum() == 1, "what rests is in one cell of each grain"
            table += learnt
        other = (around(memory) != seen).flatten(1).any(1)
    assert other.tolist() == [True, True, False]


def test_without_things_there_is_nothing_to_store() -> None:
    around = Around([], FRAMES)
    assert list(around.parameters()) == []
    assert around(torch.zeros(5, 128, dtype=torch.uint8)).shape == (5, 0, around.outputs)
