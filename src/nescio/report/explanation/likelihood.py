"""Perplexity and the likelihood of a die with the numbers in the formula."""

from __future__ import annotations

import math

import numpy as np

from nescio.information import (
    die_maximum_likelihood,
    log_likelihood,
    sequence_perplexity,
    surprisal,
)
from nescio.outcome import Estimate, Recipe
from nescio.report.explanation.words import (
    Explanation,
    Numbers,
    Scale,
    first_of,
    paired,
    shown,
    sum_of,
    sum_text,
)

__all__ = ["explain_likelihood", "explain_perplexity"]

_JELINEK = "Jelinek, Mercer, Bahl & Baker (1977), perplexity"
_FISHER = "Fisher (1922), On the Mathematical Foundations of Theoretical Statistics"


def explain_perplexity(p: Numbers, *, unit: str = "bits") -> Explanation:
    """The perplexity of a text from the probabilities its tokens were given.

    Args:
        p: the probability of each token that came, [n]; they need not sum to 1.
        unit: of the surprisals on the way, ``"bits"`` or ``"nats"``.

    Raises:
        InvalidDistribution, InvalidInput: as `sequence_perplexity`.

    Example:
        >>> print(explain_perplexity([0.8, 0.2]).steps[-1])
        perplexity = 2^1.3219 = 2.5000
    """
    scale = Scale(unit)
    shares = np.asarray(p, dtype=np.float64)
    total = float(sequence_perplexity(p=shares))
    each = scale.of(surprisal(p=shares)).tolist()
    lines = [
        f"-{scale.log} {x:.6g} = {shown(y)} {unit}"
        for x, y in zip(shares.tolist(), each, strict=True)
    ]
    mean = math.fsum(each) / len(each) if all(map(math.isfinite, each)) else math.inf
    notes = [
        (
            "It is the geometric mean of 1/p: as unsure as a fair choice among so many "
            "tokens each time."
        )
    ]
    if math.isfinite(total):
        average = float((1.0 / shares).mean())
        notes.append(
            f"Not the arithmetic mean of 1/p ({average:.4f}), nor their sum; and "
            "perplexities of several texts are not averaged but taken over all tokens."
        )
    else:
        notes.append("One token that was held impossible makes it infinite.")
    recipe = Recipe("sequence_perplexity", {"p": shares.tolist()}, (_JELINEK,))
    return Explanation(
        Estimate(
            "perplexity", total, "1", len(shares), "exact", "these tokens", recipe
        ),
        f"{scale.base} to the mean surprisal of a token",
        f"perplexity = {scale.base}^(-1/n · Σ {scale.log} p)",
        (
            *first_of(lines),
            f"mean = ({sum_text(each)})/{len(each)} = {shown(mean)} {unit}",
            f"perplexity = {scale.base}^{shown(mean)} = {shown(total)}",
        ),
        tuple(notes),
    )


def explain_likelihood(
    counts: Numbers, *, p: Numbers | None = None, unit: str = "bits"
) -> Explanation:
    """The shares that make counts most probable, with the constrained optimum shown.

    Args:
        counts: how often each outcome came, [K].
        p: a model to hold against it, [K]; None: equal shares.
        unit: ``"bits"`` or ``"nats"``.

    Raises:
        InvalidInput, InvalidDistribution: as `die_maximum_likelihood` and
            `log_likelihood`.

    Example:
        >>> print(explain_likelihood([3, 1]).steps[-1])
        log₂ L = 3 · log₂ 0.75 + 1 · log₂ 0.25 = -3.2451 bits
    """
    scale = Scale(unit)
    die = die_maximum_likelihood(counts)
    size, total, log = len(die.counts), die.multiplier, scale.log
    model = np.full(size, 1.0 / size) if p is None else np.asarray(p, dtype=np.float64)
    other = float(log_likelihood(counts, p=model)) / scale.nats
    best = die.log_likelihood / scale.nats
    lines = [
        f"y{k} = {x:.0f}/{total:.0f} = {y:.6g}"
        for k, (x, y) in enumerate(paired(die.counts, die.probabilities), 1)
    ]
    products = [
        f"{x:.0f} · {log} {y:.6g}"
        for x, y in paired(die.counts, die.probabilities)
        if x
    ]
    named = "Equal shares" if p is None else "The shares given"
    return Explanation(
        scale.exact(
            "log_likelihood",
            die.log_likelihood,
            n=int(total),
            given={"counts": die.counts.astype(int).tolist()},
            source=_FISHER,
        ),
        "how probable a model makes the throws that came; here of the best model",
        f"{log} L(y) = Σ n {log} y,  largest where y = n/Σn",
        (
            "Under Σ y = 1, with a multiplier λ: Σ n ln y - λ (Σ y - 1)",
            "its slope n/y - λ is 0 for every outcome, so y = n/λ;",
            f"as the y sum to 1, λ = Σ n = {total:.0f}:",
            *first_of(lines),
            *_curvature(die.curvature, interior=die.interior, size=size),
            f"{log} L = {sum_of(products)} = {best:.4f} {unit}",
        ),
        (
            (
                f"{named} make it {shown(other)} {unit}, {shown(best - other)} "
                "below: Σn times the KL divergence of them from n/Σn."
            ),
            "One throw, counted one-hot, makes -log L the cross-entropy.",
        ),
    )


def _curvature(curvature: float, *, interior: bool, size: int) -> tuple[str, ...]:
    if size == 1:
        return ("One outcome leaves no other choice.",)
    found = f"largest eigenvalue along the simplex {curvature:.4g}"
    if interior:
        return (f"Second slopes -n/y² < 0, {found}: a strict maximum.",)
    return (
        (
            "Outcomes that never came get 0: their slope 0 is below λ, so that any "
            "share for them only takes from the others."
        ),
    )
