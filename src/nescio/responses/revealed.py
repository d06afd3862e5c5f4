"""What a server reveals of an answer: its text, and perhaps some log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nescio.errors import ResponseError
from nescio.trace.trace import Stop

__all__ = ["Candidate", "Response", "Revealed"]

_ROUNDING = 1e-3
"""In nats above 0: what servers lose when they print log-probabilities."""


@dataclass(frozen=True)
class Candidate:
    """A token that might have stood there.

    Args:
        buffer: the bytes it spells; empty for a control token.
        logp: its log-probability in nats; -inf: impossible.
        token_id: or None where the source gives none.

    Raises:
        ResponseError: the log-probability is NaN or above 0.
    """

    buffer: bytes
    logp: float
    token_id: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "logp", checked_logp(self.logp, self.buffer))


@dataclass(frozen=True)
class Revealed:
    """One token, with what was revealed of the prediction it was taken from.

    Args:
        buffer: the bytes it spells; may be half a character.
        logp: its log-probability in nats, or None where the source gives none (the
            first token of a prompt).
        candidates: the most probable tokens, falling; empty where none are given.
        token_id: or None.
        named: whether candidates are told apart by their text alone, so that several
            tokens of one text are one candidate.

    Raises:
        ResponseError: a log-probability is NaN or above 0, or candidates rise.

    Example:
        >>> Revealed(b" sea", -0.5, (Candidate(b" sea", -0.5),)).logp
        -0.5
    """

    buffer: bytes
    logp: float | None
    candidates: tuple[Candidate, ...] = ()
    token_id: int | None = None
    named: bool = False

    def __post_init__(self) -> None:
        if self.logp is not None:
            object.__setattr__(self, "logp", checked_logp(self.logp, self.buffer))
        for above, below in pairwise(self.candidates):
            if below.logp > above.logp:
                raise ResponseError(
                    f"the candidates for {self.buffer!r:.60} rise, from {above.logp} "
                    f"to {below.logp}: they are not the most probable tokens in order"
                )


@dataclass(frozen=True)
class Response:
    """One answer.

    Args:
        text: the answer, without the prompt.
        tokens: of the answer, or None where the source reveals no log-probabilities.
            They spell ``text``, or more than it where a stop text was cut off.
        stop: why it ended; None where the source does not say.
        prompt_tokens: of the prompt, where the source scored it.
        token_count: how many tokens the answer has, as the source counts, or None.
        prompt_token_count: how many tokens the source read before it, or None.
    """

    text: str
    tokens: tuple[Revealed, ...] | None = None
    stop: Stop | None = None
    prompt_tokens: tuple[Revealed, ...] | None = None
    token_count: int | None = None
    prompt_token_count: int | None = None


def checked_logp(logp: float, spelled: bytes) -> float:
    """A log-probability, at most 0; what rounding lifted above 0 is 0.

    Raises:
        ResponseError: it is NaN, or further above 0.
    """
    if math.isnan(logp) or logp > _ROUNDING:
        raise ResponseError(
            f"the token {spelled!r:.60} has log-probability {logp}: a log-probability "
            "is at most 0, so this source cannot be measured by"
        )
    return min(float(logp), 0.0)


def spelled(tokens: Sequence[Revealed]) -> bytes:
    """The bytes of all tokens together."""
    return b"".join(token.buffer for token in tokens)
