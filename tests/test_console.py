"""Console: built and primed as real play suggests, it draws what memory tells, and learns single steps."""

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from test_panels import ACROSS, scenes

from atari_dream import noise
from atari_dream.canvas.cells import to_cells
from atari_dream.checkpoint import load_checkpoint
from atari_dream.console.branches import Branches, Play
from atari_dream.console.mechanics import Trunk
from atari_dream.console.new_games import NewGames
from atari_dream.console.reader import Reader
from atari_dream.course import Branched
from atari_dream.drills import Drills, Lanes, noted
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.models.console import Console
from atari_dream.players import RandomPlayer
from atari_dream.predictor import Domain, Start
from atari_dream.training import Trainer
from atari_dream.training_config import TrainingConfig

SMALL = {
    "width": 32,
    "blocks": 1,
    "circuit_widths": (8, 32, 32, 32),
    "circuit_blocks": 1,
    "sight": 32,
    "drawing": 32,
}
PLAYER_X, PLAYER_Y = 10, 16


@pytest.fixture(scope="module")
def plays(store: EpisodeStore) -> list[Play]:
    branches = Branches(store, "train", 8, 40, 4)
    return [branches[k] for k in range(5)]


@pytest.fixture(scope="module")
def told(plays: list[Play]) -> dict[str, Any]:
    return Console.survey(plays)


@pytest.fixture(scope="module")
def console(plays: list[Play], domain: Domain, told: dict[str, Any]) -> Console:
    torch.manual_seed(0)
    made = Console(domain, **SMALL, **told)
    made.prime(plays)
    return made


def test_its_survey_finds_the_player_and_is_the_same_every_time(
    plays: list[Play], told: dict[str, Any]
) -> None:
    assert told == Console.survey(plays)
    assert any((place.across.byte, place.down.byte) == (PLAYER_X, PLAYER_Y) for place in told["places"])
    assert {PLAYER_X, PLAYER_Y} <= set(told["lively"]) and len(told["changes"][PLAYER_X]) > 1
    assert {PLAYER_X, PLAYER_Y} in [thing.bytes for thing in told["things"]]


def test_play_in_which_nothing_moves_has_no_places(plays: list[Play]) -> None:
    still = plays[0]._replace(frames=torch.zeros_like(plays[0].frames))
    told = Console.survey([still])
    assert told["places"] == [] and told["panels"] == [] and told["looks"] == 1


@torch.no_grad()
def test_it_draws_what_memory_tells(console: Console, plays: list[Play]) -> None:
    frames, memory = plays[0].frames[:, 10], plays[0].memory[:, 10]
    shown = console.sprites.known(console.sprites.see(frames, memory))
    backdrop = to_cells(console.sprites.backdrop.expand(len(frames), -1, -1))
    cells = console.tables.shown(memory, backdrop)
    behind = cells.reshape(-1, 30, 20, 7, 8).transpose(2, 3).reshape(-1, 210, 160)
    drawn = console.sprites.draw(behind, memory, shown._replace(look=shown.look.clamp(min=0)))
    wrong = [(picture != frames).float().mean().item() for picture in (drawn, console.sprites.backdrop)]
    assert wrong[0] < 0.004 and wrong[0] < 0.5 * wrong[1]


@torch.no_grad()
def test_a_dream_begins_with_the_real_frame(console: Console, starts: Start) -> None:
    state = console.init(starts)
    assert torch.equal(console.decode(state).indices(), starts.frames[:, -1])
    assert torch.equal(state[3], starts.lives)


@torch.no_grad()
def test_it_begins_from_the_memory_of_a_start_where_it_is_asked_to(console: Console, starts: Start) -> None:
    read = console.init(starts)
    told = copy.copy(console)
    told.from_memory = True
    state = told.init(starts)
    assert torch.equal(state[2], starts.memory) and not torch.equal(read[2], starts.memory)
    assert torch.equal(state[0], read[0]) and torch.equal(state[3], read[3])
    assert torch.equal(console.init(starts)[2], read[2])


@torch.no_grad()
def test_what_pays_in_memory_pays_in_the_dream(console: Console, plays: list[Play]) -> None:
    memory, rewards, lives = (
        torch.cat([getattr(play, name) for play in plays]) for name in ("memory", "rewards", "lives")
    )
    paid = rewards[:, 1:] > 0
    earned, over, left = console.tally.told(memory[:, :-1][paid], memory[:, 1:][paid], lives[:, :-1][paid])
    assert paid.sum() > 20 and ((earned - rewards[:, 1:][paid]).abs() < 5).float().mean() > 0.8
    assert not over.any() and torch.equal(left, lives[:, 1:][paid])


