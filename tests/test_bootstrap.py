"""Intervals cover what they are for, as often as they say."""

import numpy as np
import pytest

from atari_dream.bootstrap import RESAMPLES, interval, resample


def test_every_resample_draws_as_many_starts_with_replacement() -> None:
    weights = resample(40)
    assert weights.shape == (RESAMPLES, 40) and (weights.sum(1) == 40).all() and weights.min() == 0
    assert weights.mean(0) == pytest.approx(np.ones(40), abs=0.1)
    assert weights.max(1).min() > 1  # nobody draws each start once


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(resample(7, seed=1), resample(7, seed=1))
    assert not np.array_equal(resample(7, seed=1), resample(7, seed=2))


def test_coverage_of_a_pooled_ratio() -> None:
    rng = np.random.default_rng(0)
    weights = resample(60)
    bottom = rng.integers(1, 20, (60, 400)).astype(float)
    top = rng.binomial(bottom.astype(int), 0.3).astype(float)
    found = np.array(interval((weights @ top) / (weights @ bottom)))
    covered = ((found[:, 0] <= 0.3) & (found[:, 1] >= 0.3)).mean()
    assert 0.90 <= covered <= 0.975
    assert (found[:, 1] > found[:, 0]).all()


def test_a_paired_difference_is_told_from_none() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(0, 10, (50, 1))  # what both share
    one, other = hard + 1 + rng.normal(0, 0.5, (50, 1)), hard + rng.normal(0, 0.5, (50, 1))
    weights = resample(50) / 50
    (apart,), (paired,) = interval(weights @ one), interval(weights @ one - weights @ other)
    assert apart is not None and apart[0] < 0 < apart[1]
    assert paired is not None and 0 < paired[0] < 1 < paired[1] + 0.2


def test_a_constant_has_a_point() -> None:
    assert interval(np.full((RESAMPLES, 2), 3.0)) == [[3.0, 3.0], [3.0, 3.0]]


def test_resamples_without_data_are_left_out_until_they_are_too_many() -> None:
    values = np.random.default_rng(0).normal(size=(RESAMPLES, 4))
    values[:, 1] = np.nan
    values[: RESAMPLES // 20, 2] = np.nan
    values[: RESAMPLES // 20 + 1, 3] = np.nan
    first, none, some, many = interval(values)
    assert none is None and many is None
    assert first == pytest.approx(np.percentile(values[:, 0], [2.5, 97.5]))
    assert some == pytest.approx(np.percentile(values[RESAMPLES // 20 :, 2], [2.5, 97.5]))
    assert all(isinstance(bound, float) for bound in first or ())
