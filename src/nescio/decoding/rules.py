"""How tokens are chosen and when an answer ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int

from nescio.decoding.recording import Detail
from nescio.errors import InvalidInput
from nescio.kernel import Sampling
from nescio.trace.trace import Stop

__all__ = ["Decoding", "Endings"]


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen and when to stop.

    Args:
        max_tokens: the longest answer, in tokens.
        sampling: temperature and truncations; temperature 0 is greedy.
        stop: texts that end an answer once it holds one; they stay in the trace.
        detail: what the trace keeps of each prediction.
        batch: how many answers step side by side at most, where several are drawn;
            decides speed and memory, and results no further than rounding.

    Raises:
        InvalidInput: ``max_tokens`` or ``batch`` below 1, or an empty stop text.
    """

    max_tokens: int = 256
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    detail: Detail = field(default_factory=Detail)
    batch: int = 32

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InvalidInput(f"batch is {self.batch}: at least one answer at a time")
        if self.max_tokens < 1:
            raise InvalidInput(f"max_tokens is {self.max_tokens}; at least 1 is needed")
        if isinstance(self.stop, str):
            raise InvalidInput(
                f"stop is one text, {self.stop!r}; give a tuple of texts"
            )
        for text in self.stop:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise InvalidInput(f"the stop text {text!r} has no UTF-8 bytes")
        if "" in self.stop:
            raise InvalidInput("an empty stop text would end every answer at once")


@dataclass(frozen=True, eq=False)
class Endings:
    """What ends an answer of one model under one `Decoding`.

    Args:
        end: whether each id is an end token.
        stop: the stop texts' bytes.
        max_tokens: the longest answer, in tokens.
        context_length: how many tokens the model can see; None: no limit.
    """

    end: Bool[np.ndarray, " vocab"]
    stop: tuple[bytes, ...]
    max_tokens: int
    context_length: int | None

    @staticmethod
    def of(
        decoding: Decoding,
        *,
        vocabulary_size: int,
        end: Sequence[int],
        context_length: int | None,
    ) -> Endings:
        """The endings of a decoding, once for all its answers."""
        marks = np.zeros(vocabulary_size, dtype=np.bool_)
        marks[list(end)] = True
        texts = tuple(text.encode("utf-8") for text in decoding.stop)
        return Endings(marks, texts, decoding.max_tokens, context_length)

    @property
    def reach(self) -> int:
        """How many bytes before a token can belong to a stop text it completes."""
        return max((len(text) for text in self.stop), default=1) - 1

    def of_tokens(
        self,
        token_ids: Int[np.ndarray, " rows"],
        tails: Sequence[bytes],
        drawn: Int[np.ndarray, " rows"],
        context_used: Int[np.ndarray, " rows"],
    ) -> tuple[Stop | None, ...]:
        """Why each answer ends with the token it just got, or None.

        Args:
            token_ids: the tokens.
            tails: the answers' last bytes, the token's included; read only if there
                are stop texts.
            drawn: how many tokens each answer now has.
            context_used: how many tokens each prediction saw.
        """
        long = drawn >= self.max_tokens
        if self.context_length is not None:
            long |= context_used + 1 >= self.context_length
        ended = self.end[token_ids]
        found: list[Stop | None] = []
        for row in range(len(token_ids)):
            if ended[row]:
                found.append("eos")
            elif self.stop and any(text in tails[row] for text in self.stop):
                found.append("stop_string")
            else:
                found.append("length" if long[row] else None)
        return tuple(found)