@torch.no_grad()
def test_a_frame_that_is_given_is_shown_and_memory_stays(console: Console, starts: Start) -> None:
    state = console.init(starts)
    frame = starts.frames[:, 0]
    mask = torch.tensor([True, False, True, False, False])
    given = console.show(state, frame, mask)
    assert torch.equal(given[0][mask], frame[mask]) and torch.equal(given[0][~mask], state[0][~mask])
    assert torch.equal(given[2], state[2])


def test_both_readers_are_asked_and_taught(
    plays: list[Play], domain: Domain, told: dict[str, Any], starts: Start
) -> None:
    torch.manual_seed(0)
    made = Console(domain, **SMALL, second=16, **told)
    made.prime(plays[:1])
    other = cast(Reader, made.others[0])
    drills = Drills(made, noted(made, plays[:1]))
    drills(Lanes(torch.arange(16)), noise.key_of(torch.arange(16)), 0.0)[0]["model"].backward()
    for reader in (made.reader, other):
        assert reader.recall.weight.grad is not None and reader.recall.weight.grad.any()
    with torch.no_grad():
        before = made.init(starts)[2]
        place = told["lively"].index(PLAYER_X)
        sure = 40 * other.tell.weight[77, :, 0, 0]
        other.leave.bias.view(len(told["lively"]), -1)[place] = sure
        assert (made.init(starts)[2][:, PLAYER_X] == 77).all() and not (before[:, PLAYER_X] == 77).all()
        made.reader.leave.bias.view(len(told["lively"]), -1)[place] = -2 * sure
        assert not (made.init(starts)[2][:, PLAYER_X] == 77).any()


def test_drills_teach_all_parts(console: Console, plays: list[Play]) -> None:
    drills = Drills(console, noted(console, plays))
    optimizer = drills.optimizer(drills.groups()["model"], 3e-3)
    keys = [noise.fold(noise.key_of(torch.arange(64)), step) for step in range(61)]
    lanes = Lanes(torch.arange(64))
    begun = drills(lanes, keys[-1], 0.0)[1]
    for key in keys[:-1]:
        optimizer.zero_grad()
        drills(lanes, key, 0.0)[0]["model"].backward()
        optimizer.step()
    ended = drills(lanes, keys[-1], 0.0)[1]
    assert begun.keys() == ended.keys() == {"memory", "looks", "read"}
    assert all(ended[name] < 0.7 * begun[name] for name in begun)
    assert not any("notes" in name for name in drills.state_dict())


def test_fresh_play_takes_the_place_of_what_has_been_there_longest(
    console: Console, plays: list[Play]
) -> None:
    notes, fresh = noted(console, plays[:2]), plays[2:5]
    held = notes.memory.clone()
    drills = Drills(console, notes)
    lanes = torch.arange(8)
    for play in fresh:
        drills(Lanes(lanes, (play,)), noise.fold(noise.key_of(lanes), 0), 0.0)
    assert torch.equal(notes.memory, torch.cat([fresh[2].memory, fresh[1].memory]))
    assert not torch.equal(notes.memory, held)


@torch.no_grad()
def test_windows_in_a_row_are_read_as_each_alone(console: Console, plays: list[Play]) -> None:
    notes = noted(console, plays[:1])
    step, window = torch.tensor([5, 6]), torch.tensor([[20], [60]]) + torch.arange(8)
    row = console.terms(notes, step, window)["read"]
    alone = console.terms(notes, step, window.view(-1, 1))["read"]
    torch.testing.assert_close(row, alone)


@torch.no_grad()
def test_what_is_larger_than_a_shape_is_drawn_as_memory_tells(domain: Domain) -> None:
    frames, memory = (part.view(10, 40, *part.shape[1:]) for part in scenes())
    none, yes = torch.zeros(10, 40), torch.ones(10, 40, dtype=torch.bool)
    play = Play(frames, memory, torch.zeros(10, 40, 4).byte(), none, none.long(), ~yes, yes)
    told = Console.survey([play])
    (place,) = told["panels"]
    assert told["places"][place].across.byte == ACROSS
    made = Console(domain, **SMALL, **told)
    made.prime([play])
    cast(Trunk, made.mechanics).leave.bias.zero_()  # so memory stays as it is
    cells = to_cells(made.sprites.backdrop.expand(10, -1, -1))
    state = frames[:, 1], cells, memory[:, 0], none[:, 0].long()
    (drawn, *_), _ = made.step(
        state, play.actions[:, 0], {"change": torch.zeros(10, *made.noise["change"].shape)}
    )
    assert torch.equal(drawn == 20, frames[:, 0] == 20) and (drawn == 20).any()


