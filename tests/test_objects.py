"""What is where, over all games: memory and pixels agree on real play, and what is wrong with a picture is found."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

import atari_dream.objects
from atari_dream.bundled import bundled_pool
from atari_dream.emulator import Emulator
from atari_dream.games import HEIGHT, WIDTH
from atari_dream.objects import pacman, pinball, scene, space_invaders
from atari_dream.objects.error import reading_errors, summarise_errors
from atari_dream.objects.scene import UNKNOWN, Scene, SceneReader, ram_table, register_reader, scene_reader
from atari_dream.objects.survival import REACH, WINDOW, Fate, fates
from atari_dream.rollout import continued
from atari_dream.truth import Script

GAMES = ("pacman", "pinball", "qbert", "revenge", "space_invaders")
STEPS = 10
COLOURS: dict[str, dict[str, tuple[int, ...]]] = {
    "pacman": {
        "player": (42,),
        "blinky": (70,),
        "pinky": (88,),
        "inky": (184,),
        "sue": (38,),
        "fruit": (68,),
    },
    "qbert": {"player": (52,), "coily": (102,), "sam": (196,)},
    "revenge": {"player": (70, 74, 76, 250), "skull": (14,)},
    "space_invaders": {"player": (196,), "rack": (20,), "mother_ship": (82,), "shot": (6,), "bomb": (6,)},
}
FOUND = {
    "pacman": {"player": 0.99, "blinky": 0.8, "pinky": 0.4, "inky": 0.45, "sue": 0.4, "fruit": 0.6},
    "pinball": {"ball": 0.97, "plunger": 0.99},
    "qbert": {"player": 0.95, "coily": 0.99, "sam": 0.99},
    "revenge": {"player": 0.99, "skull": 0.99},
    "space_invaders": {"player": 0.75, "rack": 0.99, "mother_ship": 0.99, "shot": 0.95, "bomb": 0.95},
}
"""Least share of real frames that show an object that is there; ghosts take turns, a new ship blinks."""
TRACKS = [(game, name) for game, names in FOUND.items() for name in names]
SPECKS = {
    "pacman": ((1, 1), (3, 3)),
    "pinball": ((1, 1), (3, 1), (1, 4)),
    "qbert": ((1, 1), (5, 4)),
    "revenge": ((1, 1), (4, 4)),
    "space_invaders": ((1, 1), (4, 4)),
}
"""Rows and columns of what is no object yet."""
LONE = [one for one in TRACKS if one not in (("space_invaders", "rack"), ("pinball", "plunger"))]
"""Objects of which a picture may show two."""


class Clip(NamedTuple):
    """Real play: frames uint8 (T, 210, 160), and its scenes by memory and by pixels."""

    frames: np.ndarray
    real: list[Scene]
    seen: list[Scene]


def reader_of(game: str) -> SceneReader:
    reader = scene_reader(game)
    assert reader is not None
    return reader


@cache
def memories(game: str) -> np.ndarray:
    """The console's memory at each start, uint8 (N, 128)."""
    return bundled_pool(game)._arrays["ram"][:]


@cache
def console(game: str) -> Emulator:
    return Emulator(game)


@cache
def played(game: str, start: int) -> Clip:
    """What really follows a start."""
    pool, emulator, reader = bundled_pool(game), console(game), reader_of(game)
    emulator.restore(pool.batch(np.array([start])).ale[0].numpy())
    frames, real = [], []
    for actions in pool.continuation(start)[:STEPS]:
        emulator.step(actions)
        frames.append(emulator.frame)
        real.append(reader.of_ram(emulator.ram))
    return Clip(np.stack(frames), real, list(map(reader.of_frame, frames)))


def number(scene: Scene, name: str) -> int:
    points = scene.points[name]
    return -1 if points is None else len(points)


def place(one: Scene, name: str) -> np.ndarray:
    points = one.points[name]
    assert points is not None and len(points) == 1
    return points[0]


def gone(real: Clip, name: str) -> list[float]:
    """How far an object is at each step from where the first picture shows it."""
    return [float(np.hypot(*(place(one, name) - place(real.seen[0], name)))) for one in real.real]


