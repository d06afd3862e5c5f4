"""Two tokenizations of the same bytes, cut where both have a boundary.

Between two such boundaries stand some tokens of the student and some of the teacher,
which spell the same bytes: a *span*. Each model gives it a log-probability, the sum
over its tokens: that of the span **in the spelling of its own tokenizer**, given the
text before it. (That the bytes come in any spelling at all is never less likely; the
difference is what `nescio.ensemble.byte_view.ByteView` adds up.) Two losses compare
them, S the student's and T the teacher's, in nats:

========= ============================================ ============================
loss      of a span                                    gradient by S
========= ============================================ ============================
binary    KL of "this span comes" under both:          (e^S - e^T) / (1 - e^S)
          e^T (T - S) + (1 - e^T) log((1-e^T)/(1-e^S))
squared   ½ (S - T)²                                   S - T
========= ============================================ ============================

``binary`` is at least 0 and 0 only where S = T; where both tokenizers are one, it is at
most KL(teacher‖student) of the next token: it looks at one outcome of many.
``squared`` is `nescio.training.k2` of spans: on texts the *student* drew its expected
gradient is the reverse KL's (of spans, each by itself). Distributions over what comes
after a boundary, not only what did, are compared by `nescio.training.next_byte_logp`.

In a plain loop, ids of one text in both tokenizers::

    aligned = align(student_edges, teacher_edges)     # byte offsets, as in a Trace
    logp = token_logp(student(ids).logits[0, :-1], ids[0, 1:])
    loss = span_loss(logp, taught, aligned)

Source: Minixhofer, Vulić & Ponti (2025), Universal Cross-Tokenizer Distillation via
Approximate Likelihood Matching.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.divergences import at_least_zero
from nescio.training.refusals import kept_tokens, place, sampled_logp

__all__ = ["SPAN_LOSSES", "Alignment", "align", "span_logp", "span_loss", "span_losses"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """Which tokens of a student and of a teacher spell the same bytes; see `align`.

    Args:
        boundaries: the byte offsets where both have one, rising, [spans + 1].
        student, teacher: the span of each token, [tokens].
    """

    boundaries: Int[Tensor, " boundaries"]
    student: Int[Tensor, " student"]
    teacher: Int[Tensor, " teacher"]

    def __len__(self) -> int:
        return len(self.boundaries) - 1

    @property
    def lengths(self) -> Int[Tensor, " spans"]:
        """Bytes of each span."""
        return self.boundaries.diff()

    @property
    def student_rows(self) -> Int[Tensor, " spans"]:
        """The student's first token of each span: its row predicts what comes there."""
        return _firsts(self.student)

    @property
    def teacher_rows(self) -> Int[Tensor, " spans"]:
        """The teacher's first token of each span."""
        return _firsts(self.teacher)


def align(student: Int[Tensor, "..."], teacher: Int[Tensor, "..."]) -> Alignment:
    """Cut a text where the tokens of both end.

    Args:
        student, teacher: byte offsets of each token and of the end, [tokens + 1], as
            `nescio.Trace` holds them and ``Vocabulary.edges`` gives.

    Raises:
        InvalidInput: no tokens, tokens that spell no bytes, texts of different length.

    Example:
        >>> found = align(torch.tensor([0, 1, 3, 6]), torch.tensor([0, 3, 4, 6]))
        >>> found.boundaries.tolist(), found.student.tolist(), found.teacher.tolist()
        ([0, 3, 6], [0, 0, 1], [0, 1, 1])
    """
    for name, edges in (("student", student), ("teacher", teacher)):
        if edges.dim() != 1 or len(edges) < 2:
            raise InvalidInput(
                f"{name} has edges of shape {tuple(edges.shape)}, no tokens: give byte "
                "offsets, [tokens + 1]; leave empty completions out"
            )
        still = edges.diff() <= 0
        if bool(still.any()):
            raise InvalidInput(
                f"{name}: token {place(still)} goes from byte "
                f"{int(edges[:-1][still][0])} to {int(edges[1:][still][0])}: it spells "
                "nothing; leave control tokens out"
            )
    ends = [(int(edges[0]), int(edges[-1])) for edges in (student, teacher)]
    if ends[0] != ends[1]:
        raise InvalidInput(
            f"the student spells bytes {ends[0][0]} to {ends[0][1]}, the teacher "
            f"{ends[1][0]} to {ends[1][1]}: give both of the same text; a tokenizer "
            "that changes it cannot be aligned"
        )
    both = student[torch.isin(student, teacher)]
    spans = [
        torch.searchsorted(both, edges[:-1].contiguous(), right=True) - 1
        for edges in (student, teacher)
    ]
    return Alignment(both, spans[0], spans[1])


