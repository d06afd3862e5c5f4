"""What calibration measures have to be, each definition against a few plain lines."""

import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from nescio.calibration import (
    CalibrationSums,
    EqualMass,
    FullVocabularySums,
    KernelForm,
    accuracy,
    accuracy_at_coverage,
    auroc,
    brier_score,
    calibration_errors_by_class,
    calibration_refinement,
    controlled_threshold,
    coverage_at_risk,
    debiased_l2_calibration_error,
    debiased_squared_calibration_error,
    dirichlet,
    expected_calibration_error,
    full_vocabulary_calibration_error,
    histogram,
    kolmogorov_smirnov_calibration_error,
    log_loss,
    mean_confidence,
    next_token_calibration,
    paired_difference,
    platt,
    prediction_rejection_ratio,
    risk_coverage_curve,
    root_mean_square_calibration_error,
    scaling_binning,
    smooth_calibration_error,
    spline,
    squared_kernel_calibration_error,
    sweep_calibration_error,
    temperature,
    venn_abers,
)
from nescio.calibration.bins import EqualWidth
from nescio.calibration.cumulative import CUMULATIVE_ERRORS
from nescio.calibration.debiased import DEBIASED
from nescio.calibration.document_gaps import DocumentGaps
from nescio.calibration.error import ERRORS
from nescio.calibration.influence import cluster_of_rows, deviation_of
from nescio.calibration.kernel_error import KERNEL_ERRORS
from nescio.calibration.measuring import How
from nescio.calibration.multiclass import CLASS_ERRORS
from nescio.calibration.paired_errors import (
    difference_limits,
    errors_apart,
    paired_gaps,
)
from nescio.calibration.ranking import RANKINGS
from nescio.calibration.risk_coverage import area_influence, excess_area_influence
from nescio.calibration.scoring import SCORES
from nescio.calibration.selective import SELECTIVE
from nescio.calibration.smooth import SMOOTH_ERRORS
from nescio.calibration.sweep import SWEEP
from nescio.errors import InvalidInput
from nescio.outcome import Outcomes, Predictions

FEW: dict[str, Any] = {"resamples": 200}
ALL_PAIRS = KernelForm("all pairs")
Measure = Callable[..., Any]

OF_CONFIDENCE: dict[str, Measure] = {
    **ERRORS,
    **DEBIASED,
    **SWEEP,
    **SMOOTH_ERRORS,
    **CUMULATIVE_ERRORS,
    **KERNEL_ERRORS,
}
PLUG_IN: dict[str, Measure] = {
    **ERRORS,
    **SMOOTH_ERRORS,
    **CUMULATIVE_ERRORS,
    **SCORES,
    **RANKINGS,
    "accuracy": accuracy,
    "mean_confidence": mean_confidence,
}
"""Of the distribution of the rows alone: copies of all of them leave these."""


def rows(n: int = 90, seed: int = 0, power: float = 1.5) -> Outcomes:
    """Confidences with ties, some exactly 0 or 1, right less often than they say."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n).round(1)
    return Outcomes.of(confidence, rng.random(n) < confidence**power)


def distributions(n: int = 60, classes: int = 3, seed: int = 0) -> Predictions:
    """Logits twice as large as they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes))
    p = np.exp(logits)
    labels = [rng.choice(classes, p=row / row.sum()) for row in p]
    return Predictions.of(2 * logits, labels, "logit")


def taken(outcomes: Outcomes, places: np.ndarray) -> Outcomes:
    return Outcomes(outcomes.confidence[places], outcomes.correct[places])


