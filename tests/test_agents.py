import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from tqdm import tqdm

from atari_dream.agents import ppo
from atari_dream.agents.evaluation import Policy, estimate, evaluate, play, uniform
from atari_dream.agents.loading import load_agent, save_agent
from atari_dream.agents.players import AgentPlayer
from atari_dream.agents.ppo import Budget, SignRewards, train_ppo
from atari_dream.agents.venue import Venue
from atari_dream.cli import run
from atari_dream.emulator import Emulator
from atari_dream.envs import DreamVecEnv
from atari_dream.envs.lanes import World
from atari_dream.envs.options import Options
from atari_dream.errors import UsageError
from atari_dream.games import get_game

Capture = pytest.CaptureFixture[str]

STILL = Venue("pacman", "dream", "copy_last", horizon=20)
REAL = Venue("pacman", "real")
PACMAN = get_game("pacman")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of an agent that played the first 100 steps of two real games."""
    path = tmp_path_factory.mktemp("agents") / "agent.zip"
    train_ppo(replace(REAL, horizon=100), path, Budget(208), envs=2, seed=5)
    return path


def world_of(venue: Venue) -> World:
    return World(Options.of(venue.game, **venue.keywords()))


def always(action: int) -> Policy:
    return lambda observation: np.full(len(observation), action)


def command(capsys: Capture, *arguments: object) -> tuple[Any, str, str]:
    """Exit code, output and errors of a command line."""
    with pytest.raises(SystemExit) as ended:
        run([str(argument) for argument in arguments])
    return ended.value.code, *capsys.readouterr()


class TestVenue:
    def test_the_real_game_is_whole_games_from_power_on(self) -> None:
        keywords = REAL.keywords()
        assert keywords["checkpoint"] == "emulator" and keywords["device"] == "cpu"
        assert (keywords["starts"], keywords["horizon"], keywords["sticky"]) == ("power-on", None, 0.0)

    def test_the_dream_begins_in_the_pool(self) -> None:
        keywords = Venue("pacman", sticky=0.25).keywords()
        assert keywords["checkpoint"] is None
        assert (keywords["starts"], keywords["horizon"], keywords["sticky"]) == (None, 1000, 0.25)

    def test_starts_and_horizon_can_be_chosen(self) -> None:
        assert Venue("pacman", "real", starts="pool").keywords()["horizon"] == 1000
        assert Venue("pacman", "real", horizon=9).keywords()["horizon"] == 9

    def test_the_real_game_takes_no_checkpoint(self) -> None:
        with pytest.raises(UsageError, match="takes no checkpoint"):
            Venue("pacman", "real", "copy_last")


@pytest.mark.slow
class TestTraining:
    def test_an_agent_knows_what_it_learnt_from(self, trained: Path) -> None:
        origin = load_agent(trained, PACMAN).origin
        assert origin["game"] == "pacman" and origin["place"] == "real" and origin["starts"] == "power-on"
        assert origin["algo"] == "ppo" and origin["steps"] == 208 and origin["seed"] == 5

    def test_it_learns(self, trained: Path) -> None:
        fresh = ppo.make_ppo(DreamVecEnv("pacman", 2, **REAL.keywords()), REAL, 208, seed=5)
        before, after = fresh.policy.state_dict(), load_agent(trained, PACMAN).policy.state_dict()
        assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))

    def test_the_seed_decides(self, tmp_path: Path) -> None:
        weights = []
        for number, seed in enumerate((1, 1, 2)):
            path = tmp_path / f"{number}.zip"
            train_ppo(REAL, path, Budget(16), envs=2, seed=seed)
            weights.append(load_agent(path, PACMAN).policy.action_net.weight)
        assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])

    def test_learning_sees_the_sign_of_rewards(self) -> None:
        plain, signed = (DreamVecEnv("pacman", 2, **REAL.keywords()) for _ in range(2))
        signed = SignRewards(signed)
        for env in (plain, signed):
            env.seed(0)
            env.reset()
        steps = [(plain.step(moves)[1], signed.step(moves)[1]) for moves in [np.full(2, 3)] * 90]
        points, signs = (np.array(part) for part in zip(*steps, strict=True))
        assert points.max() >= 10
        assert np.array_equal(signs, np.sign(points))

    def test_its_score_is_in_game_points(self, trained: Path) -> None:
        assert load_agent(trained, PACMAN).origin["score"] % 5 == 0
        assert load_agent(trained, PACMAN).origin["score"] >= 10

    def test_time_ends_it(self, tmp_path: Path) -> None:
        report = train_ppo(STILL, tmp_path / "agent.zip", Budget(minutes=1e-6), envs=2)
        assert report["steps"] == 2 and load_agent(tmp_path / "agent.zip", PACMAN).num_timesteps == 2

    def test_without_an_end_it_is_refused(self) -> None:
        with pytest.raises(UsageError, match="--steps N or --minutes T"):
            Budget()

    def test_saves_while_it_learns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ppo, "SAVE_SECONDS", 0.0)
        path, there = tmp_path / "agent.zip", []
        train_ppo(STILL, path, Budget(16), envs=2, progress=lambda steps, score: there.append(path.exists()))
        assert there == [False] + [True] * 7

    def test_an_interrupt_saves(self, tmp_path: Path) -> None:
        path, told = tmp_path / "agent.zip", []

        def interrupt(steps: int, score: float | None) -> None:
            told.append(steps)
            if len(told) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_ppo(STILL, path, Budget(64), envs=2, progress=interrupt)
        assert load_agent(path, PACMAN).origin["steps"] == 6

    def test_a_failed_save_leaves_the_last_one(
        self, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "agent.zip"
        path.write_bytes(trained.read_bytes())
        agent = load_agent(path, PACMAN)

        def fail(file: IO[bytes], **options: object) -> None:
            file.write(b"half")
            raise RuntimeError("full")

        monkeypatch.setattr(agent, "save", fail)
        with pytest.raises(RuntimeError, match="full"):
            save_agent(agent, path, {})
        assert path.read_bytes() == trained.read_bytes() and list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
class TestPlaying:
    def test_a_score_is_the_real_game_s(self) -> None:
        """The same actions, played on a console without any environment."""
        venue = Venue("space_invaders", "real")
        played = play(world_of(venue), uniform(6, seed=3), games=1, seed=11)
        console, game, policy = Emulator("space_invaders"), get_game("space_invaders"), uniform(6, seed=3)
        world = world_of(venue)
        start = world.begin(torch.tensor([11]), torch.tensor([0])).start
        console.reset(noops=int(start))
        steps = 0
        while not console.over:
            console.step([game.actions[policy(np.zeros(1))[0]]] * 4)
            steps += 1
        assert played.scores[0] == console.score > 0
        assert played.steps[0] == steps and played.terminated[0]

    def test_a_game_does_not_depend_on_its_neighbours(self) -> None:
        world = world_of(Venue("qbert", "real"))
        together = play(world, always(3), games=3, seed=2)
        alone = [play(world, always(3), games=1, seed=2 + lane) for lane in range(3)]
        assert len(set(together.steps)) > 1 and together.terminated.all() and together.scores.min() > 0
        for name in ("scores", "steps", "terminated"):
            assert getattr(together, name).tolist() == [getattr(game, name)[0] for game in alone]

    def test_a_cut_game_is_not_over(self) -> None:
        ended = []
        played = play(world_of(STILL), always(0), games=3, progress=ended.append)
        assert played.steps.tolist() == [20] * 3 and not played.terminated.any() and sum(ended) == 3

    def test_uniform_plays_every_action(self) -> None:
        drawn = uniform(9, seed=0)(np.zeros(9000))
        assert np.bincount(drawn, minlength=9).min() > 800 and len(np.bincount(drawn)) == 9

    def test_a_recorded_player_sees_what_the_environment_shows(self, trained: Path) -> None:
        player = AgentPlayer(str(trained), deterministic=True)
        player.begin(PACMAN, 4, np.random.default_rng(0))
        seen = []
        agent = load_agent(trained, PACMAN)

        def watch(observation: np.ndarray) -> np.ndarray:
            action = agent.predict(observation, deterministic=True)[0]
            seen.append(PACMAN.actions[action[0]])
            return action

        world = world_of(Venue("pacman", "real", horizon=40))
        play(world, watch, games=1, seed=4)
        console, acted = Emulator("pacman"), []
        console.reset(noops=int(world.begin(torch.tensor([4]), torch.tensor([0])).start))
        for _ in seen:
            acted.append(player.act(console.frame))
            console.step([acted[-1]] * 4)
        assert acted == seen

    def test_a_player_decides_every_fourth_frame(self, trained: Path) -> None:
        player = AgentPlayer(str(trained))
        player.begin(PACMAN, 1, np.random.default_rng(0))
        frame = Emulator("pacman").frame
        acted = np.array([player.act(frame) for _ in range(160)]).reshape(-1, 4)
        assert (acted == acted[:, :1]).all() and len(np.unique(acted)) > 1


@pytest.mark.slow
class TestEvaluation:
    def test_the_same_zip_plays_in_both(self, trained: Path) -> None:
        agent = load_agent(trained, PACMAN)
        still = evaluate(agent, STILL, games=2)
        assert still["agent"]["scores"] == [0, 0] and still["agent"]["steps"] == [20, 20]
        real = evaluate(agent, Venue("pacman", "real", horizon=120), games=3, seed=1)
        assert real["revision"] == "emulator" and max(real["random"]["scores"]) > 0
        gained = np.subtract(real["agent"]["scores"], real["random"]["scores"])
        assert real["difference"]["mean"] == pytest.approx(gained.mean())

    def test_the_seed_decides(self, trained: Path) -> None:
        agent, venue = load_agent(trained, PACMAN), Venue("pacman", "real", horizon=100)
        first, again, other = (evaluate(agent, venue, games=4, seed=seed) for seed in (1, 1, 2))
        assert first == again != other

    def test_an_estimate_is_the_mean_and_its_interval(self) -> None:
        values = np.random.default_rng(1).normal(100, 20, 400)
        found = estimate(values)
        assert found["mean"] == values.mean()
        assert found["ci95"] == pytest.approx([values.mean() - 1.96, values.mean() + 1.96], abs=0.25)

    def test_equal_values_have_no_spread(self) -> None:
        assert estimate(np.full(5, 3.0)) == {"mean": 3.0, "ci95": [3.0, 3.0]}


class TestCommand:
    def test_train_and_evaluate(self, tmp_path: Path, capsys: Capture) -> None:
        zipped, result = tmp_path / "agent.zip", tmp_path / "result.json"
        train = ("agent", "train", "--algo", "ppo", "--game", "pacman", "--in", "dream", "--steps", 32)
        options = ("--checkpoint", "copy_last", "--envs", 2, "--horizon", 10, "--sticky", 0.25)
        code, out, _ = command(capsys, *train, *options, "--out", zipped, "--json")
        assert code == 0
        report = json.loads(out)
        assert report["steps"] == 32 and report["horizon"] == 10 and report["sticky"] == 0.25
        score = ("agent", "evaluate", "--agent", zipped, "--game", "pacman", "--in", "real", "--horizon", 30)
        code, out, _ = command(capsys, *score, "--games", 2, "--seed", 7, "--out", result, "--json")
        assert code == 0
        shown = json.loads(out)
        assert shown == json.loads(result.read_text()) and shown["origin"]["checkpoint"] == "copy_last"
        assert list(shown["starts"]) == ["power-on", "pool"]
        assert len(shown["starts"]["pool"]["random"]["scores"]) == 2

    def test_evaluate_prints_a_table(self, trained: Path, capsys: Capture) -> None:
        score = ("agent", "evaluate", "--agent", trained, "--game", "pacman", "--in", "dream", "--games", 2)
        code, out, _ = command(capsys, *score, "--checkpoint", "copy_last", "--horizon", 5, "--deterministic")
        assert code == 0
        rows = [line.split() for line in out.splitlines()[2:]]
        assert [row[:3] for row in rows] == [
            ["pool", name, "0.0"] for name in ("agent", "random", "difference")
        ]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ("train --algo dqn --game pacman --in real --steps 9 --out {new}", "'dqn' is not 'ppo'"),
            ("train --game pacmen --in real --steps 9 --out {new}", "nearest is 'pacman'"),
            ("train --game pacman --in sleep --steps 9 --out {new}", "not one of 'dream', 'real'"),
            ("train --game pacman --in real --out {new}", "give --steps N or --minutes T"),
            ("train --game pacman --in real --steps 9 --out {folder}", "it is a folder"),
            ("train --game pacman --in real --steps 9 --checkpoint x --out {new}", "takes no checkpoint"),
            ("evaluate --agent {new} --game pacman --in real", "no agent at"),
            ("evaluate --agent {text} --game pacman --in real", "is no saved agent of PPO, A2C, DQN"),
            ("evaluate --agent {agent} --game pinball --in real", "learnt game 'pacman', not 'pinball'"),
            ("evaluate --agent {agent} --game pacman --in real --games 1", "--games"),
            ("evaluate --agent {agent} --game pacman --in real --out {folder}", "it is a folder"),
        ],
    )
    def test_a_mistake_is_one_line(
        self, arguments: str, says: str, trained: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        (tmp_path / "text.zip").write_text("no zip")
        places = {
            "new": tmp_path / "new.zip",
            "folder": tmp_path,
            "text": tmp_path / "text.zip",
            "agent": trained,
        }
        code, out, errors = command(capsys, "agent", *arguments.format(**places).split())
        assert code == 2 and out == "" and says in errors and errors.count("\n") == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["text.zip"]

    def test_an_agent_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        env = DreamVecEnv("qbert", 2, checkpoint="emulator", observation="dqn", starts="power-on")
        path = tmp_path / "foreign.zip"
        ppo.make_ppo(env, Venue("qbert", "real"), 16, seed=0).save(path)
        with pytest.raises(UsageError, match=r"has 6 actions; pacman needs .* and 9"):
            load_agent(path, PACMAN)

    def test_control_c_saves_and_ends_with_130(
        self, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[int] = []

        def press(bar: tqdm, steps: int) -> None:
            told.append(steps)
            if len(told) == 3:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(tqdm, "update", press)
        path = tmp_path / "agent.zip"
        words = f"agent train --game pacman --in real --minutes 5 --envs 2 --out {path}"
        code, out, errors = command(capsys, *words.split())
        assert code == 130 and out == "" and errors.strip() == "atari-dream: interrupted"
        assert load_agent(path, PACMAN).origin["steps"] == 6
