"""Lists of likely answers of an ensemble, as samples: for minimum Bayes risk, meters.

A byte beam lists what an ensemble by any rule thinks likeliest; agreement-based search
and particles list what they found. Each becomes `Samples`, whose weights say how much
of the probability each answer has: what `minimum_bayes_risk` takes as evidence
``log_weight``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nescio.decoding.beam import Beam, beam_search
from nescio.decoding.generation import Asked
from nescio.decoding.rules import Decoding
from nescio.ensemble.agreed import Agreed
from nescio.ensemble.particles import Particles
from nescio.errors import InvalidInput
from nescio.trace import Prompt, Sample, Samples

__all__ = ["agreed_samples", "byte_beam", "particle_samples"]


def byte_beam(
    model: Any,
    prompt: Asked,
    *,
    width: int = 4,
    max_bytes: int = 64,
    stop: tuple[str, ...] = (),
) -> Samples:
    """The likeliest answers a beam over bytes finds, the best first.

    Every hypothesis is a text of bytes, so no two of them are the same text in other
    tokens. Each sample's ``log_weight`` is its log-probability, ``trace`` has its
    bytes'. The prompt is plain text, not a chat.

    Args:
        model: an `Ensemble` by any rule, or one model's `ByteView`.
        prompt: plain text.
        width: how many go on, and how many are listed.
        max_bytes: the longest answer.
        stop: texts that end an answer.

    Raises:
        InvalidInput, ContextOverflow: as `nescio.beam_search`.

    Example:
        >>> from nescio.ensemble.byte_view import ByteView
        >>> from nescio.models.table import read_table
        >>> view = ByteView(read_table("coin"))
        >>> listed = byte_beam(view, "H", width=4, max_bytes=2)
        >>> sorted(listed.texts), round(listed.answers[0].log_weight / math.log(2), 6)
        (['HH', 'HT', 'TH', 'TT'], -2.0)
    """
    decoding = Decoding(max_tokens=max_bytes, stop=stop)
    return beam_search(model, prompt, beam=Beam(width), decoding=decoding, chat=False)


def agreed_samples(
    prompt: Asked, found: Sequence[Agreed], *, model: str = "agreement"
) -> Samples:
    """Texts that members agreed on, weighted by their ranking sum.

    The same text in other tokens is listed once, with the weights of all its spellings
    together. The weight is Π P_i(tokens)^w_i: of these spellings, not of the text.

    Args:
        prompt: what they answer.
        found: by `agreement_beam`.
        model: what stands for the members.

    Raises:
        InvalidInput: nothing was found.
    """
    if not found:
        raise InvalidInput("nothing was found: there is nothing to list")
    totals: dict[str, float] = {}
    for one in found:
        before = totals.get(one.text, -math.inf)
        totals[one.text] = float(np.logaddexp(before, one.total))
    return _weighted(prompt, totals, model)


def particle_samples(
    prompt: Asked, found: Particles, *, model: str = "particles"
) -> Samples:
    """Texts of particles, with the log of their share of all weight."""
    totals = {one.text: -math.inf for one in found.texts}
    for one in found.texts:
        share = math.log(one.weight)
        totals[one.text] = float(np.logaddexp(totals[one.text], share))
    return _weighted(prompt, totals, model)


def _weighted(prompt: Asked, totals: dict[str, float], model: str) -> Samples:
    ranked = sorted(totals.items(), key=lambda item: -item[1])
    return Samples(
        Prompt.of(prompt),
        tuple(
            Sample(text, model, draw=number, log_weight=min(0.0, total))
            for number, (text, total) in enumerate(ranked)
        ),
    )
