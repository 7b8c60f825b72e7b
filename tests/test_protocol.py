"""What is played and who is measured: everything that matters is in the hash, and bad wishes are one line."""

import copy
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest
from conftest import make_checkpoint

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import save_checkpoint
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.models.copy_last import CopyLast
from atari_dream.protocol import Protocol, open_entries
from atari_dream.registry import create_model
from atari_dream.starts import StartPool
from atari_dream.windows import domain_of


def test_every_field_of_the_protocol_is_in_its_hash(pool: StartPool) -> None:
    protocol = Protocol.of(pool, 4, 10)
    assert Protocol.of(pool, 4, 10).digest() == protocol.digest()
    digests = {protocol.digest()}
    for part in fields(Protocol):
        value = getattr(protocol, part.name)
        digests.add(
            replace(protocol, **{part.name: value + 1 if isinstance(value, int) else value + "x"}).digest()
        )
    assert len(digests) == 1 + len(fields(Protocol)) == 13


def test_the_protocol_knows_the_starts(pool: StartPool) -> None:
    other = copy.copy(pool)
    other.entries = [dict(entry) for entry in pool.entries]
    other.entries[3]["frame"] = "0" * 64
    assert Protocol.of(other, 4, 10).pool != Protocol.of(pool, 4, 10).pool
    assert Protocol.of(pool, 4, 10).context == 16 and Protocol.of(pool, 4, 10).frame_skip == 4


@pytest.mark.parametrize("game", GAMES)
def test_a_hundred_starts_have_twenty_of_every_kind(game: str) -> None:
    pool = bundled_pool(game)
    counts = Counter(pool.entries[start]["stratum"] for start in pool.sample(100))
    assert min(counts.values()) >= 20 and len(counts) == (3 if game == "revenge" else 4)


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ({"horizon": 0}, "horizon 0 asked, allowed are 1 to 1000 steps: the truth goes no further than"),
        (
            {"horizon": 1001},
            "horizon 1001 asked, allowed are 1 to 1000 steps: the truth goes no further than",
        ),
        ({"starts": 1}, "1 starts asked, 2 is the fewest that give an interval; 100 are usual$"),
        ({"starts": 17}, "17 starts asked of pool .*, allowed are 1 to 16$"),
        ({"control_starts": 17}, "--control 17: allowed are 0 .not measured. and 2 to the pool's 16 starts$"),
        ({"long_starts": 1}, "--long 1: allowed are 0 .not measured. and 2 to the pool's 16 starts$"),
        ({"actions": "FIER"}, "unknown actions 'FIER': allowed are continuation, random, NOOP, .*--actions "),
        ({"actions": "FIRE"}, "unknown actions 'FIRE'"),  # which Ms. Pac-Man does not know
    ],
)
def test_bad_wishes_are_one_line(wish: dict[str, int | str], line: str, pool: StartPool) -> None:
    with pytest.raises(UsageError, match=f"^{line}") as caught:
        Protocol.of(pool, **({"starts": 4, "horizon": 10} | wish))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_duplicate_names_are_refused(pool: StartPool, store: EpisodeStore, tmp_path: Path) -> None:
    twins = [make_checkpoint(tmp_path / parent / "same", store) for parent in ("a", "b")]
    with pytest.raises(UsageError, match=r"^two checkpoints are named 'same': rename a folder$"):
        open_entries(twins, pool)
    opened = open_entries([twins[0], "copy_last"], pool)
    assert [(entry.name, entry.kind, entry.temperature, entry.samples) for entry in opened][-2:] == [
        ("same", "checkpoint", 1.0, 1),
        ("same:mode", "checkpoint", 0.0, 1),
    ]
    assert sorted(entry.name for entry in opened[:3]) == ["background", "copy_last", "emulator"]
    best = open_entries([twins[0]], pool, best_of=8)[-1]
    assert (best.name, best.temperature, best.samples) == ("same:best8", 1.0, 8)
    alone = open_entries([twins[0]], pool, mode=False)
    assert [entry.name for entry in alone[3:]] == ["same"]


def test_a_checkpoint_of_another_frame_skip_is_refused(
    pool: StartPool, store: EpisodeStore, tmp_path: Path
) -> None:
    predictor = create_model("tiny", replace(domain_of(store, 4), frame_skip=2))
    save_checkpoint(tmp_path / "fast", predictor, "tiny", {}, {}, "no data")
    with pytest.raises(UsageError, match=r"is of game 'pacman' at frame skip 2; the starts .* at 4$"):
        open_entries([str(tmp_path / "fast")], pool)


def test_what_keeps_memory_is_measured_from_it_too(pool: StartPool) -> None:
    entries = open_entries(["bundled"], pool, mode=False)[3:]
    assert [(entry.name, entry.kind) for entry in entries] == [
        ("bundled", "checkpoint"),
        ("bundled:memory", "checkpoint"),
    ]
    assert [entry.predictor.from_memory for entry in entries] == [False, True]
    assert [entry.name for entry in open_entries(["bundled"], pool, mode=False, memory=False)][3:] == [
        "bundled"
    ]


def test_copy_last_is_the_floor(pool: StartPool) -> None:
    floor = next(entry for entry in open_entries([], pool) if entry.name == "copy_last")
    assert type(floor.predictor) is CopyLast and floor.kind == "control"
