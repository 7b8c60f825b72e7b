"""A small network that reads the console's 128 bytes of memory from a few frames, learnt on the emulator's own play.

It sees how many pixels of a colour there are in each column and in each pair of rows, so the column of a sprite is
learnt once for all heights, and some ten thousand recordings do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from atari_dream.bundled import bundled_pool
from atari_dream.emulator import NOOP_MAX, Emulator
from atari_dream.errors import UsageError
from atari_dream.files import whole
from atari_dream.games import HEIGHT, WIDTH, get_game
from atari_dream.players import RandomPlayer

FRAMES = 4
"""Raw frames that a reader sees: what flickers is on one in two or three of them."""
COLOURS = 8
"""Colours that are told apart: those whose pixels come and go the most."""

_CELLS = (16, 15)
_FEATURES = 2 * COLOURS * (WIDTH + HEIGHT // 2) + _CELLS[0] * _CELLS[1]
_BATCH, _RATE = 256, 2e-3
_SURVEY = 300
"""Frames in which the liveliest colours are looked for."""
_HELD_OUT = 10
"""One in so many starts of the bundled pool is played from for validation alone."""
_POWER_ON, _SPACING, _LONGEST = 0.3, 12, 600


def rehearse(
    game: str, seed: int = 0, held_out: bool = False, lanes: int = 16
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Plays games in turns, from power-on and from the bundled starts, with actions held for random times.

    Args:
        game: Name of the game.
        seed: Seed of everything drawn.
        held_out: Whether to play from the starts kept for validation, and from them alone.
        lanes: Games played in turns.

    Yields:
        Raw frames in a row, uint8 (FRAMES, 210, 160), and the memory at the last of them, uint8 (128,).
    """
    rng = np.random.default_rng(seed)
    turns = [_lane(game, held_out, rng) for _ in range(lanes)]
    while True:
        for lane in turns:
            yield next(lane)


