"""What a measurement leaves behind is read again, and only under its own protocol."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DRIFT_STARTS as STARTS

from atari_dream.drift import Measured
from atari_dream.errors import UsageError
from atari_dream.protocol import Protocol
from atari_dream.results import load_drift, save_drift
from atari_dream.summary import summarise

pytestmark = pytest.mark.slow


def test_what_is_saved_is_read_again(
    measured: Measured,
    protocol: Protocol,
    summary: dict[str, Any],
    listed: list[tuple[str, str]],
    tmp_path: Path,
) -> None:
    save_drift(tmp_path / "out", summary, measured, [f"start {place}" for place in range(STARTS)])
    names, found = load_drift(tmp_path / "out", protocol)
    assert names == listed[3:]
    for part in ("starts", "control", "long"):
        kept = getattr(found, part)
        assert set(kept) == {"late", "endless"}
        for name, sums in kept.items():
            for key, values in sums.items():
                np.testing.assert_array_equal(values, getattr(measured, part)[name][key])
    joined = copy.deepcopy(measured)
    for part in (joined.starts, joined.control, joined.long):
        for name in names:
            del part[name[0]]
    joined.join(found)
    assert summarise(protocol, listed, joined, summary["command"]) == summary


def test_another_protocol_is_not_compared(
    measured: Measured, protocol: Protocol, summary: dict[str, Any], tmp_path: Path
) -> None:
    save_drift(tmp_path / "out", summary, measured, [])
    other = replace(protocol, horizon=3, seed=1)
    with pytest.raises(
        UsageError, match=r"was measured under another protocol: horizon 12, not 3; seed 0, not 1$"
    ):
        load_drift(tmp_path / "out", other)
    with pytest.raises(UsageError, match="no drift measurement at"):
        load_drift(tmp_path / "nowhere", protocol)
