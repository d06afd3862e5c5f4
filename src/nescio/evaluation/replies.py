"""Greedy replies to prompts: the text without its end, and what each token cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nescio.decoding import Decoding
from nescio.decoding.generation import Asked
from nescio.errors import CapabilityError, InvalidInput, SchemaError
from nescio.evaluation.greedy import greedy_stream
from nescio.evaluation.journal import Journal, digest_of
from nescio.trace import Prompt, Sample
from nescio.trace.trace import SEGMENTS

__all__ = ["CONFIDENCES", "Reply", "replies", "reply_of"]

_COMPLETION = SEGMENTS.index("completion")


@dataclass(frozen=True)
class Reply:
    """What a model said, up to the stop text or the end token.

    Args:
        text: without what ends it.
        logp: log-probability of each token that spells some of it, nats; a token that
            spells the end of the text and the beginning of the stop text counts.
        closing: the sum over the tokens after those: that the reply ends here; None
            where it was cut off by its greatest length.
        stop: why it ended, as `nescio.Trace.stop`.
        sizes: how many bytes of the text each of the tokens spells; empty where that
            is not known.
    """

    text: str
    logp: tuple[float, ...]
    closing: float | None
    stop: str | None
    sizes: tuple[int, ...] = ()

    def begun(self, tokens: int) -> Reply:
        """The reply after its first tokens; a character that is cut is left out."""
        size = sum(self.sizes[:tokens])
        text = self.text.encode("utf-8")[:size].decode("utf-8", errors="ignore")
        return Reply(text, self.logp[:tokens], None, None, self.sizes[:tokens])

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(fields: Any) -> Reply:
        """The reply that `to_dict` wrote.

        Raises:
            SchemaError: anything else.
        """
        try:
            text, stop = fields["text"], fields["stop"]
            logp = tuple(map(float, fields["logp"]))
            sizes, closing = tuple(fields["sizes"]), fields["closing"]
            closing = closing if closing is None else float(closing)
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"no reply written by nescio: {error!r}") from error
        numbers = (*logp, 0.0 if closing is None else closing)
        texts = isinstance(text, str) and isinstance(stop, str | None)
        sized = all(type(size) is int for size in sizes)
        sized = sized and len(sizes) in (0, len(logp))
        if not texts or not sized or not all(map(math.isfinite, numbers)):
            raise SchemaError(f"no reply written by nescio: {fields!r:.80}")
        return Reply(text, logp, closing, stop, sizes)


def _sequence(reply: Reply) -> float:
    return _probability(sum(reply.logp))


def _closed_sequence(reply: Reply) -> float:
    return _probability(sum(reply.logp) + (reply.closing or 0.0))


def _token_mean(reply: Reply) -> float:
    return _probability(sum(reply.logp) / max(len(reply.logp), 1))


def _byte_mean(reply: Reply) -> float:
    return _probability(sum(reply.logp) / max(len(reply.text.encode("utf-8")), 1))


def _first_token(reply: Reply) -> float:
    return _probability(reply.logp[0] if reply.logp else 0.0)


def _least_token(reply: Reply) -> float:
    return _probability(min(reply.logp, default=0.0))


def _probability(logp: float) -> float:
    return min(1.0, math.exp(logp))


CONFIDENCES: dict[str, Callable[[Reply], float]] = {
    "sequence": _sequence,
    "closed_sequence": _closed_sequence,
    "token_mean": _token_mean,
    "byte_mean": _byte_mean,
    "first_token": _first_token,
    "least_token": _least_token,
}
"""Confidences of a reply by name.

