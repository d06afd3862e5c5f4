"""Rows over tokens as rows over the next byte: what models of any vocabulary share.

Where a token has ended, the probability that the text goes on with byte b is the sum
over the tokens that begin with b; that it ends, the sum over the tokens that end a
text. These 257 numbers mean the same in every vocabulary, so that a student may learn
from a teacher with another tokenizer: at every byte offset where **both** have a
boundary (:mod:`nescio.training.spans`), with any divergence of this package::

    symbols = ByteSymbols.of(tokens, end=[eos])       # the bytes of each id
    rows = next_byte_logp(student(ids).logits[0, aligned.student_rows], symbols)
    loss = distillation_loss(rows, taught, following, how=how)

``taught`` are the teacher's rows over the same 257, log-probabilities (which are logits
of themselves): `next_byte_logp` of its own logits at its boundaries, or what
`nescio.ensemble.byte_view.ByteView` says, where it is a model of bytes.
`nescio.evaluation.byte_teaching` makes either from a loaded model.

What is compared is exact, and is this: the next byte **given the text as the student's
tokenizer spells it, and that a token ends there**. A token boundary says something of
what follows ("hel" ended, so "lo" is less likely than after the bytes alone). A
teacher read by its own boundary knows the like, one read through the byte view does
not. Tokens that spell nothing and end nothing are left out and the rest scaled to 1, as
in the byte view.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.divergences import log_probabilities
from nescio.training.refusals import widened

__all__ = ["END_SYMBOL", "NEXT_SYMBOLS", "ByteSymbols", "next_byte_logp"]

END_SYMBOL = 256
"""The symbol for the end of a text, after the bytes 0 to 255."""
NEXT_SYMBOLS = 257
"""256 bytes and the end."""
_NOTHING = -1


@dataclass(frozen=True, eq=False)
class ByteSymbols:
    """What each id begins with: a byte, the end of a text, or nothing.

    Args:
        first: 0 to 255 the first byte of what the id spells, 256 it ends a text, -1 it
            is left out, [vocab].

    Raises:
        InvalidInput: other numbers, or nothing that may come.

    Example:
        >>> ByteSymbols.of([b"ab", b"a", b"", b""], end=[3]).first.tolist()
        [97, 97, -1, 256]
    """

    first: Int[Tensor, " vocab"]

    def __post_init__(self) -> None:
        odd = (self.first < _NOTHING) | (self.first > END_SYMBOL)
        if bool(odd.any()):
            raise InvalidInput(
                f"first holds {int(self.first[odd][0])}: give a byte, {END_SYMBOL} for "
                f"the end of a text, {_NOTHING} for nothing"
            )
        if not bool((self.first >= 0).any()):
            raise InvalidInput("no id begins with a byte or ends a text")

    @staticmethod
    def of(
        tokens: Sequence[bytes], *, end: Iterable[int] = (), size: int | None = None
    ) -> ByteSymbols:
        """From what each id spells.

        Args:
            tokens: the bytes of every id; empty for control tokens.
            end: ids that end a text, whatever they spell.
            size: of the head, where it is padded beyond the tokens.

        Raises:
            InvalidInput: a size below the number of tokens, an end that is no id.

        Example:
            >>> ByteSymbols.of([b"a", b""], end=[1], size=4).first.tolist()
            [97, 256, -1, -1]
        """
        size = len(tokens) if size is None else size
        if size < len(tokens):
            raise InvalidInput(f"size is {size}, the tokens are {len(tokens)}")
        first = torch.full((size,), _NOTHING, dtype=torch.int64)
        heads = [token[0] if token else _NOTHING for token in tokens]
        first[: len(tokens)] = torch.tensor(heads, dtype=torch.int64)
        for token in end:
            if not 0 <= token < len(tokens):
                raise InvalidInput(f"end {token} is none of the {len(tokens)} ids")
            first[token] = END_SYMBOL
        return ByteSymbols(first)

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The symbol of each id, 0 where it has none, and whether it has one."""
        first = self.first.to(device)
        return first.clamp(min=0), first >= 0


def next_byte_logp(
    logits: Shaped[Tensor, "*rows vocab"], symbols: ByteSymbols
) -> Float[Tensor, "*rows symbols"]:
    """Log-probabilities of the next byte, or of the end, where a token has ended.

    The gradient with respect to a logit that begins with byte b, of an upstream u, is
    u_b p(token | b) - p(token) Σ u. `nescio.training.tiled_next_byte_logp` is the same
    from hidden rows, without the logits.

    Args:
        logits: of a model's next token, [..., vocab]; -inf marks an impossible token.
        symbols: what each id begins with.

    Returns:
        Nats, [..., 257], at most 0, -inf where no token begins so.

    Raises:
        InvalidInput: logits of another vocabulary than the symbols, no floats.
        InvalidDistribution: a row without a distribution over what spells something.

    Example:
        >>> symbols = ByteSymbols.of([b"ab", b"a", b"b", b""], end=[3])
        >>> row = next_byte_logp(torch.tensor([[0.1, 0.3, 0.4, 0.2]]).log(), symbols)
        >>> [round(p, 4) for p in row[0, [97, 98, 256]].exp().tolist()]
        [0.4, 0.4, 0.2]

    Source: Vieira et al. (2024), From Language Models over Tokens to Language Models
    over Characters.
    """
    found = widened("logits", logits)
    if found.dim() < 1 or found.shape[-1] != len(symbols.first):
        raise InvalidInput(
            f"logits have shape {tuple(found.shape)}, symbols are of "
            f"{len(symbols.first)} ids: give [..., {len(symbols.first)}]"
        )
    where, kept = symbols.on(found.device)
    found = found.masked_fill(~kept, -math.inf)
    where = where.expand_as(found)
    shape = (*found.shape[:-1], NEXT_SYMBOLS)
    top = found.new_full(shape, -math.inf)
    top = top.scatter_reduce(-1, where, found.detach(), "amax")
    top = top.masked_fill(top == -math.inf, 0.0)
    weights = (found - top.gather(-1, where)).exp()
    return normalised_symbols(
        found.new_zeros(shape).scatter_add(-1, where, weights), top
    )


def normalised_symbols(
    total: Float[Tensor, "*rows symbols"], top: Float[Tensor, "*rows symbols"]
) -> Float[Tensor, "*rows symbols"]:
    """log-probabilities from sums of exp(logit - top); a sum of 0 has none."""
    nothing = total == 0
    logs = total.masked_fill(nothing, 1.0).log() + top
    return log_probabilities(logs.masked_fill(nothing, -math.inf))