def span_logp(
    logp: Shaped[Tensor, "..."], spans: Int[Tensor, "..."]
) -> Float[Tensor, " spans"]:
    """The log-probability of each span, from that of its tokens.

    Args:
        logp: of every token, nats, [tokens].
        spans: which span each belongs to, rising from 0, [tokens]: one side of an
            `Alignment`.

    Raises:
        InvalidInput: shapes that disagree, no floats, numbers above 0.
        InvalidDistribution: NaN, or a token of probability 0.

    Example:
        >>> logp = torch.tensor([-1.0, -2.0, -4.0])
        >>> span_logp(logp, torch.tensor([0, 0, 1])).tolist()
        [-3.0, -4.0]
    """
    if logp.dim() != 1 or logp.shape != spans.shape:
        raise InvalidInput(
            f"logp has shape {tuple(logp.shape)}, the tokens aligned are "
            f"{tuple(spans.shape)}: give one a token"
        )
    found = sampled_logp("logp", logp).clamp(max=0.0)  # no more than rounding
    return found.new_zeros(int(spans[-1]) + 1).index_add(0, spans, found)


def span_losses(
    student: Shaped[Tensor, "..."],
    teacher: Shaped[Tensor, "..."],
    alignment: Alignment,
    *,
    loss: str = "binary",
) -> Float[Tensor, " spans"]:
    """The loss of every span.

    Args:
        student, teacher: log-probabilities of every token of the text, each under its
            own model, nats, [tokens]; the teacher's are taken as constant.
        alignment: of the two.
        loss: one of `SPAN_LOSSES`.

    Returns:
        At least 0, [spans]: nats (``binary``), nats squared (``squared``).

    Raises:
        InvalidInput, InvalidDistribution: as `span_logp`; an unknown loss.

    Example:
        >>> aligned = align(torch.tensor([0, 1, 2]), torch.tensor([0, 2]))
        >>> student, teacher = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.5]).log()
        >>> round(span_losses(student, teacher, aligned).item(), 4)
        0.1438

    Source: Minixhofer, Vulić & Ponti (2025), section 3.
    """
    if loss not in SPAN_LOSSES:
        raise InvalidInput(f"unknown loss {loss!r}: one of {tuple(SPAN_LOSSES)}")
    ours = span_logp(student, alignment.student)
    theirs = span_logp(teacher.detach(), alignment.teacher).to(ours)
    return SPAN_LOSSES[loss](ours, theirs)


def span_loss(
    student: Shaped[Tensor, "..."],
    teacher: Shaped[Tensor, "..."],
    alignment: Alignment,
    *,
    loss: str = "binary",
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """The mean of `span_losses` over the spans that count.

    Args:
        student, teacher, alignment, loss: as for `span_losses`.
        mask: booleans, [spans]: True where a span counts (not those of a prompt).

    Raises:
        InvalidInput, InvalidDistribution: as `span_losses`; a mask of another shape,
            or under which nothing counts.

    Example:
        >>> aligned = align(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]))
        >>> student, teacher = torch.tensor([-1.0, -2.0]), torch.tensor([-1.0, -3.0])
        >>> span_loss(student, teacher, aligned, loss="squared").item()
        0.25
    """
    values = span_losses(student, teacher, alignment, loss=loss)
    kept = kept_tokens(mask, values)
    return values.masked_fill(~kept, 0.0).sum() / kept.sum()


def _binary(ours: Tensor, theirs: Tensor) -> Tensor:
    # Surer than 1 less one rounding is taken as that sure: certainty has no KL.
    least = -torch.finfo(ours.dtype).eps
    ours = ours.clamp(max=least)
    p, certain = theirs.exp(), theirs > least
    rest = -theirs.expm1() * (_log_rest(theirs.clamp(max=least)) - _log_rest(ours))
    rest = rest.masked_fill(certain, 0.0)
    return at_least_zero(p * (theirs - ours) + rest)


def _log_rest(logp: Tensor) -> Tensor:
    """log(1 - e^x) of x below 0, without cancellation on either side."""
    near = logp > -math.log(2.0)
    small = logp.masked_fill(~near, -1.0)  # harmless where the other is taken
    large = logp.masked_fill(near, -1.0)
    return torch.where(near, (-small.expm1()).log(), (-large.exp()).log1p())


def _squared(ours: Tensor, theirs: Tensor) -> Tensor:
    return 0.5 * (ours - theirs).square()


SPAN_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary": _binary,
    "squared": _squared,
}
"""The loss of a span by name, of the student's and the teacher's log-probability."""


def _firsts(spans: Tensor) -> Tensor:
    return torch.cat([spans.new_zeros(1), spans.diff().nonzero()[:, 0] + 1])
