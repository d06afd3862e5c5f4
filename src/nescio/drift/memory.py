"""Memory: how much of what was written long ago still tells the model something.

I_τ = H(next | last τ tokens) - H(next | all), both of the model's **own** text. The
second is the mean entropy of its predictions. The first nobody knows of a real model;
its own loss when it sees only the last τ tokens bounds it from above, because no
prediction from τ tokens beats the best one. So the estimate is an upper bound on I_τ,
and the interval one for that bound. The *entropy* of the truncated prediction would
bound nothing.

On people's text the same difference of losses is another quantity, *context gain*: how
much the model gains there by seeing more. It may be below 0. Neither stands for the
other, and text of one kind is refused where the other is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from nescio.drift.continuations import check_one_model
from nescio.drift.curves import DriftCurve, Limits, Named, resampled_curve
from nescio.drift.settings import is_plain
from nescio.errors import InvalidInput, NotEnoughData
from nescio.kernel import row_statistics
from nescio.models.protocol import Scoring, Tokenized, require
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["Truncation", "context_gain", "memory_curve"]

Progress = Callable[[int, int], None]
Less = Literal["entropy", "surprisal"]
_SOURCE = "Braverman et al. (2020), section 6, the memory of language models"
_ROWS = 2**25  # elements of a block of logits
_COMPLETION = SEGMENTS.index("completion")
_TAUS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Truncation:
    """Which contexts are cut short, and where.

    Args:
        tokens_back: the τ, rising, at least 0 each.
        positions: how many tokens of each text are predicted, evenly spread over those
            that have at least the largest τ tokens before them; the same for each τ.
        batch_tokens: tokens that run at once; decides speed and memory only.

    Raises:
        InvalidInput: τ that do not rise or are below 0, numbers below 1.
    """

    tokens_back: tuple[int, ...] = _TAUS
    positions: int = 32
    batch_tokens: int = 8192

    def __post_init__(self) -> None:
        lags = self.tokens_back
        falls = any(longer <= lag for lag, longer in pairwise(lags))
        if not lags or min(lags) < 0 or falls:
            raise InvalidInput(
                f"tokens_back is {lags}: rising numbers from 0 on, such as {_TAUS}"
            )
        for name in ("positions", "batch_tokens"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}: at least 1")


def memory_curve(
    model: Any,
    traces: Sequence[Trace],
    *,
    truncation: Truncation | None = None,
    less: Less = "entropy",
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> DriftCurve:
    """An upper bound on I_τ, from the model's own text, nats/token by τ.

    Mean of -log Q(next | last τ tokens only) less the entropy of Q(. | all). A context
    cut short stands behind the document start, as every text does.

    In own text the surprisal of the next token has that entropy as its mean, so either
    may be taken off and the same quantity is estimated. The surprisal varies with what
    it is taken from, the more so the larger τ is: its band is then much the narrower,
    while for the smallest τ it may be the wider.

    Args:
        model: Tokenized and Scoring; the one that wrote the text.
        traces: texts that it wrote by plain sampling, one document each.
        truncation: which τ, and at how many tokens of each text.
        less: what is taken off: the ``"entropy"`` of the whole prediction, or the
            ``"surprisal"`` under it.
        limits: level, seed, resamples, band; documents are resampled.
        progress: called with (predictions done, in all).

    Returns:
        The curve, one place a τ.

    Raises:
        InvalidInput: text that was scored or drawn in another way (colder, truncated,
            through a chat template), text of another model, a prediction that is
            impossible from τ tokens.
        NotEnoughData: no text is longer than the largest τ.

    Example:
        >>> import nescio
        >>> model = nescio.load("table:topics")
        >>> texts = [nescio.generate(model, "a", decoding=nescio.Decoding(40), seed=s)
        ...          for s in range(8)]
        >>> memory_curve(model, texts, truncation=Truncation((1, 2))).value.round(1)
        array([...])

    Source: Braverman et al. (2020), section 6.
    """
    for number, trace in enumerate(traces):
        if not is_plain(trace.origin) or trace.origin.decoding.get("chat"):
            raise InvalidInput(
                f"text {number} was not drawn by plain sampling (temperature 1, "
                "nothing cut off, no chat template), so it is not of the model's own "
                "distribution; generate it so. For people's text: context_gain"
            )
    if less not in get_args(Less):
        raise InvalidInput(f"less is {less!r}: one of {get_args(Less)}")
    chosen = truncation or Truncation()
    parts, settings = _differences(
        model, traces, chosen, against=less, progress=progress
    )
    named = Named(
        "memory_curve",
        "nats/token",
        "own texts of the model like these; an upper bound on the memory",
        "tokens_back",
        settings | {"less": f"{less} of the whole prediction"},
        (_SOURCE,),
    )
    return _curve(parts, chosen, named, limits)


def context_gain(
    model: Any,
    traces: Sequence[Trace],
    *,
    truncation: Truncation | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> DriftCurve:
    """What the model gains on people's text by seeing more than τ tokens, nats/token.

    Mean of -log Q(next | last τ tokens only) less -log Q(next | all). It is no memory
    in the sense of `memory_curve`, and may be below 0.

    Args:
        model: Tokenized and Scoring; the one that scored the text.
        traces: scored texts, one document each.
        truncation, limits, progress: as `memory_curve`.

    Raises:
        InvalidInput: text that the model wrote, text scored by another model, an
            impossible token.
        NotEnoughData: as `memory_curve`.

    Example:
        >>> import nescio
        >>> model = nescio.load("table:topics")
        >>> texts = nescio.score_texts(model, ["abababab", "cdefcdef"])
        >>> context_gain(model, texts, truncation=Truncation((1, 2))).value.tolist()
        [0.0, 0.0]
    """
    for number, trace in enumerate(traces):
        if trace.origin.decoding.get("kind") != "score":
            raise InvalidInput(
                f"text {number} was generated, not scored: of a model's own text "
                "memory_curve speaks; context gain is of people's"
            )
    chosen = truncation or Truncation()
    parts, settings = _differences(
        model, traces, chosen, against="surprisal", progress=progress
    )
    named = Named(
        "context_gain",
        "nats/token",
        "documents like these",
        "tokens_back",
        settings | {"less": "log loss of the whole prediction"},
        (_SOURCE,),
    )
    return _curve(parts, chosen, named, limits)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A token that is predicted from a context cut short."""

    text: int
    lag: int
    ids: Int[np.ndarray, " n"]


