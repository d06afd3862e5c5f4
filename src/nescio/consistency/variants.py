"""The variants of semantic entropy: five numbers under one name, told apart.

Each is about the different texts of a question, the sets they form, how often each text
was drawn and, but for one, the log-probability the model gave it:

- ``discrete``: the entropy of the shares of the votes. Needs nothing but the sets.
- ``unique``: a set weighs the sum of the probabilities of the different texts seen in
  it, over that of all texts seen. A text counts once however often it was drawn: its
  probability says already that it comes often.
- ``length_normalised``: the same with the mean log-probability per token, which is that
  of no event; longer answers weigh more than they should.
- ``monte_carlo``: the mean over the samples of -log p(set of the sample), p(set) being
  the sum over the different texts seen, normalised by nothing. Kuhn et al. average over
  the sets instead, so that a set drawn once weighs as one drawn ten times.
- ``rao``: as Farquhar et al.'s code has it: like ``length_normalised``, but every
  sample weighs, so a text drawn often counts twice, for its probability and for its
  number.

A text whose samples have different log-probabilities (other tokens, rounding) has the
largest. An answer of no tokens has one, its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.consistency.answers import INVALID, Answers
from nescio.consistency.choices import check_choice
from nescio.consistency.likelihoods import improbable
from nescio.consistency.votes import Convention, check_convention
from nescio.errors import InvalidInput

__all__ = [
    "VARIANTS",
    "Strings",
    "Variant",
    "VariantName",
    "entropy_of_strings",
    "logp_of_sets",
    "strings_of",
]

VariantName = Literal["discrete", "unique", "length_normalised", "monte_carlo", "rao"]


@dataclass(frozen=True)
class Variant:
    """What a variant is.

    Args:
        formula: in words and signs; c is a set, s a text.
        needs: columns of `Answers` that have to be there.
        source: as one would cite it.
    """

    formula: str
    needs: tuple[str, ...]
    source: str


_KUHN = "Kuhn, Gal & Farquhar (2023), Semantic Uncertainty"
_FARQUHAR = "Farquhar et al. (2024), Detecting hallucinations using semantic entropy"
VARIANTS: Mapping[VariantName, Variant] = {
    "discrete": Variant(
        "-Σ_c v_c/n log(v_c/n), v_c: samples in c",
        (),
        f"{_FARQUHAR}, discrete variant",
    ),
    "unique": Variant(
        "-Σ_c P_c log P_c, P_c ∝ Σ p(s) over different s in c",
        ("total_logp",),
        f"{_KUHN}, equation 3, over the texts seen",
    ),
    "length_normalised": Variant(
        "-Σ_c P_c log P_c, P_c ∝ Σ p(s)^(1/tokens of s) over different s in c",
        ("total_logp", "token_count"),
        f"{_KUHN}, with Malinin & Gales (2021), length normalisation",
    ),
    "monte_carlo": Variant(
        "-1/n Σ_i log p(c_i), c_i: set of sample i, p(c) = Σ p(s) over different s",
        ("total_logp",),
        f"{_KUHN}, equation 4, averaged over samples",
    ),
    "rao": Variant(
        "-Σ_c P_c log P_c, P_c ∝ Σ p(s)^(1/tokens of s) over all samples in c",
        ("total_logp", "token_count"),
        f"{_FARQUHAR}, as its code has it",
    ),
}
"""The family: what ``semantic_entropy(variant=...)`` chooses from."""


@dataclass(frozen=True, eq=False)
class Strings:
    """The different texts of some questions, one row each, sorted by text.

    Args:
        counts: how often each was drawn; 0 behind the last, [questions, texts].
        logp: what each weighs, by the variant, nats, [questions, texts].
        sets: the number of the set of each, [questions, texts].
        alone: whether each draw of it is a set of its own, [questions, texts].
    """

    counts: Int[np.ndarray, "questions texts"]
    logp: Float[np.ndarray, "questions texts"]
    sets: Int[np.ndarray, "questions texts"]
    alone: Bool[np.ndarray, "questions texts"]


def strings_of(
    questions: Sequence[Answers],
    variant: VariantName,
    convention: Convention = "safe",
) -> Strings:
    """The different texts of some questions with what the variant weighs them by.

    Under ``safe`` each sample without a valid answer is a set of its own, and an
    invalid text drawn k times is k sets that share its probability. Under ``paper``
    invalid samples are not there, and where no answer is valid all are one set.

    Raises:
        InvalidInput: an unknown variant or convention, no questions; a column missing
            that the variant needs, or one that holds no log-probabilities or counts.
    """
    check_choice("variant of semantic entropy", variant, VARIANTS)
    check_convention(convention)
    if not questions:
        raise InvalidInput("no questions: there is nothing to measure")
    weights = np.concatenate(
        [_weights(answers, variant, row) for row, answers in enumerate(questions)]
    )
    labels = np.concatenate([_labels(answers, convention) for answers in questions])
    owner = np.repeat(np.arange(len(questions)), [len(a) for a in questions])
    place = np.concatenate([_places(answers) for answers in questions])
    here = (labels != INVALID) | (convention == "safe")
    where = (owner[here], place[here])
    shape = (len(questions), int(place.max()) + 1)
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, where, 1)
    logp = np.full(shape, -np.inf)
    np.maximum.at(logp, where, weights[here])
    sets = np.zeros(shape, dtype=np.int64)
    first = max(len(answers.keys) for answers in questions) + 1
    invalid = labels[here] == INVALID
    sets[where] = np.where(invalid, first + where[1], labels[here])
    alone = np.zeros(shape, dtype=np.bool_)
    alone[where] = invalid
    return Strings(counts, np.where(counts > 0, logp, 0.0), sets, alone)


def logp_of_sets(
    strings: Strings, *, repeats: bool | Bool[np.ndarray, "..."] = False
) -> tuple[Float[np.ndarray, "questions texts"], Float[np.ndarray, "questions sets"]]:
    """What texts and the sets they form weigh, as logarithms; -inf: not there.

    Args:
        strings: of some questions.
        repeats: whether a text weighs as often as it was drawn.
    """
    log_counts = np.log(np.maximum(strings.counts, 1))
    weights = np.where(repeats, strings.logp + log_counts, strings.logp)
    weights = np.where(strings.counts > 0, weights, -np.inf)
    rows, width = len(weights), int(strings.sets.max()) + 1
    flat = (np.arange(rows)[:, None] * width + strings.sets).ravel()
    largest = np.full(rows * width, -np.inf)
    np.maximum.at(largest, flat, weights.ravel())
    there = np.isfinite(largest)
    shift = np.where(there, largest, 0.0)
    sums = np.bincount(flat, np.exp(weights.ravel() - shift[flat]), rows * width)
    totals = np.log(sums, out=np.full(rows * width, -np.inf), where=there)
    return weights, (totals + shift).reshape(rows, width)


def entropy_of_strings(
    strings: Strings,
    variant: VariantName,
    *,
    unseen: Bool[np.ndarray, " texts"] | None = None,
) -> Float[np.ndarray, " questions"]:
    """The variant's entropy of each row; 0 for a row of nothing.

    Args:
        strings: of some questions, or redraws of one.
        variant: which.
        unseen: columns in which every draw is another text.
    """
    repeats = variant in ("discrete", "rao")
    weights, sets = logp_of_sets(
        strings, repeats=repeats if unseen is None else repeats | unseen
    )
    own = np.take_along_axis(sets, strings.sets, axis=1)
    if variant == "monte_carlo":
        drawn = strings.counts.sum(axis=1, keepdims=True)
        shares = strings.counts / np.maximum(drawn, 1)
        own = np.minimum(own, 0.0)  # no probability above 1, whatever was rounded
    else:
        largest = weights.max(axis=1, keepdims=True)
        shift = np.where(np.isfinite(largest), largest, 0.0)
        sums = np.exp(weights - shift).sum(axis=1, keepdims=True)
        total = shift + np.log(np.where(sums > 0.0, sums, 1.0))
        shares, own = np.exp(weights - total), own - total
    split = np.where(strings.alone, np.log(np.maximum(strings.counts, 1)), 0.0)
    terms = np.where(shares > 0.0, shares, 0.0) * np.where(
        shares > 0.0, split - own, 0.0
    )
    return np.maximum(terms.sum(axis=1), 0.0)


def _labels(answers: Answers, convention: Convention) -> Int[np.ndarray, " n"]:
    if convention == "paper" and answers.invalid == len(answers):
        return np.zeros(len(answers), dtype=np.int64)
    return answers.labels


def _places(answers: Answers) -> Int[np.ndarray, " n"]:
    """The place of each sample's text among the different ones, in their order."""
    pairs = list(zip(answers.texts, answers.labels.tolist(), strict=True))
    place = {pair: number for number, pair in enumerate(sorted(set(pairs)))}
    return np.array([place[pair] for pair in pairs], dtype=np.int64)


def _weights(
    answers: Answers, variant: VariantName, row: int
) -> Float[np.ndarray, " n"]:
    """The logarithm of what one draw of each sample's text weighs."""
    if variant == "discrete":
        return np.zeros(len(answers))
    name = answers.id or f"question {row}"
    missing = [n for n in VARIANTS[variant].needs if getattr(answers, n) is None]
    if missing or answers.total_logp is None:
        raise InvalidInput(
            f"{name}: variant {variant!r} of semantic entropy needs "
            f"{' and '.join(missing)} of every sample; draw samples with their "
            "log-probabilities, or take 'discrete'"
        )
    bad = improbable(answers.total_logp)
    if len(bad):
        raise InvalidInput(
            f"{name}: sample {bad[0]} has total_logp {answers.total_logp[bad[0]]}, "
            "which no text that was drawn can have: it is finite and at most 0"
        )
    if answers.token_count is None or "token_count" not in VARIANTS[variant].needs:
        return answers.total_logp
    bad = np.flatnonzero(answers.token_count < 0)
    if len(bad):
        raise InvalidInput(
            f"{name}: sample {bad[0]} has {answers.token_count[bad[0]]} tokens"
        )
    return answers.total_logp / np.maximum(answers.token_count, 1)