def _lane(game: str, held_out: bool, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One game after the other."""
    pool, emulator, player = bundled_pool(game), Emulator(game), RandomPlayer()
    starts = np.flatnonzero((np.arange(len(pool)) % _HELD_OUT == 0) == held_out)
    while True:
        if not held_out and rng.random() < _POWER_ON:
            emulator.reset(int(rng.integers(NOOP_MAX + 1)))
        else:
            emulator.restore(pool.batch(rng.choice(starts, 1)).ale[0].numpy())
        player.begin(get_game(game), 1, rng)
        left = int(rng.integers(1, _LONGEST))
        while left > 0 and not emulator.over:
            count = int(rng.integers(FRAMES, 2 * _SPACING - FRAMES + 1))
            left -= count
            frames = []
            for now in range(count):
                emulator.step([player.act(np.empty(0))])
                if now >= count - FRAMES:
                    frames.append(emulator.frame)
            yield np.stack(frames), emulator.ram


class RamReader(nn.Module):
    """One hidden layer over the profiles of colours.

    Attributes:
        game: Name of the game that it reads.
        colours: Palette codes that it tells apart, int64 (COLOURS,).
    """

    colours: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, game: str, hidden: int = 90) -> None:
        super().__init__()
        self.game = game
        self.register_buffer("colours", torch.zeros(COLOURS, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(_FEATURES))
        self.register_buffer("scale", torch.ones(_FEATURES))
        self.gather = nn.Linear(_FEATURES, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.bits = nn.Linear(hidden, 1024)

    def forward(self, profiles: Tensor) -> Tensor:
        """Logits of the bits of memory, float32 (B, 1024), highest bit of byte 0 first, of profiles (B, F)."""
        x = (profiles.float() - self.mean) * self.scale
        x = F.dropout(x, 0.1, self.training)
        bits: Tensor = self.bits(F.relu(self.norm(self.gather(x))))
        return bits

    @torch.no_grad()
    def read(self, window: np.ndarray) -> np.ndarray:
        """How sure each bit is 1, float32 (1024,), by raw frames in a row, uint8 (FRAMES, 210, 160)."""
        profile = torch.from_numpy(profile_of(window, self.colours.numpy()))
        sure: np.ndarray = self(profile[None])[0].sigmoid().numpy()
        return sure


def profile_of(window: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Counts of colours by column and pair of rows, now and over the frames before, and a coarse map, int16 (F,)."""
    parts = []
    for code in colours:
        mask = (window == code).view(np.uint8)
        for shown in (mask[-1], mask[:-1].sum(0, np.uint8)):
            parts.append(cv2.reduce(shown, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0])
            parts.append(cv2.reduce(shown, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).reshape(-1, 2).sum(1))
    parts.append(cv2.resize(window[-1], _CELLS, interpolation=cv2.INTER_AREA).ravel())
    return np.concatenate(parts).astype(np.int16)


@dataclass(frozen=True)
class Recordings:
    """The emulator's own play.

    Attributes:
        frames: Palette codes, uint8 (N, 210, 160).
        profiles: What a reader sees of each and the frames before, int16 (N, F).
        ram: The console's memory at each, uint8 (N, 128).
        colours: Palette codes that are told apart, int64 (COLOURS,).
    """

    frames: np.ndarray
    profiles: np.ndarray
    ram: np.ndarray
    colours: np.ndarray

    @classmethod
    def make(
        cls,
        game: str,
        count: int,
        seed: int = 0,
        held_out: bool = False,
        colours: np.ndarray | None = None,
        progress: Callable[[int], object] = lambda windows: None,
    ) -> "Recordings":
        """Records so many windows of play, with `rehearse`."""
        if colours is None:
            colours = _liveliest(
                np.stack([window[-1] for window, _ in islice(rehearse(game, seed), _SURVEY)])
            )
        frames = np.empty((count, HEIGHT, WIDTH), np.uint8)
        profiles, ram = np.empty((count, _FEATURES), np.int16), np.empty((count, 128), np.uint8)
        for place, (window, memory) in enumerate(islice(rehearse(game, seed, held_out), count)):
            frames[place], ram[place] = window[-1], memory
            profiles[place] = profile_of(window, colours)
            progress(1)
        return cls(frames, profiles, ram, colours)


def _liveliest(frames: np.ndarray) -> np.ndarray:
    """The colours whose pixels come and go the most, int64 (COLOURS,)."""
    changed = frames[1:] != frames[:-1]
    shown = np.concatenate([frames[1:][changed], frames[:-1][changed]])
    return np.argsort(-np.bincount(shown, minlength=256), kind="stable")[:COLOURS]


def learn_reader(
    game: str,
    recordings: Recordings,
    epochs: int = 20,
    seed: int = 0,
    progress: Callable[[int], object] = lambda epochs: None,
) -> RamReader:
    """Learns a reader.

    Args:
        game: Name of the game.
        recordings: What to learn from.
        epochs: How often each recording is seen.
        seed: Seed of the weights and the order.
        progress: Called with the number of epochs done.
    """
    torch.manual_seed(seed)
    reader = RamReader(game)
    profiles, bits = torch.from_numpy(recordings.profiles), torch.from_numpy(bits_of(recordings.ram))
    reader.colours.copy_(torch.from_numpy(recordings.colours))
    reader.mean.copy_(torch.from_numpy(recordings.profiles.mean(0)))
    reader.scale.copy_(torch.from_numpy(1 / recordings.profiles.std(0).clip(1)))
    optimizer = torch.optim.AdamW(reader.parameters(), _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(bits)).split(_BATCH):
            loss = F.binary_cross_entropy_with_logits(reader(profiles[batch]), bits[batch].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        progress(1)
    return reader.eval()


def bits_of(ram: np.ndarray) -> np.ndarray:
    """Bits of memory, uint8 (..., 128), highest first, uint8 (..., 1024)."""
    return np.unpackbits(ram, axis=-1)


@torch.no_grad()
def accuracy(reader: RamReader, count: int = 1000, seed: int = 1) -> np.ndarray:
    """Share of held-out windows in which each byte is read right, float64 (128,)."""
    kept = Recordings.make(reader.game, count, seed, held_out=True, colours=reader.colours.numpy())
    read = np.packbits((reader(torch.from_numpy(kept.profiles)) > 0).numpy(), axis=1)
    return np.asarray((read == kept.ram).mean(0))


def save_reader(reader: RamReader, path: Path) -> None:
    """Writes a reader, its weights as float16, whole or not at all."""
    weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in reader.state_dict().items()
    }
    with whole(path) as fresh:
        save_file(weights, fresh, {"game": reader.game})


def load_reader(path: Path, game: str) -> RamReader:
    """Reads a reader.

    Raises:
        UsageError: If it is missing, damaged or of another game.
    """
    try:
        weights = load_file(path)
        with safe_open(path, "pt") as file:
            made = file.metadata()["game"]
        reader = RamReader(game)
        reader.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise UsageError(f"reader {path} cannot be read: {str(error).splitlines()[0]}") from None
    if made != game:
        raise UsageError(f"reader {path} is of game {made!r}, not {game!r}")
    return reader.eval()
