"""What is told of a text that several models wrote together: by whom, and how surely.

A trace of an ensemble has what its members said of every byte in columns. Here they
become numbers about the text: what each member alone would have needed for it, how far
they disagreed, how often they agreed. `retold` makes such a trace of a text that came
from elsewhere: a beam, or an agreement-based search.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.decoding.answers import Draw, Row, answer_trace
from nescio.decoding.batch import Drawn, read_prompt
from nescio.decoding.generation import Asked
from nescio.decoding.joined import Together, together
from nescio.decoding.prompting import opening
from nescio.decoding.rules import Decoding
from nescio.errors import InvalidInput
from nescio.information.likelihood import bits_per_byte
from nescio.information.pooling import (
    How,
    Rate,
    counted_texts,
    pooled_rate,
    population_of,
    settings_of,
)
from nescio.kernel import row_statistics
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace
from nescio.trace.trace import Stop

__all__ = ["Telling", "retold", "together_estimates"]

_LIN = "Lin (1991), Divergence measures based on the Shannon entropy"
_SHANNON = "Shannon (1948), A Mathematical Theory of Communication, sections 6-7"
_VIEIRA = "Vieira et al. (2024), From Language Models over Tokens to Characters"
_BITS = 1.0 / math.log(2.0)


@dataclass(frozen=True, eq=False)
class Telling:
    """One text, with what members said of each symbol of the answer.

    Args:
        trace: of the prompt and the answer.
        said: a step and a row in it for each symbol of the answer; empty: not kept.
    """

    trace: Trace
    said: tuple[tuple[Together, int], ...] = ()


def retold(
    model: Any,
    prompt: Asked,
    answer: bytes,
    *,
    stop: Stop,
    chat: bool | None = None,
) -> Telling:
    """What a model that is read byte by byte says of an answer it is given.

    Args:
        model: an ensemble, or the view of one model.
        prompt: as `nescio.stream`.
        answer: its bytes.
        stop: why it ended; of ``eos`` the end is told too.
        chat: as `nescio.stream`.

    Raises:
        InvalidInput: nothing to tell of.
        InvalidText: an answer that no member can write.
        CapabilityError, ContextOverflow: as `nescio.stream`.

    Example:
        >>> import nescio
        >>> both = nescio.load("ensemble:table:coin+table:coin")
        >>> found = retold(both, "H", b"TH", stop="length")
        >>> found.trace.completion, len(found.said)
        ('TH', 2)
    """
    ends = list(model.vocabulary.end[:1]) if stop == "eos" else []
    symbols = [*answer, *ends]
    if not symbols:
        raise InvalidInput("the answer is empty and has not ended: nothing is told")
    asked = opening(model, prompt, chat=chat)
    decoding = Decoding(max_tokens=len(symbols))
    rows = tuple(_rows(model, asked, symbols, stop))
    trace = answer_trace(model, asked, rows, decoding=decoding, draw=Draw(0))
    own = {k: v for k, v in trace.origin.decoding.items() if k not in _OF_DRAWS}
    origin = replace(trace.origin, decoding=own | {"kind": "given"}, seed=None)
    said = tuple((step.together, row) for step, row in rows if step.together)
    return Telling(replace(trace, origin=origin, logp_processed=None), said)


_OF_DRAWS = ("sampling", "batch", "draw", "prompt_number", "max_tokens", "stop")


def _rows(model: Any, asked: Any, symbols: Sequence[int], stop: Stop) -> Iterator[Row]:
    read = read_prompt(model, asked.token_ids, asked.context)
    context, logits = read.context, read.logits
    for place, symbol in enumerate(symbols):
        last = place == len(symbols) - 1
        ids = np.array([symbol])
        step = Drawn(
            (0,),
            ids,
            np.array([np.nan]),
            row_statistics(logits, ids, top=10),
            np.array([context.length + read.before]),
            (stop if last else None,),
            together=together([context], logits, ids),
        )
        yield step, 0
        if not last:
            (context,), logits = model.extend([context], [ids])


def together_estimates(
    traces: Sequence[Trace],
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> dict[str, Estimate]:
    """What the members needed for some answers, and how far they lay apart.

    ``bits_per_byte`` is of all together, ``member_bits_per_byte_1`` and so on of each
    by itself (+inf where it cannot write the answer). ``mean_disagreement`` is the mean
    Jensen-Shannon divergence of their predictions, ``agreement_share`` the share of
    bytes at which all expect the same most. ``branches_per_byte`` counts the spellings
    followed, of all members; ``missing_share`` is how much of the text's probability is
    in those that are not followed, of the member for which that is most, as estimated;
    ``total_variation_bound`` is the largest error that a
    member's prediction may have for what was not followed. Rates per byte are missing
    where the answers spell nothing.

    Args:
        traces: of one ensemble, or of one model read byte by byte.
        level, seed, resamples: of the intervals, which are those of `nescio.score`.

    Raises:
        InvalidInput: traces of something else, or without a scored byte.

    Example:
        >>> import nescio
        >>> both = nescio.load("ensemble:table:coin+table:coin")
        >>> told = retold(both, "H", b"THTT", stop="length")
        >>> found = together_estimates([told.trace])
        >>> round(found["member_bits_per_byte_2"].value, 6)
        1.0
    """
    counted = counted_texts(traces, ("completion",))
    if any("branches" not in trace.columns for trace, _ in counted):
        raise InvalidInput(
            "a trace has nothing of members: it is of no ensemble and of no model that "
            "is read byte by byte; load ensemble:A+B or bytes:A"
        )
    how = How(level, seed, resamples, ("completion",))
    options = {"level": level, "seed": seed, "resamples": resamples}
    spells = any(trace.byte_counts[mask].any() for trace, mask in counted)
    found = {"bits_per_byte": bits_per_byte(traces, **options)} if spells else {}
    for rate in _rates(counted[0][0]):
        if not spells and rate.below is _bytes:
            continue
        estimate = pooled_rate(rate, traces, how)
        found[rate.name] = _share(estimate) if rate.name in _SHARES else estimate
    settings = settings_of(counted, traces, how.segments)
    lost = (_missing(counted, settings), _bound(counted, settings))
    return found | {estimate.name: estimate for estimate in lost}


_SHARES = ("agreement_share",)


def _share(estimate: Estimate) -> Estimate:
    """A share's interval ends at 1."""
    high = estimate.high
    return replace(estimate, high=None if high is None else min(1.0, high))


