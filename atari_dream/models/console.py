"""Console: dreams the memory of the console, 128 bytes, and draws what they tell.

This project's own. A game is a program; its whole state is in the console's memory, and the picture says most of it. So
the memory is read off the context, goes on by a network that chooses among the ways in which its bytes change, and is
drawn: shapes at the places that bytes tell, and what single bytes tell of the rest of the picture, all found by
counting. Rewards, lives and ends are counted off it, too. Nothing can blur, and nothing fades.
It learns from play that branches off recordings, as only the emulator knows its memory; a dream sees frames alone,
unless it is asked to begin from the memory of its start.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream import noise
from atari_dream.canvas.cells import to_cells, to_frame
from atari_dream.console.around import Course, Thing, find_things
from atari_dream.console.bands import find_bands
from atari_dream.console.branches import Play
from atari_dream.console.causes import Circuit
from atari_dream.console.changes import ADD, BYTES, find_changes
from atari_dream.console.circuits import WIDTHS, Circuits
from atari_dream.console.crowds import find_crowds
from atari_dream.console.hues import Hues, find_hues
from atari_dream.console.looks import Looks
from atari_dream.console.mechanics import Mechanics, Trunk, jumbled
from atari_dream.console.notes import Notes
from atari_dream.console.panels import Panel, find_panels
from atari_dream.console.places import NO_FINE, NOTHING, Axis, Place, find_backdrop, find_places
from atari_dream.console.reader import Clues, Reader
from atari_dream.console.sprites import JITTER, Shown, Sighted, Sprites
from atari_dream.console.strays import with_strays
from atari_dream.console.tables import Tables
from atari_dream.console.tally import Tally
from atari_dream.predictor import Domain, Frames, Noise, Outcome, Predictor, Start, State
from atari_dream.registry import register_model

_PLACED = 2500
_AT_ONCE = 64
_MOST_LOOKS = 96
_LIVES = 4
"""Lives are given: they count as so many cells."""
_NOWHERE = (((0, 0, 0), (0, 0, 0), ()),)


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
        second: Units of another one, which errs elsewhere; 0 for none. Both are believed alike, as in Lakshminarayanan
            et al. (2017), "Simple and scalable predictive uncertainty estimation using deep ensembles".
        drawing: Units of the network that tells which shapes are shown.
        looks: The most shapes of a place.
        jitter: Pixels that they may be off their usual distance from it; see `survey`.
        pictures: The most pictures of cells.
        changes: Changes of each byte; see `survey`.
        lively: Bytes that ever change; see `survey`.
        places: Where sprites are, `console.places.Place`; see `survey`.
        panels: Which of them are of what is larger than a shape; see `survey`.
        hues: Colours that bytes hold; see `survey`.
        idle: Bytes that nothing comes of, `console.causes.Causes.idle`: little is made of them.
        circuits: Which bytes are told together, and by what, `console.causes.Causes.circuits`. With none, one network,
            of `width` and `blocks`, sees all and tells all.
        circuit_widths: Units of the network of a circuit of up to 12, 28, 56 and more causes.
        circuit_blocks: Its residual blocks; those of the smallest have one.
        things: What has a place, each two `console.around.Course`; see `survey`. Circuits see what is around them.
    """

    context = 16
    batch_invariant = True
    branches = True
    keeps_memory = True
    rewards: Tensor

    def __init__(
        self,
        domain: Domain,
        width: int = 384,
        blocks: int = 3,
        sight: int = 448,
        second: int = 0,
        drawing: int = 128,
        looks: int = 32,
        jitter: int = JITTER,
        pictures: int = 2048,
        changes: Sequence[Sequence[Sequence[int]]] = (),
        lively: Sequence[int] = (0,),
        places: Sequence[Sequence[Any]] = (),
        panels: Sequence[int] = (),
        hues: Sequence[Sequence[int]] = (),
        idle: Sequence[int] = (),
        circuits: Sequence[Circuit] = (),
        circuit_widths: Sequence[int] = WIDTHS,
        circuit_blocks: int = 2,
        things: Sequence[Sequence[Sequence[int]]] = (),
    ) -> None:
        super().__init__(domain)
        told = [[(kind, amount) for kind, amount in each] for each in changes] or [[(ADD, 0)]] * BYTES
        stands = [
            Place(Axis(*across), Axis(*down), *map(tuple, shown))
            for across, down, *shown in places or _NOWHERE
        ]
        placed = [Thing(Course(*across), Course(*down)) for across, down in things]
        self.mechanics: Mechanics = (
            Circuits(told, domain.frame_skip, circuits, circuit_widths, circuit_blocks, idle, placed)
            if circuits
            else Trunk(told, domain.frame_skip, width, blocks, idle)
        )
        axes = [
            (place, side, list(lively).index(axis.byte))
            for place, stand in enumerate(stands)
            for side, axis in enumerate((stand.down, stand.across))
            if axis.slope and axis.fine == NO_FINE and stand.colours
        ]
        seen = sum(bool(stand.colours) for stand in stands)
        self.reader, *others = (
            Reader(lively, axes, seen, self.context, width=units, idle=idle)
            for units in (sight, second)
            if units
        )
        self.others = nn.ModuleList(others)
        self.sprites = Sprites(stands, looks, jitter)
        self.looks = Looks(lively, len(stands), looks, drawing, jitter=jitter)
        self.tables = Tables(pictures)
        self.panels = nn.ModuleDict({str(place): Panel(stands[place]) for place in panels})
        self.hues = Hues([(code, byte) for code, byte in hues])
        self.tally = Tally()
        self.noise = {"change": Noise("gumbel", (self.mechanics.changes.most,))}
        self.register_buffer("rewards", torch.tensor(domain.rewards))

    def init(self, start: Start) -> State:
        """Reads the memory off the context, unless it begins from it, and what is behind the sprites off its frames."""
        frames, actions = start.frames[:, -self.context :], start.actions[:, -self.context :]
        memory = start.memory if self.from_memory else self._read(frames, actions, start.lives)
        return frames[:, -1], self._behind(frames, memory), memory, start.lives

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Lets memory go on, and draws it."""
        _, cells, memory, lives = state
        after = self.mechanics.step(memory, action, noise["change"])
        cells = self.tables.follow(cells, memory, after)
        frame = to_frame(cells)
        for _, panel in self._panels():
            frame = panel.draw(frame, after)
        frame = self.sprites.draw(frame, after, self.looks.shown(memory, after))
        frame = self.hues.paint(frame, after)
        earned, over, left = self.tally.told(memory, after, lives)
        place = (earned[:, None] - self.rewards).abs().argmin(1)
        return (frame, cells, after, left), Outcome(self.rewards[place], over, left)

    def decode(self, state: State) -> Frames:
        """The frame shown."""
        return Frames(state[0])

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets the lanes in `mask`, bool (B,), show a given frame; memory stays as it is."""
        shown, cells, *rest = state
        plain = self.hues.plain(frame, state[2])
        behind = torch.where(self._covered(plain), cells, to_cells(plain))
        return (
            torch.where(mask[:, None, None], frame, shown),
            torch.where(mask[:, None, None], behind, cells),
            *rest,
        )

    def terms(
        self, notes: Notes, step: Tensor, window: Tensor, keys: tuple[Tensor, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Nats of what was noted, by part.

        Args:
            notes: Of all play.
            step: Places of steps that were played, in notes without their first two axes, int64 (N,).
            window: Places of steps with a whole context, one after the other in a row, int64 (M, G): of what they
                share, a sketch is made once.
            keys: When learning, keys by which the memory before each step is jumbled, int64 (N,), and by which each
                window has something left out, int64 (M * G,).

        Returns:
            `memory` and `looks`, (N,), and `read`, (M * G,).
        """
        flat = Notes(*(part.flatten(0, 1) for part in notes))
        before, after = flat.memory[step - 1], flat.memory[step]
        known = before if keys is None else jumbled(flat.memory, step - 1, notes.valid.shape[1], keys[0])
        shown = Shown(*(part[step].long() for part in (flat.look, flat.down, flat.across)))
        near = torch.arange(1 - self.context, window.shape[1], device=window.device)
        runs = flat.profiles[window[:, :1] + near]
        window = window.flatten()
        context = window[:, None] + near[: self.context]
        sighted = Sighted(flat.value[context], flat.there[context])
        acted = flat.actions[context][..., -1]
        clues = Clues(flat.cells[window], sighted, acted)
        read = (
            reader.nll(
                _runs(reader.sketched(runs), self.context),
                clues,
                flat.memory[window],
                None if keys is None else noise.fold(keys[1], which),
            )
            for which, reader in enumerate(self._readers())
        )
        return {
            "memory": self.mechanics.nll(known, flat.actions[step], after),
            "looks": self.looks.nll(before, after, shown),
            "read": torch.stack(list(read)).sum(0),
        }

    @torch.no_grad()
    def note(self, play: Play) -> Notes:
        """What is kept of play. What memory holds in it is remembered; the score may be any."""
        memory = play.memory.flatten(0, 1)
        self.mechanics.witness(memory)
        self.mechanics.held |= self.tally.counts()[:, None]
        frames = play.frames.flatten(0, 1)
        scenes = zip(frames.split(_AT_ONCE), memory.split(_AT_ONCE), strict=True)
        columns = zip(*(self._noted(*scene) for scene in scenes), strict=True)
        folded = (torch.cat(parts).unflatten(0, play.valid.shape) for parts in columns)
        return Notes(play.memory, play.actions, play.valid, *folded)

    def _noted(self, frames: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """What is kept of frames, uint8 (N, 210, 160), and their memory, uint8 (N, 128): the rest of `Notes`."""
        shown = self.sprites.known(self.sprites.see(self.hues.plain(frames, memory), memory))
        seen = (part.to(torch.int8) for part in shown)
        return *self.reader.profile(frames), *seen, *self.sprites.sighted(frames)

    @classmethod
    def survey(cls, clips: Iterable[Play]) -> dict[str, Any]:
        """Finds the changes of bytes, which ever change, and the places that they tell."""
        play = _joined(clips)
        memory, frames = play.memory.numpy(), play.frames.numpy()
        played = play.valid[:, 1:].numpy()
        every, seen = memory[play.valid], frames[play.valid]
        some = np.random.default_rng(0).permutation(len(every))[:_PLACED]
        shown, held, backdrop = seen[some], every[some], find_backdrop(seen[some])
        places = find_places(shown, held, backdrop)
        places += find_crowds(shown, held, backdrop, places)
        places += find_bands(seen, every, backdrop, places)
        places = with_strays(shown, held, backdrop, places)
        sprites = Sprites(places, _MOST_LOOKS)
        sprites.learn(backdrop, [(torch.from_numpy(shown), torch.from_numpy(held))])
        before, after = memory[:, :-1][played], memory[:, 1:][played]
        changes = find_changes(before, after)
        axes = [(place.across, place.down) for place in places]
        pairs = [(across.byte, down.byte) for across, down in axes if across.slope and down.slope]
        return {
            "changes": changes,
            "things": find_things(changes, before, after, pairs, play.actions.shape[-1]),
            "lively": np.flatnonzero((every != every[0]).any(0)).tolist() or [0],
            "places": places,
            "jitter": sprites.needed_jitter(torch.from_numpy(shown), torch.from_numpy(held)),
            "looks": max([1, *(sprites.shapes != NOTHING).flatten(2).any(-1).sum(1).tolist()]),
            "hues": find_hues(seen, every, backdrop),
            "panels": find_panels(places, torch.from_numpy(shown), torch.from_numpy(held), backdrop),
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
        self.hues.learn(self.reader.backdrop, frames, memory)
        parts = [(self.hues.plain(*part), part[1]) for part in parts]
        self.sprites.learn(backdrop, parts)
        for place, panel in self._panels():
            panel.learn(self.sprites.backdrop, parts)
            self.sprites.shapes[place] = NOTHING
        self.tables.learn((*part, self._drawn_over(*part)) for part in parts)
        self.tally.learn(play.memory, play.rewards, play.lives, play.ended, play.valid)

    def _panels(self) -> Iterator[tuple[int, Panel]]:
        """The panels, and which places they are at."""
        return ((int(place), cast(Panel, panel)) for place, panel in self.panels.items())

    def _read(self, frames: Tensor, actions: Tensor, lives: Tensor) -> Tensor:
        """Memory, uint8 (B, 128), as the context, the lives and what single cells of its last frame show tell it."""
        frame = frames[:, -1]
        profiles, clues = self._clues(frames, actions)
        told = (reader(reader.sketched(profiles), clues) for reader in self._readers())
        logits = torch.stack(list(told)).mean(0)
        against = _LIVES * self.tally.against(lives)
        memory = self.reader.likeliest(logits, against)
        plain = self.hues.plain(frame, memory)
        against = against + self.tables.against(to_cells(plain), ~self._covered(plain)[..., 0], memory)
        memory = self.reader.likeliest(logits, against)
        for _, panel in self._panels():
            against = against + panel.against(self.sprites.backdrop, plain, memory)
            memory = self.reader.likeliest(logits, against)
        return memory

    def _readers(self) -> list[Reader]:
        return [self.reader, *(cast(Reader, other) for other in self.others)]

    def _clues(self, frames: Tensor, actions: Tensor) -> tuple[Tensor, Clues]:
        """What frames, uint8 (B, C, 210, 160), and actions, uint8 (B, C, frame_skip), tell of memory."""
        every = [frames[:, place] for place in range(frames.shape[1])]
        profiles, cells = (
            torch.stack(parts, 1) for parts in zip(*map(self.reader.profile, every), strict=True)
        )
        seen = zip(*map(self.sprites.sighted, every), strict=True)
        sighted = Sighted(*(torch.stack(parts, 1) for parts in seen))
        return profiles, Clues(cells[:, -1], sighted, actions[..., -1])

    def _behind(self, frames: Tensor, memory: Tensor) -> Tensor:
        """What is behind the sprites in the last of frames, uint8 (B, C, 210, 160): seen before, or told by memory."""
        cells = to_cells(self.sprites.backdrop.expand(len(frames), -1, -1))
        last = frames.shape[1] - 1
        for place in range(last):
            cells = torch.where(self._covered(frames[:, place]), cells, to_cells(frames[:, place]))
        plain = self.hues.plain(frames[:, last], memory)
        return torch.where(self._covered(plain), self.tables.shown(memory, cells), to_cells(plain))

    def _drawn_over(self, frame: Tensor, memory: Tensor) -> Tensor:
        """Where in frames, uint8 (B, 210, 160), something stands, bool (B, 210, 160)."""
        covered = self.sprites.covered(frame, memory)
        for _, panel in self._panels():
            covered = covered | panel.covered(frame, self.sprites.backdrop)
        return covered

    def _covered(self, frame: Tensor) -> Tensor:
        """Which cells of frames, uint8 (B, 210, 160), may be covered by sprites, bool (B, 600, 1)."""
        return to_cells(self.sprites.like_sprites(frame)).any(-1, keepdim=True)


def _joined(clips: Iterable[Play]) -> Play:
    return Play(*(torch.cat(parts) for parts in zip(*clips, strict=True)))


def _runs(sketches: Tensor, context: int) -> Tensor:
    """Sketches of each window, (M * G, C, n), of those of rows of windows, (M, C + G - 1, n)."""
    return sketches.unfold(1, context, 1).flatten(0, 1).transpose(1, 2)