def test_every_calibration_error_has_null_level_p_value_interval_and_recipe():
    found = [measure(rows(), **FEW) for measure in OF_CONFIDENCE.values()]
    whole = distributions()
    found += [measure(whole, **FEW) for measure in CLASS_ERRORS.values()]
    found += calibration_errors_by_class(whole, **FEW)
    logp = np.log(np.tile([[0.7, 0.3], [0.4, 0.6]], (15, 1)))
    names = [str(row // 3) for row in range(30)]
    sums = FullVocabularySums.of(logp, np.arange(30) % 4 // 3, names)
    found += next_token_calibration(sums, **FEW).values()
    streamed = CalibrationSums.of(rows()).estimates(**FEW)
    found.append(streamed["expected_calibration_error"])
    assert len(found) == len(OF_CONFIDENCE) + len(CLASS_ERRORS) + 3 + 2 + 1
    for one in found:
        settings = one.recipe.settings
        assert one.unit == "1", one.name
        assert one.low is not None, one.name
        assert one.high is not None, one.name
        assert one.p_value is not None, one.name
        assert "null" in settings, one.name
        assert settings.get("seed") == 0, one.name
        assert "interval" in settings, one.name
        if one.name != "signed_calibration_gap":  # it is 0 where nothing is wrong
            assert one.null_level is not None, one.name


@pytest.mark.parametrize("sign", [1, -1])
def test_residuals_of_one_sign_make_all_errors_the_mean_residual(sign):
    confidence = np.array([0.0, 0.2, 0.2, 0.55, 0.999, 1.0, 1.0])
    data = Outcomes.of(confidence, np.full(7, sign < 0))
    expected = abs(float(np.mean(confidence - (sign < 0))))
    for measure in (
        expected_calibration_error,
        smooth_calibration_error,
        kolmogorov_smirnov_calibration_error,
        partial(expected_calibration_error, bins=EqualMass(3)),
    ):
        assert measure(data, **FEW).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", OF_CONFIDENCE | PLUG_IN | SELECTIVE)
def test_the_order_of_rows_changes_no_value(name):
    measure = (OF_CONFIDENCE | PLUG_IN | SELECTIVE)[name]
    data = rows(60)
    if name == "log_loss":
        data = Outcomes.of(data.confidence.clip(0.1, 0.9), data.correct)
    options = {}
    if name in KERNEL_ERRORS:  # blocks are of rows; all pairs are of all
        options = {"form": ALL_PAIRS}
    order = np.random.default_rng(3).permutation(len(data))
    # Right ones first within each tie is the order that flatters most.
    first = np.lexsort((~data.correct, data.confidence))
    expected = measure(data, **FEW, **options).value
    for places in (order, first):
        found = measure(taken(data, places), **FEW, **options).value
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", PLUG_IN)
def test_copies_of_all_rows_leave_what_is_of_their_distribution(name):
    data = rows(60)
    if name == "log_loss":
        data = Outcomes.of(data.confidence.clip(0.1, 0.9), data.correct)
    if name == "prediction_rejection_ratio":
        measure = partial(prediction_rejection_ratio, convention="total")
    else:
        measure = PLUG_IN[name]
    places = np.tile(np.arange(len(data)), 3)
    once, thrice = measure(data, **FEW), measure(taken(data, places), **FEW)
    assert thrice.value == pytest.approx(once.value, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    "measure",
    [
        debiased_squared_calibration_error,
        partial(squared_kernel_calibration_error, form=ALL_PAIRS),
    ],
)
def test_copies_lift_what_takes_the_noise_of_independent_rows_off(measure):
    data = rows(60, power=1.0)
    copies = taken(data, np.tile(np.arange(60), 3))
    assert measure(copies, **FEW).value > measure(data, **FEW).value + 1e-6


def test_copies_lower_the_null_level_and_may_change_the_sweep():
    data = rows(60, power=1.0)
    copies = taken(data, np.tile(np.arange(60), 3))
    measures: list[Measure] = [expected_calibration_error, sweep_calibration_error]
    for measure in measures:
        few, many = measure(data, **FEW), measure(copies, **FEW)
        assert many.null_level < 0.75 * few.null_level
        assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(
    "name", [name for name in OF_CONFIDENCE if name != "underconfidence"]
)
def test_confidences_of_exactly_one_that_err_count_in_every_error(name):
    """Bins [lo, hi) drop them, and find the other rows calibrated."""
    calibrated = [0.5] * 20, [1, 0] * 10
    certain = Outcomes.of(calibrated[0] + [1.0] * 20, calibrated[1] + [0] * 20)
    without = Outcomes.of(*calibrated)
    options = {"form": ALL_PAIRS} if name in KERNEL_ERRORS else {}
    measure = OF_CONFIDENCE[name]
    with_them = measure(certain, **FEW, **options).value
    assert measure(without, **FEW, **options).value <= 1e-12
    assert with_them >= 0.2


def test_two_bins_are_two():
    """Edges linspace(0, 1, M) make one bin of two, where these gaps cancel."""
    data = Outcomes.of([0.4, 0.6], [1, 0])
    assert expected_calibration_error(data, bins=2).value == pytest.approx(0.6)
    assert expected_calibration_error(data, bins=1).value == pytest.approx(0.0)


def test_equal_mass_bins_cut_by_row_would_depend_on_the_order_of_ties():
    confidence, right = np.full(40, 0.5), np.arange(40) < 20

    def cut(order: np.ndarray) -> float:
        parts = np.array_split(order, 4)
        return sum(abs((confidence - right)[p].sum()) for p in parts) / 40

    sorted_by_luck, mixed = np.arange(40), np.arange(40).reshape(2, 20).T.ravel()
    assert (cut(sorted_by_luck), cut(mixed)) == (0.5, 0.0)
    for order in (sorted_by_luck, mixed):
        data = Outcomes.of(confidence[order], right[order])
        assert expected_calibration_error(data, bins=EqualMass(4)).value == 0.0


def test_no_root_is_taken_twice():
    data = rows(400, power=2.0)
    squared = debiased_squared_calibration_error(data, **FEW).value
    root: Any = debiased_l2_calibration_error(data, **FEW)
    assert root.value**2 == pytest.approx(squared)
    place = np.maximum(np.ceil(data.confidence * 10 - 1e-9).astype(int) - 1, 0)
    square = 0.0
    for one in range(10):
        inside = place == one
        if inside.any():
            gap = (data.confidence - data.correct)[inside].mean()
            square += inside.mean() * gap**2
    found = root_mean_square_calibration_error(data, bins=10, **FEW).value
    assert found == pytest.approx(math.sqrt(square))


@pytest.mark.parametrize(
    "measure",
    [accuracy, brier_score, auroc, expected_calibration_error],
)
def test_an_interval_is_of_the_level_asked_for(measure):
    """Of a normal number 90 % is 1.645, and 99.9 % 3.291 standard errors wide."""
    data = rows(500, power=2.0)
    narrow, wide = (measure(data, level=x, resamples=10_000) for x in (0.9, 0.999))
    ratio = (wide.high - wide.low) / (narrow.high - narrow.low)
    assert (narrow.level, wide.level) == (0.9, 0.999)
    assert ratio == pytest.approx(3.2905 / 1.6449, rel=0.12)


def test_pooled_candidates_are_another_number_than_the_error_of_the_top():
    """All (row, class) pairs, over rows: near 0 for many classes if over pairs."""
    data = distributions(400, 50)
    logits = np.stack([np.exp(data.logp(row)) for row in range(400)])
    hits = np.eye(50)[data.labels]
    place = np.maximum(np.ceil(logits * 15).astype(int) - 1, 0)
    pooled = sum(abs((logits - hits)[place == b].sum()) for b in range(15)) / 400
    found: Any = full_vocabulary_calibration_error(data, **FEW)
    assert found.value == pytest.approx(pooled)
    assert found.name == "full_vocabulary_calibration_error"
    top: Any = expected_calibration_error(data.outcomes(), **FEW)
    assert top.value == pytest.approx(_ece(logits.max(axis=1), data.outcomes().correct))
    assert abs(found.value - top.value) > 0.05


def _ece(confidence: np.ndarray, right: np.ndarray) -> float:
    place = np.maximum(np.ceil(confidence * 15).astype(int) - 1, 0)
    sums = [abs((confidence - right)[place == b].sum()) for b in range(15)]
    return sum(sums) / len(confidence)


CERTAIN = Outcomes.of([0.01] * 3 + [0.3, 0.7] + [0.99] * 3, [0] * 4 + [1] * 4)
UNEVEN = Outcomes.of([0.02] * 10 + [0.5] * 10, [0] * 10 + [1] * 8 + [0] * 2)


@pytest.mark.parametrize(
    ("fit", "data"),
    [
        (partial(histogram.fit, bins=1), CERTAIN),
        (partial(scaling_binning.fit, bins=2), CERTAIN),
        (partial(spline.fit, knots=2), UNEVEN),
        (venn_abers.fit, CERTAIN),
        (platt.fit, CERTAIN),
    ],
    ids=["histogram", "scaling_binning", "spline", "venn_abers", "smoothed platt"],
)
def test_what_is_not_fitted_by_likelihood_may_raise_the_loss_of_its_own_rows(fit, data):
    report = fit(data).report
    assert report.log_loss_after > report.log_loss_before + 1e-3


def test_the_loss_is_convex_in_the_inverse_temperature_and_not_in_its_logarithm():
    logits = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.2, 0.0]])
    labels = np.array([0, 0, 0, 1])

    def loss(inverse: np.ndarray) -> np.ndarray:
        z = inverse[:, None, None] * logits
        logp = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
        return -logp[:, np.arange(4), labels].mean(axis=1)

    inverse = np.linspace(0.01, 40, 4001)
    assert np.diff(loss(inverse), 2).min() > -1e-12
    assert np.diff(loss(np.exp(np.linspace(-5, 3, 4001))), 2).min() < -1e-8
    found = temperature.fit(Predictions.of(logits, labels, "logit"))
    best = inverse[loss(inverse).argmin()]
    assert 1 / found.temperature == pytest.approx(best, abs=0.01)


