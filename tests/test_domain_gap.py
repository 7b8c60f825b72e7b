"""The domain gap."""

import numpy as np
import pytest

from atari_dream.checkpoint import FLOORS
from atari_dream.domain_gap import GAP_MEASURES, compare_domains, measure_replays
from atari_dream.drift import measure
from atari_dream.episodes import EpisodeStore
from atari_dream.metrics import Sums
from atari_dream.protocol import Entry, Protocol, open_entries
from atari_dream.starts import StartPool

pytestmark = pytest.mark.slow

STARTS, HORIZON = 12, 4


@pytest.fixture(scope="module")
def gap_protocol(pool: StartPool) -> Protocol:
    return Protocol.of(pool, STARTS, HORIZON)


@pytest.fixture(scope="module")
def gap_entries(
    pool: StartPool, store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory
) -> list[Entry]:
    from conftest import make_checkpoint

    return open_entries([make_checkpoint(tmp_path_factory.mktemp("gap") / "tiny", store)], pool)


@pytest.fixture(scope="module")
def ale(gap_protocol: Protocol, gap_entries: list[Entry], pool: StartPool) -> dict[str, Sums]:
    return measure(gap_protocol, pool, gap_entries, 0).starts


@pytest.fixture(scope="module")
def replayed(
    gap_protocol: Protocol, gap_entries: list[Entry], store: EpisodeStore
) -> tuple[dict[str, Sums], int]:
    return measure_replays(gap_protocol, store, gap_entries)


def test_checkpoints_and_floors_are_measured_on_replays(replayed: tuple[dict[str, Sums], int]) -> None:
    sums, episodes = replayed
    assert list(sums) == [*FLOORS, "tiny"] and episodes == 1
    for entry in sums.values():
        for measure_of in GAP_MEASURES.values():
            assert entry[measure_of.numerator].shape == (STARTS, HORIZON)
        assert (entry["frames"] == 1).mean() > 0.9


def test_a_wild_predictor_is_worse_than_a_still_picture_on_both_sides(
    ale: dict[str, Sums], replayed: tuple[dict[str, Sums], int]
) -> None:
    told = compare_domains(ale, *replayed)
    assert told["starts"] == {"ale": STARTS, "replays": STARTS} and told["episodes"] == 1
    wild, still = (told["entries"][name]["wrong_moving"] for name in ("tiny", "copy_last"))
    for side in ("ale", "replays"):
        assert wild[side][0] > still[side][0] > 0
    share = told["entries"]["tiny"]["share_of_floor"]
    assert share["ale"][0] > 1 and share["gap"][0] == pytest.approx(share["ale"][0] - share["replays"][0])
    assert "share_of_floor" not in told["entries"]["copy_last"]


def test_there_is_no_gap_between_a_domain_and_itself(ale: dict[str, Sums]) -> None:
    floors = {name: ale[name] for name in ("copy_last", "background", "tiny")}
    for measures in compare_domains(ale, floors, 1)["entries"].values():
        for row in measures.values():
            for gap, band in zip(row["gap"], row["ci95"]["gap"], strict=True):
                assert gap == 0 and band[0] <= 0 <= band[1]


def test_what_is_worse_in_ale_is_a_positive_gap(ale: dict[str, Sums]) -> None:
    replays = {name: dict(ale[name]) for name in ("copy_last", "background", "tiny")}
    better = replays["tiny"]
    for name in ("moving_wrong", "moving_square"):
        better[name] = better[name] / 4
    better["reward_right"] = np.ones_like(better["reward_right"])
    gaps = compare_domains(ale, replays, 1)["entries"]["tiny"]
    assert all(gap > 0 for key in ("wrong_moving", "dyn_psnr", "share_of_floor") for gap in gaps[key]["gap"])
    assert all(gap >= 0 for gap in gaps["reward_accuracy"]["gap"])
    assert gaps["dyn_psnr"]["gap"] == pytest.approx([10 * np.log10(4)] * HORIZON)


def test_it_is_deterministic(
    gap_protocol: Protocol,
    gap_entries: list[Entry],
    store: EpisodeStore,
    replayed: tuple[dict[str, Sums], int],
) -> None:
    again, _ = measure_replays(gap_protocol, store, gap_entries)
    for name, sums in again.items():
        for key, values in sums.items():
            np.testing.assert_array_equal(values, replayed[0][name][key])
