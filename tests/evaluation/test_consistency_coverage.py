"""How far accuracy among the surest questions may be off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nescio.calibration.means import accuracy
from nescio.calibration.measuring import How
from nescio.calibration.risk_coverage import risk_coverage_curve
from nescio.evaluation.consistency_coverage import (
    coverage_band,
    coverage_of,
    redrawn_rows,
)
from nescio.evaluation.consistency_found import RiskBand
from nescio.outcome import Outcomes
from nescio.uncertainty import wilson_interval
from tests.consistency.numbers import number

HOW = How(0.95, 1000, 0)


def drawn(n: int, seed: int = 0, levels: int = 20) -> Outcomes:
    """Answers that are right as often as they are sure, of few confidences."""
    rng = np.random.default_rng(seed)
    sure = rng.integers(0, levels + 1, n) / levels
    return Outcomes.of(sure, rng.random(n) < sure)


def band_of(rows: Outcomes) -> RiskBand:
    curve = coverage_of(rows, rows.confidence)
    return coverage_band(curve, rows, redrawn_rows(rows, HOW), how=HOW)


def test_at_full_coverage_it_is_the_interval_of_the_accuracy():
    rows = drawn(400)
    band, whole = band_of(rows), accuracy(rows)
    assert 1 - band.low[-1] == pytest.approx(number(whole.high), abs=0.01)
    assert 1 - band.high[-1] == pytest.approx(number(whole.low), abs=0.01)
    assert band.level == 0.95


def test_it_holds_the_curve_and_wilson_s_limits_and_is_wide_where_few_are_answered():
    rows = drawn(300)
    curve, band = coverage_of(rows, rows.confidence), band_of(rows)
    assert (band.low <= curve.risk).all()
    assert (band.high >= curve.risk).all()
    assert band.high[0] - band.low[0] > 3 * (band.high[-1] - band.low[-1])
    right = Outcomes.of(np.linspace(0, 1, 50), [1] * 50)
    assert band_of(right).high[-1] == pytest.approx(1 - wilson_interval(50, 50).low)


def test_it_holds_the_truth_about_as_often_as_it_says():
    """Confidence uniform on 0 … 1, so the surest share c errs by c/2."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sure = rng.random(200)
        rows = Outcomes.of(sure, rng.random(200) < sure)
        curve, band = coverage_of(rows, sure), band_of(rows)
        truth = curve.coverage / 2
        kept = np.flatnonzero(np.isin(curve.coverage, (0.25, 0.5, 0.75, 1.0)))
        held.append((band.low[kept] <= truth[kept]) & (truth[kept] <= band.high[kept]))
    assert 0.9 < np.mean(held) < 1.0


def test_which_questions_are_the_surest_varies_too():
    """Wilson alone would forget it: half are sure and right, the others wrong."""
    sure = np.repeat([0.9, 0.1], 100)
    rows = Outcomes.of(sure, sure > 0.5)
    curve, band = coverage_of(rows, sure), band_of(rows)
    place = int(np.flatnonzero(curve.coverage == 0.6)[0])
    alone = wilson_interval(20, 120)
    assert curve.risk[place] == pytest.approx(1 / 6)
    assert band.low[place] < alone.low - 0.01
    assert band.high[place] > alone.high + 0.01


def test_ties_count_as_the_curve_counts_them():
    rows = drawn(60, levels=3)
    once = np.ones((1, 60))
    curve = coverage_of(rows, rows.confidence)
    band = coverage_band(curve, rows, once, how=HOW)
    assert (band.low <= curve.risk + 1e-12).all()
    from nescio.evaluation.consistency_coverage import _risks

    assert _risks(curve, rows, once)[0] == pytest.approx(curve.risk)
    assert curve.risk == pytest.approx(risk_coverage_curve(rows).risk)


def test_clusters_are_drawn_whole():
    rows = drawn(60)
    wide = Outcomes.of(
        np.repeat(rows.confidence, 5),
        np.repeat(rows.correct, 5),
        cluster=[f"c{k // 5}" for k in range(300)],
    )
    alone, whole = band_of(replace(wide, cluster=None)), band_of(wide)
    assert whole.high[-1] - whole.low[-1] > 1.8 * (alone.high[-1] - alone.low[-1])
    counts = redrawn_rows(wide, HOW)
    assert counts is not None
    assert (counts.reshape(-1, 60, 5) == counts[:, ::5, None]).all()


def test_few_questions_have_wilson_s_limits_alone():
    rows = drawn(4)
    assert redrawn_rows(rows, HOW) is None
    band = band_of(rows)
    wrong = int((~rows.correct).sum())
    expected = wilson_interval(wrong, 4)
    assert (band.low[-1], band.high[-1]) == (expected.low, expected.high)