def _curve(
    parts: np.ndarray, chosen: Truncation, named: Named, limits: Limits | None
) -> DriftCurve:
    return resampled_curve(
        parts,
        lambda means: means[..., 0, :] / means[..., 1, :],
        np.array(chosen.tokens_back, dtype=np.float64),
        named=named,
        limits=limits or Limits(),
    )


def _differences(
    model: Any,
    traces: Sequence[Trace],
    chosen: Truncation,
    *,
    against: Less,
    progress: Progress | None,
) -> tuple[Float[np.ndarray, "texts two lags"], dict[str, Any]]:
    """Sums over each text's positions, their count, and the recipe's settings."""
    require(model, Tokenized, Scoring, purpose="cutting contexts short")
    _check(model, traces, chosen)
    places = [_places(model, trace, chosen) for trace in traces]
    used = [n for n, found in enumerate(places) if len(found)]
    if not used:
        raise NotEnoughData(
            f"none of {len(traces)} texts has a token behind {chosen.tokens_back[-1]} "
            "others that saw all before it; give longer texts, or a smaller τ"
        )
    parts = np.zeros((len(traces), 2, len(chosen.tokens_back)))
    for number in used:
        trace, at = traces[number], places[number]
        whole = trace.entropy if against == "entropy" else trace.surprisal
        if whole is None:
            raise InvalidInput(f"text {number} has no entropies; use a local model")
        total = float(whole[at].astype(np.float64).sum())
        if not np.isfinite(total):
            raise InvalidInput(f"text {number} holds a token that was impossible")
        parts[number, 0] = -total
        parts[number, 1] = len(at)
    asked = list(_asked(model, traces, places, chosen))
    done = 0
    for some in _batches(asked, chosen.batch_tokens):
        for one, loss in zip(some, _losses(model, some), strict=True):
            parts[one.text, 0, one.lag] += loss
        done += len(some)
        if progress is not None:
            progress(done, len(asked))
    origin = traces[0].origin
    settings = {
        "model": origin.model,
        "model_digest": origin.model_digest,
        "engine": origin.engine,
        "precision": origin.precision,
        "tokens_back": list(chosen.tokens_back),
        "positions": chosen.positions,
        "truncated_behind": origin.conditioned_on,
        "texts": len(used),
        "texts_too_short": len(traces) - len(used),
    }
    return parts[used], settings