@pytest.mark.slow
def test_it_trains_and_goes_on_to_the_same_weights(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atari_dream.course._COUNTED", 2)
    monkeypatch.setattr("atari_dream.console.causes._STATES", 60)

    def train(name: str, steps: int, resume: bool = False) -> Trainer:
        trainer = Trainer(
            TrainingConfig(
                **{
                    "model": "console",
                    "data": str(store.path),
                    "out": str(tmp_path / name),
                    "game": "pacman",
                },
                **{"config": SMALL, "batch": 8, "prime": 1024, "device": "cpu", "workers": 0},
                **{"validate_every": 2, "validation_windows": 2, "steps": steps, "resume": resume},
                policy="random",
            ),
            player=RandomPlayer(),
        )
        trainer.run()
        return trainer

    whole = train("whole", 4)
    train("parts", 2)
    parts = train("parts", 4, resume=True)
    wanted = whole.predictor.state_dict()
    assert wanted.keys() == parts.predictor.state_dict().keys()
    moved = [
        name for name, value in parts.predictor.state_dict().items() if not torch.equal(value, wanted[name])
    ]
    assert moved and all("weight" in name or "bias" in name or "table" in name for name in moved)
    assert isinstance(load_checkpoint(tmp_path / "parts"), Console)


def test_it_says_that_it_needs_play(store: EpisodeStore, tmp_path: Path) -> None:
    wanted = {"model": "console", "data": str(store.path), "out": str(tmp_path / "out"), "game": "pacman"}
    with pytest.raises(
        UsageError, match="learns from play that branches off the store, 0 frames asked for: give --prime"
    ):
        Trainer(TrainingConfig(**wanted, steps=1))


def test_what_memory_held_is_remembered_and_the_score_may_be_any(console: Console, plays: list[Play]) -> None:
    made = copy.deepcopy(console)
    made.mechanics.held.zero_()
    made.note(plays[0])
    scores = made.tally.counts()
    for byte in range(128):
        seen = range(256) if scores[byte] else sorted(set(plays[0].memory[:, :, byte].flatten().tolist()))
        assert made.mechanics.held[byte].nonzero()[:, 0].tolist() == list(seen)
    made.tally.worth[2 * PLAYER_X] = 10.0
    made.note(plays[0])
    assert made.mechanics.held[PLAYER_X].all()


def test_every_other_item_is_of_new_games(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainingConfig(
        model="console", data=str(store.path), out="", game="pacman", prime=1536, workers=0
    )
    alone, both = (Branched(config, store, player) for player in (None, RandomPlayer()))
    branches, mixed = alone._played, both._played
    games = NewGames("pacman", RandomPlayer(), 16, 24, 4)
    for k, wanted in enumerate((branches[0], games[0], branches[1], games[1])):
        assert all(torch.equal(*pair) for pair in zip(mixed[k], wanted, strict=True))


@torch.no_grad()
def test_bytes_that_nothing_comes_of_are_told_and_not_looked_at(
    store: EpisodeStore, plays: list[Play], domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atari_dream.console.causes._STATES", 60)
    config = TrainingConfig(
        model="console", data=str(store.path), out="", game="pacman", prime=1536, workers=0
    )
    told = Branched(config, store, None).survey()
    idle, mechanics = told["idle"], Console(domain, **SMALL, **told).mechanics
    memory, action = plays[0].memory[0, :8], plays[0].actions[0, :8]
    for part in mechanics.parameters():
        torch.nn.init.normal_(part)
    other, moved = memory.clone(), memory.clone()
    other[:, idle] = plays[1].memory[0, 8:16, idle]
    moved[:, PLAYER_X] += 1
    assert idle and not torch.equal(other, memory)
    assert torch.equal(mechanics(other, action), mechanics(memory, action))
    assert not torch.equal(mechanics(moved, action), mechanics(memory, action))
    assert {byte for byte in mechanics.changes.bytes.tolist() if len(told["changes"][byte]) > 1} & set(idle)


def test_what_learns_from_recordings_alone_refuses_a_player(store: EpisodeStore, tmp_path: Path) -> None:
    wanted = {"model": "c_ae", "data": str(store.path), "out": str(tmp_path / "out"), "game": "pacman"}
    with pytest.raises(UsageError, match=r"policy 'random' and player None given"):
        Trainer(TrainingConfig(**wanted, policy="random", steps=1))
    with pytest.raises(
        UsageError, match=r"learns from recordings alone: .* record --game pacman --policy random"
    ):
        Trainer(TrainingConfig(**wanted, policy="random", steps=1), player=RandomPlayer())