def test_the_temperature_is_infinite_where_the_mean_logit_beats_the_right_one():
    rng = np.random.default_rng(0)
    for _ in range(40):
        logits, labels = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
        right = logits[np.arange(6), labels]
        hopeless = (logits.mean(axis=1) - right).mean() >= 0
        found = temperature.fit(Predictions.of(logits, labels, "logit"))
        assert (found.temperature == math.inf) == hopeless
        if hopeless:
            assert "infinity" in (found.report.at_bound or "")


def test_the_refinement_is_the_loss_of_fits_to_other_folds():
    """Independently: the folds of the recipe's seed, a plain rising fit, Brier."""
    from sklearn.isotonic import IsotonicRegression

    data = rows(100)
    parts = calibration_refinement(data, seed=5)
    settings = parts["refinement_loss"].recipe.settings
    fold = np.arange(100) % settings["folds"]
    np.random.default_rng(settings["fold_seed"]).shuffle(fold)
    said = np.empty(100)
    for one in range(5):
        out = fold == one
        line = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        line.fit(data.confidence[~out], data.correct[~out])
        seen = np.unique(data.confidence[~out])
        step = np.searchsorted(seen, data.confidence[out], side="right") - 1
        said[out] = line.predict(seen[np.maximum(step, 0)])
    loss = float(((said - data.correct) ** 2).mean())
    assert parts["refinement_loss"].value == pytest.approx(loss, abs=1e-12)
    both = sum(part.value for part in parts.values())
    assert both == pytest.approx(brier_score(data).value)


