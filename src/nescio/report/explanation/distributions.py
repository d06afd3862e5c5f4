"""Entropy, cross-entropy and KL divergence with the numbers in the formula."""

from __future__ import annotations

import math

import numpy as np

from nescio.information import cross_entropy, entropy, kl_divergence, surprisal
from nescio.report.explanation.words import (
    Explanation,
    Numbers,
    Scale,
    first_of,
    paired,
    shown,
    sum_text,
)

__all__ = ["explain_cross_entropy", "explain_entropy", "explain_kl"]

_SHANNON = "Shannon (1948), A Mathematical Theory of Communication, section 6"
_KULLBACK = "Kullback & Leibler (1951), On Information and Sufficiency"


def explain_entropy(p: Numbers, *, unit: str = "bits") -> Explanation:
    """The entropy of a distribution, term by term.

    Args:
        p: probabilities, [K].
        unit: ``"bits"`` or ``"nats"``.

    Raises:
        InvalidDistribution: as `entropy`.

    Example:
        >>> print(explain_entropy([0.9, 0.1]).steps[-1])
        H(p) = 0.1368 + 0.3322 = 0.4690 bits
    """
    scale = Scale(unit)
    shares = np.asarray(p, dtype=np.float64)
    total = float(entropy(p=shares))
    each = scale.of(surprisal(p=shares))
    terms = [0.0 if x == 0.0 else x * y for x, y in paired(shares, each)]
    log = scale.log
    lines = [
        f"-0 · {log} 0 = 0: what never comes tells nothing"
        if x == 0.0
        else f"-{x:.6g} · {log} {x:.6g} = {x:.6g} · {y:.4f} = {term:.4f}"
        for x, y, term in zip(shares.tolist(), each.tolist(), terms, strict=True)
    ]
    found, size = total / scale.nats, len(shares)
    most = math.log(size) / scale.nats
    as_many = f"{scale.base}^{found:.4f} = {math.exp(total):.3f}"
    return Explanation(
        scale.exact(
            "entropy", total, n=size, given={"p": shares.tolist()}, source=_SHANNON
        ),
        "how unsure a distribution leaves you, its mean surprisal",
        f"H(p) = -Σ p {log} p",
        (*first_of(lines), f"H(p) = {sum_text(terms)} = {found:.4f} {unit}"),
        (
            f"At most {log} {size} = {most:.4f} {unit}, where all are equally likely.",
            f"As unsure as a fair choice among {as_many} outcomes.",
        ),
    )


def explain_cross_entropy(p: Numbers, q: Numbers, *, unit: str = "bits") -> Explanation:
    """The cross-entropy of a guess q where p draws, term by term.

    Args:
        p, q: probabilities, [K].
        unit: ``"bits"`` or ``"nats"``.

    Raises:
        InvalidDistribution, InvalidInput: as `cross_entropy`.

    Example:
        >>> print(explain_cross_entropy([0, 1], [0.5, 0.5]).steps[-1])
        H(p, q) = 0 + 1.0000 = 1.0000 bits
    """
    scale = Scale(unit)
    ones, others = (np.asarray(x, dtype=np.float64) for x in (p, q))
    total = float(cross_entropy(p=ones, q=others))
    own, apart = float(entropy(p=ones)), float(kl_divergence(p=ones, q=others))
    each = scale.of(surprisal(p=others))
    terms = [0.0 if x == 0.0 else x * y for x, y in paired(ones, each)]
    log = scale.log
    lines = [
        f"-0 · {log} {y:.6g} = 0: p never draws it"
        if x == 0.0
        else f"-{x:.6g} · {log} {y:.6g} = {x:.6g} · {shown(z)} = {shown(term)}"
        for x, y, z, term in zip(
            ones.tolist(), others.tolist(), each.tolist(), terms, strict=True
        )
    ]
    notes = [
        (
            f"It is H(p) + KL(p‖q) = {shown(own / scale.nats)} + "
            f"{shown(apart / scale.nats)}: least, H(p), where q is p."
        )
    ]
    if math.isinf(total):
        notes = ["q excludes what p draws: the first time it comes, all is lost."]
    elif float(ones.max()) == 1.0:
        notes.append(
            "p is certain (one-hot): only what came counts, -log q of it, the loss a "
            "language model is trained with. The minus sign is easily lost."
        )
    given = {"p": ones.tolist(), "q": others.tolist()}
    return Explanation(
        scale.exact("cross_entropy", total, n=len(ones), given=given, source=_SHANNON),
        "the mean surprisal of who believes q while p draws",
        f"H(p, q) = -Σ p {log} q",
        (
            *first_of(lines),
            f"H(p, q) = {sum_text(terms)} = {shown(total / scale.nats)} {unit}",
        ),
        tuple(notes),
    )


def explain_kl(p: Numbers, q: Numbers, *, unit: str = "bits") -> Explanation:
    """The Kullback–Leibler divergence of q from p, term by term.

    Args:
        p, q: probabilities, [K].
        unit: ``"bits"`` or ``"nats"``.

    Raises:
        InvalidDistribution, InvalidInput: as `kl_divergence`.

    Example:
        >>> print(explain_kl([0.5, 0.5], [0.75, 0.25]).steps[-1])
        KL(p‖q) = -0.2925 + 0.5000 = 0.2075 bits
    """
    scale = Scale(unit)
    ones, others = (np.asarray(x, dtype=np.float64) for x in (p, q))
    total = float(kl_divergence(p=ones, q=others))
    back = float(kl_divergence(p=others, q=ones))
    log = scale.log
    terms, lines = [], []
    for x, y in paired(ones, others):
        if x == 0.0:
            terms.append(0.0)
            lines.append(f"0 · {log}(0/{y:.6g}) = 0: p never draws it")
        elif y == 0.0:
            terms.append(math.inf)
            lines.append(f"{x:.6g} · {log}({x:.6g}/0) = ∞: q excludes what p draws")
        else:
            ratio = (math.log(x) - math.log(y)) / scale.nats
            terms.append(x * ratio)
            lines.append(
                f"{x:.6g} · {log}({x:.6g}/{y:.6g}) = {x:.6g} · {ratio:.4f} = "
                f"{x * ratio:.4f}"
            )
    given = {"p": ones.tolist(), "q": others.tolist()}
    notes = [
        (
            f"The other way round it is KL(q‖p) = {shown(back / scale.nats)} {unit}: "
            "no distance, as the two need not agree."
        ),
        "Single terms may be below 0; their sum never is, and is 0 only where q is p.",
    ]
    if math.isinf(total):
        notes[1] = "However small that p is, no finite cost covers what q excludes."
    return Explanation(
        scale.exact("kl_divergence", total, n=len(ones), given=given, source=_KULLBACK),
        "what believing q costs beyond p's own surprisal, while p draws",
        f"KL(p‖q) = Σ p {log}(p/q)",
        (
            *first_of(lines),
            f"KL(p‖q) = {sum_text(terms)} = {shown(total / scale.nats)} {unit}",
        ),
        tuple(notes),
    )
