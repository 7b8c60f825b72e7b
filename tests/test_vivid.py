"""Vivid: begins as copy-last, is built as its data suggests, and its rewards go with what it shows."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from model_cases import actions, build, play

from atari_dream import noise
from atari_dream.bundled import bundled_pool
from atari_dream.canvas.cells import to_cells
from atari_dream.canvas.counts import NUMBERS
from atari_dream.canvas.moves import LAGS, SOURCES
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import read_json
from atari_dream.models import vivid
from atari_dream.models.vivid import Vivid
from atari_dream.registry import create_model
from atari_dream.training import Trainer
from atari_dream.training_config import TrainingConfig
from atari_dream.windows import Windows, domain_of

SMALL = {"channels": 8, "deep": 8, "blocks": 1, "hidden": 8, "sketch": 2}


def train(store: EpisodeStore, out: Path, **how: object) -> Trainer:
    settings = {"steps": 1, "batch": 1, "horizon": 1, "validation_windows": 1, "workers": 0, **how}
    trainer = Trainer(
        TrainingConfig("vivid", str(store.path), str(out), store.game, SMALL, **settings)  # type: ignore[arg-type]
    )
    trainer.run()
    return trainer


def test_untrained_it_hardly_changes_anything(store: EpisodeStore) -> None:
    torch.manual_seed(0)
    predictor = create_model("vivid", domain_of(store, 4), **SMALL).eval()
    start = bundled_pool("pacman").batch(np.arange(5))
    _, _, frames = play(predictor, start, noise.key_of(torch.arange(5)), actions(3))
    assert (frames[-1] != start.frames[:, -1]).float().mean() < 0.01


def test_only_so_many_cells_change_in_a_step(store: EpisodeStore) -> None:
    predictor = build("vivid", domain_of(store, 4))
    assert isinstance(predictor, Vivid)
    with torch.no_grad():
        predictor.recolouring.enter.zero_()
        predictor.recolouring.habit.copy_(torch.eye(len(predictor.domain.colours)))
    start = bundled_pool("pacman").batch(np.arange(5))
    _, _, frames = play(predictor, start, noise.key_of(torch.arange(5)), actions(3))
    changed = [(to_cells(after) != to_cells(before)).any(-1).sum(1) for before, after in pairwise(frames)]
    assert 0 < torch.stack(changed).max() <= predictor.redrawing.drawn + predictor.display.count


def test_the_memory_begins_with_the_context(store: EpisodeStore) -> None:
    predictor = build("vivid", domain_of(store, 4))
    start = bundled_pool("pacman").batch(np.arange(5))
    present, frames, ground, *_ = predictor.init(start)
    assert torch.equal(present, to_cells(start.frames[:, -1]))
    for age in range(LAGS):
        assert torch.equal(frames[:, age], to_cells(start.frames[:, -2 - age]))
    still = (start.frames[:, -8:-1] == start.frames[:, -2:-1]).all(1)
    assert ((ground == to_cells(start.frames[:, -2])) | ~to_cells(still)).all()


def test_what_is_drawn_matters_for_what_is_earned(store: EpisodeStore) -> None:
    predictor = build("vivid", domain_of(store, 4))
    assert isinstance(predictor, Vivid)
    present, lives = torch.zeros(1, 600, 56, dtype=torch.uint8), torch.tensor([3])
    loose = torch.zeros(1, 600, NUMBERS)
    shown = present.clone()
    nothing = predictor._outcome(present, shown, loose, lives)
    shown[0, 590] = 14
    assert not torch.equal(predictor._outcome(present, shown, loose, lives), nothing)


def test_the_display_follows_what_is_earned_and_does_not_tell_it(store: EpisodeStore) -> None:
    predictor = build("vivid", domain_of(store, 4))
    assert isinstance(predictor, Vivid)
    predictor.display.earned.mul_(500.0)
    cells = predictor.display.cells.tolist()
    state = predictor.init(bundled_pool("pacman").batch(np.arange(1)))
    action = torch.zeros(1, 4, dtype=torch.uint8)
    shown = []
    for place in range(len(predictor.domain.rewards)):
        drawn = {name: torch.zeros(1, *spec.shape) for name, spec in predictor.noise.items()}
        drawn["reward"][0, place] = 1e6
        after, outcome = predictor.step(state, action, drawn)
        assert outcome.reward == predictor.domain.rewards[place]
        shown.append(after[0][0])
    everywhere = torch.stack(shown)
    differs = (everywhere != everywhere[0]).any(0).any(-1).nonzero()[:, 0].tolist()
    assert differs and set(differs) <= set(cells)


def test_its_survey_finds_moves_and_is_the_same_every_time(store: EpisodeStore) -> None:
    windows = Windows(store, "train", 16, 1, 1, 4)
    clips = [windows[k] for k in range(30)]
    told = [Vivid.survey(clips) for _ in range(2)]
    assert told[0] == told[1]
    moves = np.array(told[0]["moves"])
    assert len(moves) > 4 and (moves[:, 0] < SOURCES).all() and moves[:, :3].any(1).all()
    assert told[0]["drawn"] % 8 == 0 and 48 <= told[0]["drawn"] <= 192


@pytest.mark.slow
def test_it_is_built_as_its_data_suggests_and_goes_on_so(store: EpisodeStore, tmp_path: Path) -> None:
    first = train(store, tmp_path / "first")
    told = read_json(tmp_path / "first" / "config.json", "checkpoint")["config"]
    assert told == first.built and told["moves"] and told["channels"] == 8
    again = train(store, tmp_path / "again", init=str(tmp_path / "first"))
    assert again.built == first.built


@pytest.mark.slow
def test_it_is_primed_before_it_is_rolled_out(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vivid, "_CELLS_DRILL", (8, 3))
    monkeypatch.setattr(vivid, "_STEPS_DRILL", (8, 3))
    monkeypatch.setattr("atari_dream.course._SURVEY_CLIPS", 10)
    plain, primed = (train(store, tmp_path / str(frames), prime=frames) for frames in (0, 800))
    assert primed.elapsed > plain.elapsed
    for name in ("reflex.look.weight", "tally.look.weight"):
        assert not torch.equal(primed.predictor.get_parameter(name), plain.predictor.get_parameter(name))
    again = train(store, tmp_path / "800", prime=800, steps=2, resume=True)
    assert again.step == 2
    with pytest.raises(UsageError, match="prime"):
        train(store, tmp_path / "800", prime=0, steps=3, resume=True)