def _check(model: Any, traces: Sequence[Trace], chosen: Truncation) -> None:
    if not len(traces):
        raise InvalidInput("no texts: there is nothing to measure")
    check_one_model(tuple(traces))
    for name in ("model_digest", "tokenizer_digest"):
        there, here = getattr(traces[0].origin, name), getattr(model.origin, name)
        if there != here:
            raise InvalidInput(
                f"the texts have {name} {there[:24]!r} and {model.name} {here[:24]!r}: "
                "measure each model with its own"
            )
    if chosen.tokens_back[0] == 0 and not model.start:
        raise InvalidInput(
            f"{model.name} has no document start, so it predicts nothing from 0 "
            "tokens; begin tokens_back at 1"
        )
    needed = len(model.start) + chosen.tokens_back[-1] + 1
    if model.context_length is not None and needed > model.context_length:
        raise InvalidInput(
            f"{chosen.tokens_back[-1]} tokens back do not fit the context of "
            f"{model.context_length}"
        )


def _places(
    model: Any, trace: Trace, chosen: Truncation
) -> Int[np.ndarray, " positions"]:
    """Tokens that saw everything before them, and enough of it; evenly spread.

    Over the places a generation could have reached, not over those it did: where it
    ended depends on the very tokens that are predicted.
    """
    if trace.token_ids is None:
        raise InvalidInput("a text has no token ids; use a local model")
    first, last = chosen.tokens_back[-1], len(trace) - 1
    mine = np.flatnonzero(trace.segment == _COMPLETION)
    if not len(mine):
        return mine
    if trace.origin.decoding.get("kind") == "generate":
        last = int(mine[0]) + int(trace.origin.decoding["max_tokens"]) - 1
    first = max(first, int(mine[0]))
    if last < first:
        return mine[:0]
    count = min(chosen.positions, last - first + 1)
    place = np.linspace(first, last, count).round().astype(np.int64)
    place = place[place < len(trace)]
    fits = trace.scored[place] & (trace.segment[place] == _COMPLETION)
    fits &= trace.token_ids[place] >= 0
    fits &= trace.context_used[place] == place + len(model.start)
    return place[fits]


def _asked(
    model: Any,
    traces: Sequence[Trace],
    places: Sequence[Int[np.ndarray, " _"]],
    chosen: Truncation,
) -> Iterator[_Asked]:
    """Every prediction, those of one length together."""
    start = np.array(model.start, dtype=np.int32)
    for lag, back in enumerate(chosen.tokens_back):
        for text, found in enumerate(places):
            ids = traces[text].token_ids
            if ids is None:
                raise AssertionError("texts without ids are refused before")
            for at in found.tolist():
                seen = np.concatenate([start, ids[at - back : at + 1]])
                yield _Asked(text, lag, seen.astype(np.int32))


def _batches(asked: Sequence[_Asked], budget: int) -> Iterator[list[_Asked]]:
    """Predictions from equally long contexts, within the budget."""
    batch: list[_Asked] = []
    for one in asked:
        longer = batch and len(batch[0].ids) != len(one.ids)
        if longer or (len(batch) + 1) * len(one.ids) > max(budget, len(one.ids)):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _losses(model: Any, some: Sequence[_Asked]) -> Float[np.ndarray, " some"]:
    """-log Q of each last token given the ones before it, nats."""
    found = np.full(len(some), np.nan)
    target = np.array([int(one.ids[-1]) for one in some])
    skip = [len(one.ids) - 2 for one in some]
    rows = max(1, min(128, _ROWS // model.vocabulary.size))
    for block in model.logit_blocks([one.ids for one in some], skip=skip, rows=rows):
        logp = row_statistics(block.logits, target[block.sequence]).logp
        if logp is None:
            raise AssertionError("row statistics with targets have log-probabilities")
        found[block.sequence] = -logp.astype(np.float32)  # as traces keep them
    lost = np.flatnonzero(~np.isfinite(found))
    if len(lost):
        one = some[int(lost[0])]
        raise InvalidInput(
            f"text {one.text}: token id {one.ids[-1]} is impossible given only "
            f"{len(one.ids) - 1 - len(model.start)} tokens before it, so the bound is "
            "infinite; begin tokens_back later"
        )
    return found