def test_what_is_accepted_first_is_counted_as_plain_loops_do():
    rng = np.random.default_rng(4)
    n = 80
    confidence, right = rng.permutation(n) / n, rng.random(n) < 0.7
    data = Outcomes.of(confidence, right)
    wrong = np.cumsum(~right[np.argsort(-confidence)])
    risk = wrong / np.arange(1, n + 1)
    best = np.cumsum(np.sort(~right)) / np.arange(1, n + 1)
    assert risk_coverage_curve(data).risk == pytest.approx(risk)
    values = {name: measure(data).value for name, measure in SELECTIVE.items()}
    assert values["area_under_risk_coverage"] == pytest.approx(risk.mean())
    excess = values["excess_area_under_risk_coverage"]
    assert excess == pytest.approx(risk.mean() - best.mean())
    ratio = (risk[-1] - risk.mean()) / (risk[-1] - best.mean())
    assert prediction_rejection_ratio(data).value == pytest.approx(ratio)
    answered = accuracy_at_coverage(data, coverage=0.25, **FEW)
    assert answered.value == pytest.approx(1 - risk[n // 4 - 1])
    covered = coverage_at_risk(data, risk=0.25, **FEW)
    assert covered.value == pytest.approx((np.flatnonzero(risk <= 0.25)[-1] + 1) / n)
    thresholds = [*np.unique(confidence), -math.inf]
    kept = [t for t in thresholds if ((confidence > t) & ~right).sum() + 1 <= 0.2 * 81]
    assert controlled_threshold(data, risk=0.2).value == min(kept)


PROGRAM = """
from nescio import NescioError
from nescio.outcome import Outcomes, Predictions
import nescio.calibration as calibration

row, rows = Predictions.of([[0.7, 0.3]], [0], "probability"), Outcomes.of([0.7], [1])
for line in """
"""Run where annotations are not checked, as users run it."""


def test_data_of_the_other_kind_are_refused_and_never_guessed():
    """A distribution is no confidence, and a confidence no distribution."""
    of_outcomes = [
        *RANKINGS,
        *SELECTIVE,
        "risk_coverage_curve",
        "brier_decomposition",
        "isotonic_decomposition",
        "calibration_refinement",
        "expected_calibration_error",
        "maximum_calibration_error",
        "root_mean_square_calibration_error",
        "signed_calibration_gap",
        "overconfidence",
        "underconfidence",
        "debiased_l2_calibration_error",
        "debiased_squared_calibration_error",
        "sweep_calibration_error",
        "smooth_calibration_error",
        "smooth_reliability",
        "kolmogorov_smirnov_calibration_error",
        "kuiper_calibration_error",
        "cumulative_differences",
        "reliability_diagram",
        "error_by_bin_count",
        "accuracy",
        "mean_confidence",
    ]
    calls = [f"{name}(row)" for name in of_outcomes]
    calls += [
        "accuracy_at_coverage(row, coverage=0.5)",
        "coverage_at_risk(row, risk=1)",
    ]
    calls += ["controlled_threshold(row, risk=0.5)"]
    calls += ["paired_difference('auroc', row, row)"]
    calls += [f"{name}(rows)" for name in CLASS_ERRORS]
    program = (
        PROGRAM
        + f"""{calls}:
    try:
        eval("calibration." + line)
    except NescioError as error:
        print(error)
"""
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    said = run.stdout.splitlines()
    assert len(said) == len(calls)
    for call, line in zip(calls, said, strict=True):
        hint = "is for Predictions" if "(rows)" in call else "take their .outcomes()"
        assert hint in line, (call, line)


def test_options_that_a_measure_has_not_are_refused_in_a_comparison():
    data = rows(20)
    for measure, message in (
        (
            partial(log_loss, cluster=list("ab" * 10)),
            "no option 'cluster' for outcomes: it has .'clip'",
        ),
        (partial(auroc, ties="half"), "no option 'ties' for outcomes: it has none"),
    ):
        with pytest.raises(InvalidInput, match=message):
            paired_difference(measure, data, data)


def test_clusters_are_told_apart_by_their_whole_names():
    """NumPy's texts end at the last character that is not NUL."""
    data = Outcomes.of([0.5] * 4, [0, 1, 0, 1], cluster=["b", "a", "a\0", "b"])
    owner, units = cluster_of_rows(data)
    assert (owner.tolist(), units) == ([2, 0, 1, 2], 3)


def test_what_a_row_contributes_to_an_area_is_what_leaving_it_out_takes_away():
    """With heavy ties, for each kind of row; to the first order in 1 / n."""
    data, n = rows(1500, power=1.0), 1500
    for contributions in (area_influence, excess_area_influence):
        whole = contributions(data)
        for confidence in np.unique(data.confidence):
            for right in (False, True):
                same = (data.confidence == confidence) & (data.correct == right)
                for row in np.flatnonzero(same)[:1]:
                    part = contributions(taken(data, np.delete(np.arange(n), row)))
                    lost = (n - 1) * (whole.value - part.value)
                    assert n * whole.rows[row] == pytest.approx(lost, abs=0.02)


def test_p_values_of_swaps_count_the_swap_that_happened():
    """The least that 200 draws can show is one in 201, never 0."""
    right = np.ones(50, np.bool_)
    good, bad = Outcomes(np.full(50, 0.9), right), Outcomes(np.full(50, 0.5), right)
    found = paired_difference("brier_score", good, bad, **FEW)
    assert found.p_value == 1 / 201


def test_a_clear_difference_of_any_measure_has_a_small_p_value():
    rng = np.random.default_rng(0)
    confidence = rng.random(300)
    right = rng.random(300) < confidence
    good = Outcomes(confidence, right)
    bad = Outcomes(np.sqrt(confidence), right)
    measure = partial(expected_calibration_error, bins=5)
    found: Any = paired_difference(measure, bad, good, **FEW)
    assert found.p_value < 0.02
    assert paired_difference(measure, good, good, **FEW).p_value == 1.0


def test_an_ece_difference_by_sums_is_that_of_the_measure_itself():
    rng = np.random.default_rng(1)
    confidence = rng.random(200)
    cluster = rng.integers(0, 50, 200).tolist()
    right, weight = rng.random(200) < confidence, rng.random(200)
    good = Outcomes.of(confidence, right, cluster=cluster, weight=weight)
    bad = Outcomes.of(np.sqrt(confidence), right, cluster=cluster, weight=weight)
    measure: Measure = partial(expected_calibration_error, bins=7)
    found = paired_difference(measure, bad, good, **FEW)
    values: list[Any] = [measure(one, **FEW).value for one in (bad, good)]
    assert found.value == pytest.approx(values[0] - values[1])
    drawn = difference_limits(paired_gaps(bad, good, EqualWidth(7)), bad, How(0.9, 200))
    means = [_ece_of_weighted(one, 7) for one in (bad, good)]
    whole = errors_apart(paired_gaps(bad, good, EqualWidth(7)).mean(axis=0)[None])
    assert whole[0] == pytest.approx(means[0] - means[1])
    assert len(drawn[1]) == 200
    assert found.n_clusters == len(set(cluster))
    assert "inversion" in found.recipe.settings["interval"]


def _ece_of_weighted(data: Outcomes, bins: int) -> float:
    place = np.maximum(np.ceil(data.confidence * bins).astype(int) - 1, 0)
    gap = data.weight * (data.confidence - data.correct)
    return sum(abs(gap[place == b].sum()) for b in range(bins)) / data.weight.sum()


def test_a_calibrated_source_is_less_wrong_by_as_much_as_the_limits_say():
    """Reflected limits held this truth in about every second of such data sets."""
    held, data_sets = 0, 60
    for seed in range(data_sets):
        rng = np.random.default_rng(seed)
        confidence = rng.random(1000)
        right = rng.random(1000) < confidence
        calibrated = Outcomes(confidence, right)
        bent = Outcomes(confidence**1.2, right)
        columns = paired_gaps(calibrated, bent, EqualWidth(15))
        found, _ = difference_limits(columns, calibrated, How(0.95, 400, seed))
        held += found.low <= 1 / 2.2 - 1 / 2 <= found.high
    assert held >= 52


def test_an_error_does_not_differ_from_itself():
    data = rows(100)
    found = paired_difference(expected_calibration_error, data, data, **FEW)
    assert (found.low, found.value, found.high) == (None, 0.0, None)
    assert found.p_value == 1.0
    assert "no row moves it" in found.population


def test_the_penalty_of_dirichlet_is_a_mean_over_what_it_holds():
    """ODIR divides by K (K - 1) off the diagonal and by K for the bias."""
    data = distributions(80)
    logp = np.stack([data.logp(row) for row in range(80)])
    label = np.arange(80), data.labels

    def objective(parameters: np.ndarray) -> float:
        weight, bias = parameters[:9].reshape(3, 3), parameters[9:]
        z = logp @ weight.T + bias
        loss = np.mean(np.log(np.exp(z).sum(axis=1)) - z[label])
        off = (weight**2).sum() - (np.diag(weight) ** 2).sum()
        return float(loss + 0.3 * off / 6 + 0.2 * (bias**2).sum() / 3)

    fitted = dirichlet.fit(data, penalty=0.3, bias_penalty=0.2)
    here = np.append(fitted.weight, fitted.bias)
    steps = 1e-5 * np.eye(12)
    slopes = [(objective(here + s) - objective(here - s)) / 2e-5 for s in steps]
    assert np.abs(slopes).max() < 1e-5


def test_the_values_of_split_bins_are_means_of_the_part_that_made_nothing_else():
    data = rows(300)
    fitted = scaling_binning.fit(data, bins=3, split=True, seed=2)
    part = np.arange(300) % 3
    np.random.default_rng(2).shuffle(part)
    scaled = fitted.scaling.apply(data).confidence
    place = np.searchsorted(fitted.edges, scaled, side="left")
    for one, value in enumerate(fitted.value):
        assert value == pytest.approx(scaled[(part == 2) & (place == one)].mean())


def test_the_error_of_a_mean_is_that_of_the_textbook():
    """s / sqrt(n) with n - 1 in s, for a mean of rows and for one of clusters."""
    right = np.array([1, 1, 0, 1, 0, 1])
    data = Outcomes.of([0.5] * 6, right)
    error = deviation_of((right - right.mean()) / 6, data).standard_error
    assert error == pytest.approx(right.std(ddof=1) / math.sqrt(6))
    pairs = Outcomes.of([0.5] * 6, right, cluster=list("aabbcc"))
    error = deviation_of((right - right.mean()) / 6, pairs).standard_error
    means = right.reshape(3, 2).mean(axis=1)
    assert error == pytest.approx(means.std(ddof=1) / math.sqrt(3))


def test_the_error_of_a_temperature_is_the_sandwich_on_the_scale_of_its_logarithm():
    data = distributions(40)
    fitted = temperature.fit(data)
    z = np.stack([data.logp(row) for row in range(40)])
    p = np.exp(z / fitted.temperature)
    p /= p.sum(axis=1, keepdims=True)
    mean = (p * z).sum(axis=1)
    score = mean - z[np.arange(40), data.labels]
    bend = ((p * z**2).sum(axis=1) - mean**2).sum()
    of_inverse = math.sqrt((score**2).sum() * 40 / 39) / bend
    expected = of_inverse * fitted.temperature
    assert fitted.log_standard_error == pytest.approx(expected, rel=1e-6)


def test_documents_vary_more_by_the_mean_square_of_their_gaps_on_one_less():
    rows_of_documents = np.array([2, 2, 2])
    gap = np.array([[0.5], [-0.5], [0.9]])
    found = DocumentGaps(gap, rows_of_documents, np.array([[0.6]]))
    around = gap - gap.mean()
    assert found.excess() == pytest.approx((around**2).sum() * 3 / 2 / 0.6)