``sequence`` is the probability that the answer begins with this text;
``closed_sequence`` that it also ends there; ``token_mean`` and ``byte_mean`` the
geometric means exp(total logp / tokens) and exp(total logp / bytes), which are no
probability of anything but do not fall with length; ``first_token`` and
``least_token`` the probability of one token. A reply without any text has none: such
a reply is invalid.
"""


def reply_of(sample: Sample, stop: Sequence[str]) -> Reply:
    """The reply in a sample that was drawn with these stop texts.

    Raises:
        CapabilityError: a source that reveals no log-probabilities.

    Example:
        >>> import nescio
        >>> how = nescio.Decoding(4, nescio.Sampling(temperature=0), stop=("T",))
        >>> drawn = nescio.sample(nescio.load("table:coin"), "T", n=1, decoding=how)
        >>> reply = reply_of(drawn.answers[0], ("T",))
        >>> reply.text, reply.stop, len(reply.logp)
        ('HHHH', 'length', 4)
    """
    trace = sample.trace
    if trace is None:
        raise CapabilityError(
            f"{sample.model or 'the source'} reveals no log-probabilities"
        )
    mine = np.flatnonzero(trace.segment == _COMPLETION)
    if not trace.scored[mine].all():
        raise CapabilityError(
            f"{trace.origin.model} reveals no log-probabilities of some tokens"
        )
    begin = int(trace.offsets[mine[0]]) if len(mine) else len(trace.buffer)
    spoken = trace.buffer[begin:]
    places = (spoken.find(text.encode("utf-8")) for text in stop)
    cut = min((place for place in places if place >= 0), default=len(spoken))
    logp = trace.logp[mine].astype(np.float64)
    inside = trace.offsets[mine] - begin < cut
    ended = trace.stop in ("eos", "stop_string")
    edges = np.minimum(trace.offsets - begin, cut)
    return Reply(
        spoken[:cut].decode("utf-8", errors="replace"),
        tuple(logp[inside].tolist()),
        float(logp[~inside].sum()) if ended else None,
        trace.stop,
        tuple(np.diff(edges)[mine][inside].tolist()),
    )


def replies(
    model: Any,
    prompts: Sequence[Asked],
    *,
    decoding: Decoding | None = None,
    chat: bool | None = None,
    journal: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Reply, ...]:
    """One greedy reply to each prompt, in batches.

    Args:
        model: Tokenized and Stepping, or an endpoint that reveals log-probabilities.
        prompts: texts or messages.
        decoding: where replies end; None: after a line or 32 tokens. Its temperature
            is taken as 0.
        chat: whether prompts go through the chat template; None: if there is one.
        journal: a file that keeps each reply as soon as it has ended; the same call
            goes on after those it holds.
        progress: called with (replies there, replies in all).

    Raises:
        InvalidInput: no prompts; a journal of other prompts, or of another model.
        CapabilityError: a model that reveals too little.

    Example:
        >>> import nescio
        >>> found = replies(nescio.load("table:topics"), ["a"],
        ...                 decoding=nescio.Decoding(2))
        >>> found[0].text, round(CONFIDENCES["token_mean"](found[0]), 3)
        ('ba', 0.931)
    """
    if isinstance(prompts, str) or not len(prompts):
        raise InvalidInput("give a list of prompts, at least one")
    how = decoding or Decoding(max_tokens=32, stop=("\n",))
    how = replace(how, detail=replace(how.detail, top=0))
    if journal is None:
        return _replied(model, prompts, how, None, chat=chat, progress=progress)
    kept = Journal(Path(journal), _heading(model, prompts, how, chat))
    with kept.held():
        return _replied(model, prompts, how, kept, chat=chat, progress=progress)


def _replied(
    model: Any,
    prompts: Sequence[Asked],
    how: Decoding,
    kept: Journal | None,
    *,
    chat: bool | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[Reply, ...]:
    found: dict[int, Reply] = {}
    if kept is not None:
        read = {key: Reply.from_dict(value) for key, value in kept.read().items()}
        found |= {key: value for key, value in read.items() if key < len(prompts)}
    done, total = frozenset(found), len(prompts)
    if done and progress is not None:
        progress(len(done), total)
    if len(done) == total:
        return tuple(found[number] for number in range(total))
    stream = greedy_stream(model, prompts, decoding=how, chat=chat, done=done)
    for number, sample in stream:
        found[number] = reply_of(sample, how.stop)
        if kept is not None:
            kept.append(number, found[number].to_dict())
        if progress is not None:
            progress(len(found), total)
    if len(found) != total:
        raise CapabilityError(f"{model.name} answered {len(found)} of {total} prompts")
    return tuple(found[number] for number in range(total))


def _heading(
    model: Any, prompts: Sequence[Asked], how: Decoding, chat: bool | None
) -> dict[str, Any]:
    """All that decides the replies."""
    settings = asdict(how)
    del settings["batch"]
    return {
        "kind": "replies",
        "model": model.origin.to_dict(),
        "prompts": digest_of([Prompt.of(prompt).to_dict() for prompt in prompts]),
        "decoding": settings,
        "chat": chat,
    }