def _rates(trace: Trace) -> Iterator[Rate]:
    members = sum(name.startswith("weight[") for name in trace.columns)
    for number in range(1, members + 1):
        yield Rate(
            f"member_bits_per_byte_{number}",
            "bits/byte",
            _Bits(f"logp[{number}]"),
            _bytes,
            (_SHANNON,),
        )
    if members > 1:
        apart = _Column("disagreement", _BITS)
        yield Rate("mean_disagreement", "bits/byte", apart, _ones, (_LIN,))
        yield Rate("agreement_share", "1", _Column("same_top"), _ones, ())
    branches = _Column("branches")
    yield Rate("branches_per_byte", "1", branches, _ones, (_VIEIRA,))


@dataclass(frozen=True)
class _Column:
    """A column of a trace, scaled."""

    name: str
    factor: float = 1.0

    def __call__(self, trace: Trace) -> Float[np.ndarray, " n"]:
        return trace.columns[self.name].values.astype(np.float64) * self.factor


@dataclass(frozen=True)
class _Bits:
    """Bits a member would need for each byte; one that has left never could."""

    name: str

    def __call__(self, trace: Trace) -> Float[np.ndarray, " n"]:
        logp = trace.columns[self.name].values.astype(np.float64)
        return np.where(np.isnan(logp) & trace.scored, np.inf, -logp * _BITS)


def _bytes(trace: Trace) -> Float[np.ndarray, " n"]:
    return trace.byte_counts.astype(np.float64)


def _ones(trace: Trace) -> Float[np.ndarray, " n"]:
    return np.ones(len(trace))


def _missing(
    counted: Sequence[tuple[Trace, Any]], settings: dict[str, Any]
) -> Estimate:
    shares = [float(t.columns["missing"].values[mask].max()) for t, mask in counted]
    return Estimate(
        "missing_share",
        max(shares),
        "1",
        sum(int(mask.sum()) for _, mask in counted),
        "confidence",
        f"{population_of(counted)}; no interval: spellings that are not followed are "
        "taken to go on as the others do",
        Recipe("missing_share", settings, (_VIEIRA,)),
    )


def _bound(counted: Sequence[tuple[Trace, Any]], settings: dict[str, Any]) -> Estimate:
    doubts = [float(t.columns["doubt"].values[mask].max()) for t, mask in counted]
    return Estimate(
        "total_variation_bound",
        None,
        "1",
        sum(int(mask.sum()) for _, mask in counted),
        "bound",
        population_of(counted),
        Recipe("total_variation_bound", settings, (_VIEIRA,)),
        0.0,
        max(doubts),
    )