@cache
def clip(game: str, name: str, least: float = -1.0) -> Clip:
    """The first real play that has an object in plain view at every step and moves it by more than that."""
    for start, memory in enumerate(memories(game)):
        if number(reader_of(game).of_ram(memory), name) == 1:
            found = played(game, start)
            whole = len(found.real) == STEPS
            shown = whole and all(number(one, name) == 1 for one in (*found.real, *found.seen))
            if shown and max(gone(found, name)) > least:
                return found
    raise AssertionError(f"no start of {game} shows {name}")


def sprite(game: str, name: str, frame: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The pixels of an object that is at a point, bool (210, 160)."""
    x, y = point
    mask = np.zeros((HEIGHT, WIDTH), bool)
    if name == "plunger":
        mask[int(y) : 174, 149:151] = True
    elif name == "ball":
        mask[int(y - 1) : int(y + 3), int(x) : int(x + 2)] = True
    elif name == "rack":
        mask = frame == COLOURS[game][name][0]
    else:
        mask[max(0, int(y) - 12) : int(y) + 13, max(0, int(x) - 12) : int(x) + 13] = True
        mask &= np.isin(frame, COLOURS[game][name])
    assert mask.sum() >= 4
    return mask


def surrounding(frame: np.ndarray, mask: np.ndarray) -> int:
    """The commonest colour around pixels."""
    rows, columns = np.nonzero(mask)
    box = np.s_[max(0, rows.min() - 2) : rows.max() + 3, max(0, columns.min() - 2) : columns.max() + 3]
    return int(np.bincount(frame[box][~mask[box]]).argmax())


Change = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a frame and the pixels of an object to another frame."""


def erased(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask, np.uint8(surrounding(frame, mask)), frame)


def copied(offset: tuple[int, int]) -> Change:
    """Shows an object once more, (x, y) pixels away."""

    def change(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(mask)
        into = frame.copy()
        into[rows + offset[1], columns + offset[0]] = frame[rows, columns]
        return into

    return change


def moved(offset: tuple[int, int]) -> Change:
    def change(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(mask)
        into = erased(frame, mask)
        into[rows + offset[1], columns + offset[0]] = frame[rows, columns]
        return into

    return change


def dreamt(game: str, name: str, real: Clip, change: Change, steps: range = range(STEPS)) -> list[Scene]:
    """Scenes of real frames of which some are changed."""
    scenes = list(real.seen)
    for step in steps:
        frame = real.frames[step]
        scenes[step] = reader_of(game).of_frame(
            change(frame, sprite(game, name, frame, place(real.seen[step], name)))
        )
    return scenes


def aside(game: str, name: str, real: Clip, pixels: int) -> tuple[int, int]:
    """An offset of so many pixels, to where nothing has the object's colours."""
    x, y = place(real.seen[0], name)
    across, down = pixels if x < WIDTH / 2 else -pixels, pixels if y < HEIGHT / 2 else -pixels
    for offset in ((across, 0), (0, down), (-across, 0), (0, -down)):
        if all(free(game, name, *row, offset) for row in zip(real.frames, real.seen, strict=True)):
            return offset
    raise AssertionError(f"no room beside {name}")


def free(game: str, name: str, frame: np.ndarray, seen: Scene, offset: tuple[int, int]) -> bool:
    mask = sprite(game, name, frame, place(seen, name))
    rows, columns = np.nonzero(mask)
    into = np.zeros_like(mask)
    into[rows + offset[1], columns + offset[0]] = True
    grown = cv2.dilate(into.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool)
    return not np.isin(frame[grown & ~mask], frame[mask]).any()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scene, "_READERS", dict(scene._READERS))
    scene_reader.cache_clear()
    yield
    scene_reader.cache_clear()


def test_five_games_have_a_reader_and_another_has_none(registry: None) -> None:
    assert sorted(scene._READERS) == sorted(GAMES)
    assert scene_reader("pacman") is scene_reader("pacman")
    assert scene_reader("breakout") is None


def test_a_reader_of_another_game_is_found_by_its_name(registry: None) -> None:
    @register_reader("toy")
    class Toy(pacman.PacmanReader):
        tracks = ("player",)

    assert type(scene_reader("toy")) is Toy and type(scene_reader("pacman")) is pacman.PacmanReader


def test_what_every_game_has_to_tell_is_told() -> None:
    told = {game: set(reader_of(game).objects) for game in GAMES}
    assert told["pacman"] >= {"player", "blinky", "pinky", "inky", "sue"}
    assert told["pinball"] >= {"ball", "flippers"}
    assert told["qbert"] >= {"player", "coily", "cubes"}
    assert told["revenge"] >= {"player", "skull", "room"}
    assert told["space_invaders"] >= {"player", "rack", "invaders"}


def test_the_table_of_bytes_names_its_source() -> None:
    table = json.loads((Path(atari_dream.objects.__file__).parent / "ram.json").read_text())
    assert "AtariARI" in table["source"] and "arXiv:1906.08226" in table["source"]
    assert sorted(table["games"]) == sorted(GAMES)
    for game in GAMES:
        assert ram_table(game) == table["games"][game]
        assert all(type(byte) is int and 0 <= byte < 128 for byte in ram_table(game).values())


def test_the_table_has_the_bytes_of_the_players() -> None:
    places = {"pacman": (10, 16), "qbert": (43, 67), "revenge": (42, 43)}
    for game, bytes_ in places.items():
        assert (ram_table(game)["player_x"], ram_table(game)["player_y"]) == bytes_
    assert (ram_table("pinball")["ball_x"], ram_table("pinball")["ball_y"]) == (67, 68)
    assert ram_table("space_invaders")["player_x"] == 28
    assert ram_table("space_invaders")["invaders_left_count"] == 17
    assert ram_table("revenge")["room_number"] == 3


def check_form(reader: SceneReader, told: Scene, by_memory: bool) -> None:
    assert tuple(told.points) == reader.tracks and tuple(told.readings) == tuple(reader.readings)
    for points in told.points.values():
        if points is None:
            continue
        assert points.dtype == np.float32 and points.ndim == 2 and points.shape[1] == 2
        assert np.isfinite(points).all() and not (by_memory and len(points) > 1)
    for name, count in reader.readings.items():
        assert told.readings[name].dtype == np.int64 and told.readings[name].shape == (count,)
        assert (told.readings[name] >= UNKNOWN).all()


@pytest.mark.parametrize("game", GAMES)
def test_every_object_is_told_of_any_memory_and_any_picture(game: str) -> None:
    reader = reader_of(game)
    names = [*reader.tracks, *reader.readings]
    assert list(reader.objects) == names and len(set(names)) == len(names)
    rng = np.random.default_rng(0)
    extremes = [np.full(128, byte, np.uint8) for byte in (0, 127, 128, 255)]
    for ram in (*extremes, *rng.integers(0, 256, (100, 128), np.uint8), *memories(game)[:40]):
        check_form(reader, reader.of_ram(ram), by_memory=True)
    colours = np.unique(bundled_pool(game).usual)
    noise = (rng.choice(colours, (6, HEIGHT, WIDTH)), rng.integers(0, 256, (6, HEIGHT, WIDTH), np.uint8))
    for frame in (*np.concatenate(noise), bundled_pool(game).usual):
        check_form(reader, reader.of_frame(frame), by_memory=False)


@pytest.mark.parametrize("game", GAMES)
def test_a_picture_of_one_colour_shows_nothing(game: str) -> None:
    for code in range(0, 256, 2):
        told = reader_of(game).of_frame(np.full((HEIGHT, WIDTH), code, np.uint8))
        assert {name: number(told, name) for name in told.points} == dict.fromkeys(told.points, 0), code
        expected = {"flippers": UNKNOWN, "cubes": code, "room": UNKNOWN, "key": 0, "invaders": 0}
        for name, values in told.readings.items():
            assert (values == expected[name]).all(), (code, name)


@pytest.mark.parametrize("game", GAMES)
def test_reading_changes_nothing_and_is_the_same_again(game: str) -> None:
    reader, (frames, *_), ram = reader_of(game), played(game, 0), memories(game)[0].copy()
    frame = frames[0].copy()
    frame.flags.writeable = ram.flags.writeable = False
    np.testing.assert_equal(reader.of_ram(ram)._asdict(), reader.of_ram(ram)._asdict())
    for again in (frame, np.asfortranarray(frame)):
        np.testing.assert_equal(reader.of_frame(again)._asdict(), reader.of_frame(frame)._asdict())


def check_errors(game: str, summary: dict[str, dict[str, float | int | None]]) -> None:
    for name, least in FOUND[game].items():
        row = summary[name]
        assert row["there"], name
        assert row["found"] >= least, (name, row)
        assert row["median_px"] < 2.5 and row["max_px"] < 8, (name, row)
        assert (row["false"] or 0) < 0.1, (name, row)
    for name in reader_of(game).readings:
        assert summary[name]["legible"] > 0.99 and summary[name]["wrong"] < 0.01, (name, summary[name])


@pytest.mark.parametrize("game", GAMES)
def test_pixels_tell_what_memory_tells_at_the_starts(game: str) -> None:
    pool, reader = bundled_pool(game), reader_of(game)
    starts = pool.sample(40)
    frames = pool.batch(starts).frames[:, -1].numpy()
    tallies = [
        reading_errors([reader.of_ram(ram)], [reader.of_frame(frame)])
        for ram, frame in zip(memories(game)[starts], frames, strict=True)
    ]
    check_errors(game, summarise_errors(tallies))


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_no_object_of_the_real_game_ever_fails(game: str) -> None:
    pool, reader = bundled_pool(game), reader_of(game)
    tallies, judged = [], set()
    for start in pool.sample(20).tolist():
        truth = Script.of(pool, start, continued(pool, start, 50)[None]).play()
        real = [reader.of_ram(ram) for ram in truth.ram[0]]
        seen = [reader.of_frame(frame) for frame in truth.frames[0]]
        found = fates(real, seen, seen)
        assert {name: fate for name, fate in found.items() if fate.step is not None} == {}, start
        judged |= {name for name, fate in found.items() if fate.judged}
        tallies.append(reading_errors(real, seen))
    assert judged == set(reader.objects)
    summary = summarise_errors(tallies)
    check_errors(game, summary)
    for name in FOUND[game]:
        assert summary[name]["found_in_window"] > 0.85, (name, summary[name])


@pytest.mark.slow
@pytest.mark.parametrize(("game", "name"), TRACKS)
def test_an_erased_object_is_not_found_and_ends_as_lost(game: str, name: str) -> None:
    real = clip(game, name)
    assert fates(real.real, real.seen, real.seen)[name] == Fate(True)
    scenes = dreamt(game, name, real, erased)
    assert [number(one, name) for one in scenes] == [0] * STEPS
    assert fates(real.real, real.seen, scenes)[name] == Fate(True, WINDOW - 1, "lost")
    late = dreamt(game, name, real, erased, range(2, STEPS))
    assert fates(real.real, real.seen, late)[name] == Fate(True, WINDOW + 1, "lost")


@pytest.mark.parametrize(("game", "name"), LONE)
def test_a_doubled_object_is_found_twice(game: str, name: str) -> None:
    real = clip(game, name)
    scenes = dreamt(game, name, real, copied(aside(game, name, real, 30)), range(3, 4))
    assert number(scenes[3], name) == 2
    assert fates(real.real, real.seen, scenes)[name] == Fate(True, 3, "doubled")


@pytest.mark.parametrize(("game", "name"), [*LONE, ("space_invaders", "rack")])
def test_a_moved_object_is_found_where_it_is(game: str, name: str) -> None:
    real = clip(game, name)
    for pixels, fate in ((4, Fate(True)), (20, Fate(True, 0, "off"))):
        offset = aside(game, name, real, pixels)
        scenes = dreamt(game, name, real, moved(offset))
        for one, before in zip(scenes, real.seen, strict=True):
            assert place(one, name) == pytest.approx(place(before, name) + offset, abs=1)
        assert fates(real.real, real.seen, scenes)[name] == fate
    jump = dreamt(game, name, real, moved(aside(game, name, real, 20)), range(4, STEPS))
    assert fates(real.real, real.seen, jump)[name] == Fate(True, 4, "teleported")


@pytest.mark.parametrize(("game", "name"), TRACKS)
def test_a_tenth_of_its_pixels_wrong_does_not_lose_an_object(game: str, name: str) -> None:
    real, rng = clip(game, name), np.random.default_rng(0)

    def damaged(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        into, pixels = frame.copy(), np.flatnonzero(mask)
        hit = rng.choice(pixels, max(1, len(pixels) // 10), replace=False)
        into.flat[hit] = surrounding(frame, mask)
        return into

    slack = 6 if name == "plunger" else 2  # the rod ends at its first rows that are whole
    for _ in range(5):
        scenes = dreamt(game, name, real, damaged)
        for one, before in zip(scenes, real.seen, strict=True):
            assert place(one, name) == pytest.approx(place(before, name), abs=slack)
        assert fates(real.real, real.seen, scenes)[name] == Fate(True)


@pytest.mark.parametrize(
    ("game", "name", "size"), [(game, name, size) for game, name in TRACKS for size in SPECKS[game]]
)
def test_specks_of_its_colours_are_no_objects(game: str, name: str, size: tuple[int, int]) -> None:
    real, rng = clip(game, name), np.random.default_rng(0)

    def speckled(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        into, near = frame.copy(), cv2.dilate(mask.view(np.uint8), np.ones((31, 31), np.uint8))
        for row in range(30, HEIGHT - 16, 20):
            for column in range(2, WIDTH - 8, 20):
                down, across = row + rng.integers(6), column + rng.integers(6)
                if not near[down, across]:
                    into[down : down + size[0], across : across + size[1]] = frame[mask][0]
        return into

    for one, before in zip(dreamt(game, name, real, speckled), real.seen, strict=True):
        assert place(one, name) == pytest.approx(place(before, name), abs=0.5)


@pytest.mark.parametrize(
    ("game", "name"),
    [("pacman", "player"), ("pinball", "ball"), ("revenge", "skull"), ("space_invaders", "mother_ship")],
)
def test_a_frozen_picture_goes_off_once_the_real_object_is_far_away(game: str, name: str) -> None:
    real = clip(game, name, REACH)
    step = int(np.argmax(np.array(gone(real, name)) > REACH))
    assert fates(real.real, real.seen, [real.seen[0]] * STEPS)[name] == Fate(True, step, "off")


def painted(box: tuple[slice, slice], code: int) -> Change:
    def change(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        into = frame.copy()
        into[box] = code
        return into

    return change


def without_key(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(frame == 252, np.uint8(0), frame)


def without_an_invader(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    into = frame.copy()
    rows, columns = np.nonzero(frame[:195] == 20)
    first = columns[rows == rows.max()].min()
    into[rows.max() - 10 : rows.max() + 1, first - 3 : first + 9] = 0
    return into


@pytest.mark.parametrize(
    ("game", "name", "change"),
    [
        ("pinball", "flippers", painted(np.s_[177:192, 64:80], 0)),
        ("pinball", "flippers", painted(np.s_[177:192, 80:96], 0)),
        ("qbert", "cubes", painted(np.s_[32:40, 66:90], 0)),
        ("qbert", "cubes", painted(np.s_[176:185, 126:150], 0)),
        ("revenge", "room", painted(np.s_[48:184], 0)),
        ("revenge", "key", without_key),
        ("space_invaders", "invaders", without_an_invader),
    ],
)
def test_a_wrong_reading_is_found(game: str, name: str, change: Change) -> None:
    real = played(game, 0)
    assert fates(real.real, real.seen, real.seen)[name] == Fate(True)
    scenes = [reader_of(game).of_frame(change(frame, np.empty(0))) for frame in real.frames]
    for one, before in zip(scenes, real.seen, strict=True):
        assert (one.readings[name] != before.readings[name]).sum() == 1
    assert fates(real.real, real.seen, scenes)[name] == Fate(True, WINDOW - 1, "wrong")


@pytest.mark.parametrize("game", [game for game in GAMES if game != "pacman"])
def test_a_twentieth_of_all_pixels_wrong_changes_no_reading(game: str) -> None:
    rng, real = np.random.default_rng(0), played(game, 0)
    for frame, before in zip(real.frames, real.seen, strict=True):
        noise = rng.random(frame.shape) < 0.05
        told = reader_of(game).of_frame(np.where(noise, np.uint8(0), frame))
        assert len(told.readings)
        np.testing.assert_equal(told.readings, before.readings)


def changed(game: str, name: str, **changes: int) -> Scene:
    """By the memory of a start that has an object, with some bytes changed (`_39=80`)."""
    told = (ram for ram in memories(game) if number(reader_of(game).of_ram(ram), name) == 1)
    ram = next(told).copy()
    for byte, value in changes.items():
        ram[int(byte[1:])] = value
    return reader_of(game).of_ram(ram)


def numbers(told: Scene) -> dict[str, int]:
    return {name: number(told, name) for name in told.points}


@pytest.mark.parametrize("ghost", pacman.GHOSTS)
def test_a_frightened_ghost_cannot_be_told_and_the_others_can(ghost: str) -> None:
    byte = {"sue": 1, "inky": 2, "pinky": 3, "blinky": 4}[ghost]
    calm = {f"_{other}": 0 for other in range(1, 5)}
    before = numbers(changed("pacman", ghost, **calm))
    assert numbers(changed("pacman", ghost, **calm | {f"_{byte}": 0x80})) == before | {ghost: -1}


@pytest.mark.parametrize(("phase", "ghosts"), [(77, 1), (78, -1), (79, 0), (83, 0), (255, 1), (35, -1)])
def test_ghosts_are_nowhere_while_the_player_dies(phase: int, ghosts: int) -> None:
    middle = {f"_{byte}": 80 for byte in (6, 7, 8, 9, 10)} | {f"_{byte}": 0 for byte in range(1, 5)}
    told = numbers(changed("pacman", "player", **middle, _39=phase))
    assert {name: told[name] for name in pacman.GHOSTS} == dict.fromkeys(pacman.GHOSTS, ghosts)
    assert told["player"] == (-1 if phase == 35 else 1)


@pytest.mark.parametrize(("x", "told"), [(17, -1), (18, 1), (158, 1), (159, -1)])
def test_a_place_in_a_tunnel_cannot_be_told(x: int, told: int) -> None:
    assert number(changed("pacman", "player", _10=x), "player") == told


def test_a_fruit_is_told_while_it_is_a_cherry() -> None:
    assert number(changed("pacman", "fruit", _11=0), "fruit") == 0
    assert number(changed("pacman", "fruit", _123=0x03), "fruit") == 1
    assert number(changed("pacman", "fruit", _123=0x13), "fruit") == -1


def test_a_flashing_table_reads_as_a_calm_one() -> None:
    for frame, calm in zip(*played("pinball", 0)[::2], strict=True):
        flash = frame.copy()
        flash[pinball.TOP :] ^= 0x5A
        np.testing.assert_equal(reader_of("pinball").of_frame(flash)._asdict(), calm._asdict())


def test_all_four_positions_of_both_flippers_are_read() -> None:
    frame, wall = played("pinball", 0).frames[0].copy(), played("pinball", 0).frames[0][20, 1]
    for position, shape in enumerate(pinball.FLIPPER_SHAPES):
        for side, box in enumerate(pinball.FLIPPERS):
            frame[box] = np.where(shape, np.uint8(wall ^ 0x66), wall)
            assert reader_of("pinball").of_frame(frame).readings["flippers"][side] == position
            drawn = np.argwhere(shape)[np.random.default_rng(position).permutation(shape.sum())]
            for wrong, expected in ((15, position), (30, UNKNOWN)):
                frame[box][tuple(drawn[:wrong].T)] = wall
                assert reader_of("pinball").of_frame(frame).readings["flippers"][side] == expected


@pytest.mark.parametrize("gate", ["open", "closed"])
def test_a_ball_on_or_in_a_gate_is_found(gate: str) -> None:
    real = clip("pinball", "ball")
    ball = sprite("pinball", "ball", real.frames[0], place(real.seen[0], "ball"))
    frame, wall = erased(real.frames[0], ball), real.frames[0][20, 1]
    frame[184:192, 36:40] = frame[184:192, 120:124] = wall if gate == "closed" else frame[90, 30]
    top = 180 if gate == "closed" else 186
    frame[top : top + 4, 37:39] = wall
    assert place(reader_of("pinball").of_frame(frame), "ball").tolist() == [37.5, top + 1.5]


def test_there_is_no_ball_between_two_and_none_to_be_told_in_the_first_frame_of_one() -> None:
    assert number(changed("pinball", "ball", _68=195, _69=97), "ball") == 0
    assert number(changed("pinball", "ball", _68=194, _69=97), "ball") == 1
    assert number(changed("pinball", "ball", _68=194, _69=90), "ball") == -1


def test_cubes_that_flash_are_unknown() -> None:
    assert (changed("qbert", "player", _80=9).readings["cubes"] == UNKNOWN).all()
    assert (changed("qbert", "player", _80=0, _21=8, _42=6).readings["cubes"][[0, -1]] == [8, 6]).all()


def test_where_qbert_falls_cannot_be_told_and_he_may_be_out_of_the_picture() -> None:
    assert number(changed("qbert", "player", _59=255), "player") == -1
    assert number(changed("qbert", "player", _43=0), "player") == 0
    assert number(changed("qbert", "player", _68=228), "player") == 0
    out, there = changed("qbert", "player", _59=0, _68=250), changed("qbert", "player", _59=0, _68=28)
    assert place(out, "player")[1] == pytest.approx(17.9, abs=0.1)
    assert place(there, "player")[1] == pytest.approx(52.0)


def test_the_skull_of_a_room_is_told_until_it_is_destroyed() -> None:
    assert number(changed("revenge", "skull", _24=117), "skull") == 0
    assert number(changed("revenge", "skull", _3=2), "skull") == -1
    assert number(changed("revenge", "skull", _3=18), "skull") == 1


def test_a_player_who_is_not_drawn_as_the_memory_says_cannot_be_told() -> None:
    for action, pose, told in ((26, 0, -1), (10, 0, -1), (8, 1, -1), (10, 1, 1), (8, 0, 1)):
        assert number(changed("revenge", "player", _53=action, _54=pose), "player") == told
    standing, lying = (place(changed("revenge", "player", _53=0, _54=pose), "player") for pose in (0, 6))
    assert (lying - standing).tolist() == [0.0, 3.5]


def test_rooms_that_look_alike_are_unknown() -> None:
    rooms = [changed("revenge", "player", _3=room).readings["room"].item() for room in range(24)]
    assert rooms == [room if room in (1, 5, 8, 10, 14) else UNKNOWN for room in range(24)]


def test_nothing_is_told_while_a_room_is_set_up() -> None:
    told = changed("revenge", "player", _127=177)
    assert numbers(told) == {"player": -1, "skull": -1}
    assert {name: values.tolist() for name, values in told.readings.items()} == {"room": [-1], "key": [-1]}


def test_a_shot_is_told_in_odd_frames_and_bombs_in_even_ones() -> None:
    flying = {"_87": 60, "_85": 50, "_83": 60, "_81": 86, "_84": 90, "_82": 246}
    for frame, expected in ((33, {"shot": 1, "bomb": -1}), (34, {"shot": -1, "bomb": 1})):
        told = numbers(changed("space_invaders", "player", **flying, _74=frame, _16=0))
        assert {name: told[name] for name in expected} == expected
    low = numbers(changed("space_invaders", "player", **flying, _74=34, _16=23))
    assert low["bomb"] == -1
    idle = numbers(changed("space_invaders", "player", _74=33, _85=246))
    assert idle["shot"] == 0


def test_a_mother_ship_is_away_or_there() -> None:
    assert number(changed("space_invaders", "player", _30=180), "mother_ship") == 0
    assert place(changed("space_invaders", "player", _30=90), "mother_ship").tolist() == [92.0, 15.5]


def test_a_rack_needs_a_dozen_invaders() -> None:
    rows = {f"_{byte}": 0 for byte in range(18, 24)}
    assert number(changed("space_invaders", "player", **rows | {"_23": 63, "_22": 63}), "rack") == 1
    assert number(changed("space_invaders", "player", **rows | {"_23": 63, "_22": 31}), "rack") == -1


@pytest.mark.parametrize("picture", range(4))
def test_an_invader_that_explodes_no_longer_counts(picture: int) -> None:
    real = played("space_invaders", 0)
    frame, explosion = without_an_invader(real.frames[0], np.empty(0)), space_invaders._EXPLOSIONS[picture]
    rows, columns = np.nonzero(real.frames[0] != frame)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(explosion), np.uint8)).reshape(10, 8)
    frame[rows.min() : rows.min() + 10, columns.min() : columns.min() + 8][bits > 0] = 20
    count = real.seen[0].readings["invaders"].item()
    assert reader_of("space_invaders").of_frame(frame).readings["invaders"].item() == count - 1
