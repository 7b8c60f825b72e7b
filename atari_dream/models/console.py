"""Console: dreams the memory of the console, 128 bytes, and draws what they tell.

This project's own. A game is a program; its whole state is in the console's memory, and the picture says most of it. So
the memory is read off the context, goes on by a network that chooses among the ways in which its bytes change, and is
drawn: shapes at the places that bytes tell, and what single bytes tell of the rest of the picture, all found by
counting. Rewards, lives and ends are counted off it, too. Nothing can blur, and nothing fades.
It learns from play that branches off recordings, as only the emulator knows its memory; a dream sees frames alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from atari_dream.canvas.cells import to_cells, to_frame
from atari_dream.console.branches import Play
from atari_dream.console.changes import ADD, BYTES, find_changes
from atari_dream.console.looks import Looks
from atari_dream.console.mechanics import Mechanics
from atari_dream.console.places import Axis, Place, find_backdrop, find_places
from atari_dream.console.reader import Clues, Reader
from atari_dream.console.sprites import Shown, Sighted, Sprites
from atari_dream.console.tables import Tables
from atari_dream.console.tally import Tally
from atari_dream.predictor import Domain, Frames, Noise, Outcome, Predictor, Start, State
from atari_dream.registry import register_model

_PLACED = 2500
_NOWHERE = (((0, 0, 0), (0, 0, 0), ()),)


class Notes(NamedTuple):
    """What is kept of play, (B, L, ...): what its parts learn from.

    Attributes:
        memory: uint8 (B, L, 128).
        actions: ALE codes, uint8 (B, L, frame_skip).
        valid: Whether the step was played, bool (B, L).
        profiles: What the reader sees of frames, uint8 (B, L, PROFILE).
        cells: What it sees of their cells, uint8 (B, L, 600).
        look: Which shape is shown at each place, int8 (B, L, S), as in `Shown`.
        down: int8 (B, L, S).
        across: int8 (B, L, S).
        value: Where things are seen, uint8 (B, L, S, 2), as in `Sighted`.
        there: bool (B, L, S).
    """

    memory: Tensor
    actions: Tensor
    valid: Tensor
    profiles: Tensor
    cells: Tensor
    look: Tensor
    down: Tensor
    across: Tensor
    value: Tensor
    there: Tensor


@register_model("console")
class Console(Predictor):
    """Dreams the console's memory, 210x160 palette colours.

    State: the frame shown, uint8 (B, 210, 160); what is behind the sprites, uint8 (B, 600, 56); memory, uint8 (B, 128);
    lives, int64 (B,).

    Args:
        domain: The game and what its data can hold.
        width: Units of the network that lets memory go on.
        blocks: Its residual blocks.
        sight: Units of the network that reads memory.
        drawing: Units of the network that tells which shapes are shown.
        looks: The most shapes of a place.
        pictures: The most pictures of cells.
        changes: Changes of each byte; see `survey`.
        lively: Bytes that ever change; see `survey`.
        places: Where sprites are, `console.places.Place`; see `survey`.
    """

    context = 16
    batch_invariant = True
    branches = True
    rewards: Tensor

    def __init__(
        self,
        domain: Domain,
        width: int = 304,
        blocks: int = 3,
        sight: int = 304,
        drawing: int = 128,
        looks: int = 32,
        pictures: int = 2048,
        changes: Sequence[Sequence[Sequence[int]]] = (),
        lively: Sequence[int] = (0,),
        places: Sequence[Sequence[Any]] = (),
    ) -> None:
        super().__init__(domain)
        told = [[(kind, amount) for kind, amount in each] for each in changes] or [[(ADD, 0)]] * BYTES
        stands = [
            Place(Axis(*across), Axis(*down), tuple(colours)) for across, down, colours in places or _NOWHERE
        ]
        self.mechanics = Mechanics(told, domain.frame_skip, width, blocks)
        axes = [
            (place, side, list(lively).index(axis.byte))
            for place, stand in enumerate(stands)
            for side, axis in enumerate((stand.down, stand.across))
            if axis.slope
        ]
        self.reader = Reader(lively, axes, len(stands), self.context, width=sight)
        self.sprites = Sprites(stands, looks)
        self.looks = Looks(lively, len(stands), looks, drawing)
        self.tables = Tables(pictures)
        self.tally = Tally()
        self.noise = {"change": Noise("gumbel", (self.mechanics.changes.most,))}
        self.register_buffer("rewards", torch.tensor(domain.rewards))

    def init(self, start: Start) -> State:
        """Reads the memory off the context, and what is behind the sprites off its frames."""
        frames, actions = start.frames[:, -self.context :], start.actions[:, -self.context :]
        memory = self.reader.read(self._clues(frames, actions))
        return frames[:, -1], self._behind(frames, memory), memory, start.lives

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Lets memory go on, and draws it."""
        _, cells, memory, lives = state
        after = self.mechanics.step(memory, action, noise["change"])
        cells = self.tables.follow(cells, memory, after)
        frame = self.sprites.draw(to_frame(cells), after, self.looks.shown(memory, after))
        earned, over, left = self.tally.told(memory, after, lives)
        place = (earned[:, None] - self.rewards).abs().argmin(1)
        return (frame, cells, after, left), Outcome(self.rewards[place], over, left)

    def decode(self, state: State) -> Frames:
        """The frame shown."""
        return Frames(state[0])

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets the lanes in `mask`, bool (B,), show a given frame; memory stays as it is."""
        shown, cells, *rest = state
        behind = torch.where(self._covered(frame), cells, to_cells(frame))
        return (
            torch.where(mask[:, None, None], frame, shown),
            torch.where(mask[:, None, None], behind, cells),
            *rest,
        )

    def terms(self, notes: Notes, step: Tensor, window: Tensor) -> dict[str, Tensor]:
        """Nats of what was noted, by part.

        Args:
            notes: Of all play.
            step: Places of steps that were played, in notes without their first two axes, int64 (N,).
            window: Places of steps with a whole context, int64 (M,).

        Returns:
            `memory` and `looks`, (N,), and `read`, (M,).
        """
        flat = Notes(*(part.flatten(0, 1) for part in notes))
        before, after = flat.memory[step - 1], flat.memory[step]
        shown = Shown(*(part[step].long() for part in (flat.look, flat.down, flat.across)))
        context = window[:, None] + torch.arange(1 - self.context, 1, device=window.device)
        sighted = Sighted(flat.value[context], flat.there[context])
        acted = flat.actions[context][..., -1]
        clues = Clues(flat.profiles[context], flat.cells[window], sighted, acted)
        return {
            "memory": self.mechanics.nll(before, flat.actions[step], after),
            "looks": self.looks.nll(before, after, shown),
            "read": self.reader.nll(clues, flat.memory[window]),
        }

    @torch.no_grad()
    def note(self, play: Play) -> Notes:
        """What is kept of play."""
        frames, memory = play.frames.flatten(0, 1), play.memory.flatten(0, 1)
        profiles, cells = self.reader.profile(frames)
        shown = self.sprites.known(self.sprites.see(frames, memory))
        columns = (profiles, cells, *(part.to(torch.int8) for part in shown), *self.sprites.sighted(frames))
        folded = (part.unflatten(0, play.valid.shape) for part in columns)
        return Notes(play.memory, play.actions, play.valid, *folded)

    @classmethod
    def survey(cls, clips: Iterable[Play]) -> dict[str, Any]:
        """Finds the changes of bytes, which ever change, and the places that they tell."""
        play = _joined(clips)
        memory, frames = play.memory.numpy(), play.frames.numpy()
        played = play.valid[:, 1:].numpy()
        every, shown = memory[play.valid], frames[play.valid]
        some = np.random.default_rng(0).permutation(len(every))[:_PLACED]
        return {
            "changes": find_changes(memory[:, :-1][played], memory[:, 1:][played]),
            "lively": np.flatnonzero((every != every[0]).any(0)).tolist() or [0],
            "places": find_places(shown[some], every[some], find_backdrop(shown[some])),
        }

    @torch.no_grad()
    def prime(self, batches: Iterable[Play]) -> None:
        """Counts shapes, what cells show, and what tells score, lives and ends."""
        play = _joined(batches)
        frames, memory = play.frames[play.valid], play.memory[play.valid]
        some = torch.from_numpy(np.random.default_rng(0).permutation(len(frames))[:_PLACED])
        backdrop = find_backdrop(frames[some].numpy())
        self.reader.learn(torch.from_numpy(backdrop), frames[some], memory)
        parts = list(zip(frames.split(128), memory.split(128), strict=True))
        self.sprites.learn(backdrop, parts)
        self.tables.learn((*part, self.sprites.covered(*part)) for part in parts)
        self.tally.learn(play.memory, play.rewards, play.lives, play.ended, play.valid)

    def _clues(self, frames: Tensor, actions: Tensor) -> Clues:
        """What frames, uint8 (B, C, 210, 160), and actions, uint8 (B, C, frame_skip), tell of memory."""
        every = [frames[:, place] for place in range(frames.shape[1])]
        profiles, cells = (
            torch.stack(parts, 1) for parts in zip(*map(self.reader.profile, every), strict=True)
        )
        seen = zip(*map(self.sprites.sighted, every), strict=True)
        sighted = Sighted(*(torch.stack(parts, 1) for parts in seen))
        return Clues(profiles, cells[:, -1], sighted, actions[..., -1])

    def _behind(self, frames: Tensor, memory: Tensor) -> Tensor:
        """What is behind the sprites in the last of frames, uint8 (B, C, 210, 160): seen before, or told by memory."""
        cells = to_cells(self.sprites.backdrop.expand(len(frames), -1, -1))
        for place in range(frames.shape[1]):
            if place == frames.shape[1] - 1:
                cells = self.tables.shown(memory, cells)
            cells = torch.where(self._covered(frames[:, place]), cells, to_cells(frames[:, place]))
        return cells

    def _covered(self, frame: Tensor) -> Tensor:
        """Which cells of frames, uint8 (B, 210, 160), may be covered by sprites, bool (B, 600, 1)."""
        return to_cells(self.sprites.like_sprites(frame)).any(-1, keepdim=True)


def _joined(clips: Iterable[Play]) -> Play:
    return Play(*(torch.cat(parts) for parts in zip(*clips, strict=True)))
