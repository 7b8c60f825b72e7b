"""Shared fixtures: a tiny predictor that learns, a tiny store, pool and drift measurement, all of real play."""

import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from broken import Endless, Late
from torch import Tensor

from atari_dream import longrun
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import save_checkpoint
from atari_dream.drift import Measured, measure
from atari_dream.episodes import EpisodeStore
from atari_dream.layers import ActionEmbedding, FrameEmbedding, OutcomeHead, PaletteHead
from atari_dream.players import RandomPlayer
from atari_dream.pool_building import build_pool
from atari_dream.predictor import Domain, Frames, Lesson, Noise, Outcome, Predictor, Start, State, Target
from atari_dream.protocol import Entry, Protocol, open_entries
from atari_dream.recorder import Recording
from atari_dream.registry import create_model, register_model
from atari_dream.starts import StartPool
from atari_dream.summary import summarise
from atari_dream.windows import domain_of

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it for what it starts
torch.set_num_threads(1)
cv2.setNumThreads(1)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def gradients() -> None:
    """A test that is stopped inside `no_grad` leaves gradients off: the next one begins with them."""
    torch.set_grad_enabled(True)


@register_model("tiny")
class Tiny(Predictor):
    """Predicts the next frame from the last one alone. State: frame uint8 (B, 210, 160), lives int64 (B,)."""

    context = 2
    batch_invariant = True

    def __init__(self, domain: Domain, channels: int = 4) -> None:
        super().__init__(domain)
        self.noise = {
            "reward": Noise("gumbel", (len(domain.rewards),)),
            "terminated": Noise("gumbel", (2,)),
        }
        self.embed = FrameEmbedding(1, channels)
        self.act = ActionEmbedding(domain.frame_skip, channels)
        self.pixels = PaletteHead(domain.colours, channels)
        self.outcome = OutcomeHead(channels, len(domain.rewards) + 2, hidden=16)

    def init(self, start: Start) -> State:
        return start.frames[:, -1].clone(), start.lives.clone()

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        frame, lives = state
        logits, reward, terminated = self._predict(frame, action)
        gained = torch.tensor(self.domain.rewards, device=frame.device)[(reward + noise["reward"]).argmax(-1)]
        over = (terminated + noise["terminated"]).argmax(-1).bool()
        return (self.pixels.choose(logits, frame), lives.clone()), Outcome(gained, over, lives.clone())

    def decode(self, state: State) -> Frames:
        return Frames(state[0])

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor], compete: bool = False
    ) -> Lesson:
        frame, lives = state
        logits, reward, terminated = self._predict(frame, action)
        gained = (
            (target.reward[:, None] - torch.tensor(self.domain.rewards, device=frame.device)).abs().argmin(1)
        )
        terms = {
            "pixels": self.pixels.nll(logits, frame, target.frame),
            "reward": F.cross_entropy(reward, gained, reduction="none"),
            "terminated": F.cross_entropy(terminated, target.terminated.long(), reduction="none"),
        }
        return Lesson((self.pixels.choose(logits.detach(), frame), lives.clone()), terms)

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        return torch.where(mask[:, None, None], frame, state[0]), state[1]

    def _predict(self, frame: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.embed(frame) + self.act(action)
        reward, terminated = self.outcome(features).split((len(self.domain.rewards), 2), dim=1)
        return self.pixels(features), reward, terminated


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what the real game does out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATARI_DREAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def make_checkpoint(folder: Path, store: EpisodeStore, seed: int = 0) -> str:
    """Writes a checkpoint of `Tiny` with wild parameters and gives the path."""
    torch.manual_seed(seed)
    predictor = create_model("tiny", domain_of(store, 4))
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_checkpoint(folder, predictor, "tiny", {}, {}, "no data")
    return str(folder)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    """Ms. Pac-Man at frame skip 4: a whole game in the test split, the first 150 steps of three more."""
    made = EpisodeStore.create(tmp_path_factory.mktemp("stores") / "pacman", "pacman", 4, "ale")
    for seed, split in enumerate(("train", "train", "validation")):
        made.add(Recording("pacman", RandomPlayer(), longest=600, split=split).play(seed))
    made.add(Recording("pacman", RandomPlayer(), split="test").play(3))
    made.close()
    return made


@pytest.fixture(scope="session")
def pool(store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory) -> StartPool:
    """Sixteen starts from the test split of `store`."""
    return build_pool(store, tmp_path_factory.mktemp("pools") / "pacman", count=16)


@pytest.fixture(scope="session")
def domain(store: EpisodeStore) -> Domain:
    """What `store` holds, at its frame skip."""
    return domain_of(store, 4)


@pytest.fixture(scope="session")
def starts(pool: StartPool) -> Start:
    """Five starts of `pool`, for the lanes of `model_cases`."""
    return pool.batch(np.arange(5))


@pytest.fixture(scope="session")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set `atari_v1` with one real replay a game."""
    folder = tmp_path_factory.mktemp("replays")
    with tarfile.open(Path(__file__).parent / "data" / "replays.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "atari_v1"


DRIFT_STARTS, DRIFT_HORIZON = 4, 12
DRIFT_NAMES = ["emulator", "copy_last", "background", "late", "endless"]


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    """A small drift measurement in Pinball, of whose starts one ends, and all hold a ball."""
    pool = bundled_pool("pinball")
    return Protocol.of(pool, DRIFT_STARTS, DRIFT_HORIZON, control_starts=2, long_starts=2)


@pytest.fixture(scope="session")
def drift_entries() -> list[Entry]:
    """The controls and two broken dreams."""
    pool = bundled_pool("pinball")
    domain = Domain("pinball")
    dreams = {"late": Late(domain, pool.usual), "endless": Endless(domain)}
    return open_entries([], pool) + [Entry(name, "checkpoint", dream) for name, dream in dreams.items()]


@pytest.fixture(scope="session")
def measured(
    protocol: Protocol, drift_entries: list[Entry], tmp_path_factory: pytest.TempPathFactory
) -> Measured:
    """What came out; runs are of 200 steps, not 1,000."""
    cache = tmp_path_factory.mktemp("truth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(longrun, "STEPS", 200)
        return measure(protocol, bundled_pool("pinball"), drift_entries, 0, cache=cache)


@pytest.fixture(scope="session")
def listed(drift_entries: list[Entry]) -> list[tuple[str, str]]:
    """Names and kinds."""
    return [(entry.name, str(entry.kind)) for entry in drift_entries]


@pytest.fixture(scope="session")
def summary(protocol: Protocol, measured: Measured, listed: list[tuple[str, str]]) -> dict[str, Any]:
    """What is told of it."""
    return summarise(protocol, listed, measured, "atari-dream drift & <more>")


@pytest.fixture
def start(pool: StartPool) -> Start:
    """Three starts of `pool`."""
    return pool.batch(np.arange(3))
