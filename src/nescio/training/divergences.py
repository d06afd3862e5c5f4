"""How far one row of logits lies from another, with gradients that stay finite.

Rows are logits over one vocabulary, [..., vocab], in float64, float32, bfloat16 or
float16; what is narrower than float32 is reckoned in float32. A token of logit -inf,
or one that ``vocabulary`` excludes, has probability 0 in value **and** in gradient: its
terms are taken out before anything is multiplied. (0 · log 0 by ``torch.special.entr``,
or by ``torch.where`` around the product, is right in value and NaN in gradient.)

These forms hold [..., vocab] several times. :mod:`nescio.training.tiled` has the same
from hidden rows and never holds it once.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training.refusals import (
    check_fraction,
    check_matching,
    check_positive,
    check_rows,
    check_targets,
    kept_tokens,
    place,
    widened,
)

__all__ = [
    "forward_kl",
    "generalised_jsd",
    "log_probabilities",
    "reverse_kl",
    "token_logp",
]


def log_probabilities(
    logits: Shaped[Tensor, "*rows vocab"],
    *,
    temperature: float | int = 1.0,
    vocabulary: Shaped[Tensor, "..."] | None = None,
    name: str = "logits",
) -> Float[Tensor, "*rows vocab"]:
    """log softmax(logits / temperature) over the tokens that ``vocabulary`` allows.

    Args:
        logits: [..., vocab]; -inf marks an impossible token.
        temperature: above 0.
        vocabulary: booleans, [vocab]: True where a token may come at all.
        name: what error messages call the logits.

    Returns:
        Nats, at most 0, -inf for impossible tokens; float32 or float64.

    Raises:
        InvalidInput: no floats, a temperature that is not above 0, a vocabulary of
            another length.
        InvalidDistribution: a row with NaN or +inf, or without a possible token.

    Example:
        >>> rows = torch.tensor([[0.0, 0.0, -torch.inf]])
        >>> log_probabilities(rows).exp().tolist()
        [[0.5, 0.5, 0.0]]
    """
    check_positive("temperature", temperature)
    found = widened(name, logits)
    if found.dim() < 1:
        raise InvalidInput(f"{name} need an axis over the vocabulary")
    if vocabulary is not None:
        allowed = vocabulary_mask(vocabulary, found.shape[-1])
        found = found.masked_fill(~allowed, -math.inf)
    logp = torch.log_softmax(found / temperature, dim=-1)
    check_rows(name, logp)
    return logp


def vocabulary_mask(
    vocabulary: Shaped[Tensor, "..."], size: int
) -> Shaped[Tensor, "vocab"]:
    """The tokens that are allowed, checked."""
    if vocabulary.dtype != torch.bool or tuple(vocabulary.shape) != (size,):
        raise InvalidInput(
            f"vocabulary is {vocabulary.dtype} of shape {tuple(vocabulary.shape)}: "
            f"give {size} booleans, one a token"
        )
    return vocabulary


def token_logp(
    logits: Shaped[Tensor, "*rows vocab"],
    targets: Shaped[Tensor, "..."],
    *,
    temperature: float | int = 1.0,
    vocabulary: Shaped[Tensor, "..."] | None = None,
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "..."]:
    """The log-probability of one token a row: what k1, k2, k3 and DPO are made of.

    For a text of a causal network these are ``token_logp(logits[:, :-1], ids[:, 1:])``.

    Args:
        logits: [..., vocab].
        targets: token ids, [...]; anything (such as -100) where the mask is False.
        temperature: that the tokens were drawn at.
        vocabulary: booleans, [vocab]: True where a token may come.
        mask: booleans, [...]: True where a token counts.

    Returns:
        Nats, [...], at most 0; exactly 0, without a gradient, outside the mask.

    Raises:
        InvalidInput: shapes that disagree, ids outside the vocabulary, empty rows.
        InvalidDistribution: a row without a distribution, or a target that has
            probability 0: its loss is infinite.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
        >>> [round(x, 4) for x in token_logp(logits, torch.tensor([0, 1])).tolist()]
        [-0.1269, -0.6931]
    """
    if logits.dim() < 2:
        raise InvalidInput(
            f"logits have shape {tuple(logits.shape)}: give [..., vocab]"
        )
    rows, size = tuple(logits.shape[:-1]), logits.shape[-1]
    if tuple(targets.shape) != rows:
        check_targets(targets, rows, size)
    kept = kept_tokens(mask, targets)
    chosen = targets.masked_fill(~kept, 0)
    check_targets(chosen, rows, size)
    filled = logits.masked_fill(~kept[..., None], 0.0)
    logp = log_probabilities(filled, temperature=temperature, vocabulary=vocabulary)
    found = logp.gather(-1, chosen.long()[..., None])[..., 0]
    found = found.masked_fill(~kept, 0.0)
    impossible = found.isinf()
    if bool(impossible.any()):
        raise InvalidDistribution(impossible_target(impossible, chosen))
    return found


def impossible_target(
    impossible: Shaped[Tensor, "..."], targets: Shaped[Tensor, "..."]
) -> str:
    """What is said of a target that has no probability."""
    return (
        f"target {place(impossible)} is token {int(targets[impossible][0])}, which has "
        "probability 0 there: its loss is infinite; allow it or leave it out with mask="
    )


def forward_kl(
    student: Shaped[Tensor, "*rows vocab"],
    teacher: Shaped[Tensor, "..."],
    *,
    temperature: float | int = 1.0,
    vocabulary: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*rows"]:
    """KL(teacher‖student) of each row, exact: the student covers the teacher.

    Its gradient with respect to the student's logits is (student - teacher) / T.

    Args:
        student, teacher: logits, [..., vocab], over one vocabulary. The teacher is
            taken as constant, and best made under ``torch.no_grad()``.
        temperature: T, that divides both.
        vocabulary: booleans, [vocab]: True where a token may come.

    Returns:
        Nats, [...], at least 0.

    Raises:
        InvalidInput: as `log_probabilities`; different vocabularies, or shapes.
        InvalidDistribution: as `log_probabilities`; or the student excludes a token
            that the teacher allows, where the divergence is infinite.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
        >>> round(forward_kl(student, teacher).item(), 4)
        0.3278

    Source: Hinton, Vinyals & Dean (2015).
    """
    how = {"temperature": temperature, "vocabulary": vocabulary}
    ours, theirs = _both(student, teacher, **how)
    return _kl(("teacher", theirs), ("student", ours))


def reverse_kl(
    student: Shaped[Tensor, "*rows vocab"],
    teacher: Shaped[Tensor, "..."],
    *,
    temperature: float | int = 1.0,
    vocabulary: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*rows"]:
    """KL(student‖teacher) of each row, exact: the student seeks the teacher's modes.

    Its gradient with respect to the student's logits is
    s∘(log(s/t) - KL) / T, s and t the student's and the teacher's probabilities.

    Args:
        student, teacher, temperature, vocabulary: as for `forward_kl`.

    Returns:
        Nats, [...], at least 0.

    Raises:
        InvalidInput, InvalidDistribution: as `forward_kl`, the other way round.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
        >>> round(reverse_kl(student, teacher).item(), 4)
        0.4338

    Source: Gu et al. (2024), MiniLLM.
    """
    how = {"temperature": temperature, "vocabulary": vocabulary}
    ours, theirs = _both(student, teacher, **how)
    return _kl(("student", ours), ("teacher", theirs))


def generalised_jsd(
    student: Shaped[Tensor, "*rows vocab"],
    teacher: Shaped[Tensor, "..."],
    *,
    beta: float | int = 0.5,
    temperature: float | int = 1.0,
    vocabulary: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*rows"]:
    """β·KL(teacher‖m) + (1-β)·KL(student‖m), m = β·teacher + (1-β)·student.

    That goes to 0 at both ends, so β = 0 and β = 1 are **defined** as the forward and
    the reverse KL, the limits of it divided by β and by 1-β. Only between the ends it
    is bounded, by the entropy of (β, 1-β), and finite whatever is excluded. Its
    gradient with respect to the student's logits is
    (1-β)·s∘(log(s/m) - KL(s‖m)) / T.

    Args:
        student, teacher, temperature, vocabulary: as for `forward_kl`.
        beta: the weight of the teacher, from 0 to 1.

    Returns:
        Nats, [...], at least 0; at most log 2 for β = ½.

    Raises:
        InvalidInput, InvalidDistribution: as `forward_kl`.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
        >>> for beta in (0, 0.5, 1):
        ...     print(round(generalised_jsd(student, teacher, beta=beta).item(), 4))
        0.3278
        0.0895
        0.4338

    Source: Agarwal et al. (2024), On-Policy Distillation of Language Models, eq. 1.
    """
    check_fraction("beta", beta)
    how = {"temperature": temperature, "vocabulary": vocabulary}
    if beta in (0, 1):
        return (reverse_kl if beta else forward_kl)(student, teacher, **how)
    ours, theirs = _both(student, teacher, **how)
    nowhere = (ours == -math.inf) & (theirs == -math.inf)
    s, t = ours.masked_fill(nowhere, 0.0), theirs.masked_fill(nowhere, 0.0)
    mixture = torch.logaddexp(t + math.log(beta), s + math.log1p(-beta))
    mixture = mixture.masked_fill(nowhere, -math.inf)
    parts = ("mixture", mixture)
    return beta * _kl(("teacher", theirs), parts) + (1 - beta) * _kl(
        ("student", ours), parts
    )


def _both(
    student: Tensor,
    teacher: Tensor,
    *,
    temperature: float | int,
    vocabulary: Tensor | None,
) -> tuple[Tensor, Tensor]:
    check_matching(("student", student), ("teacher", teacher))
    ours, theirs = (
        log_probabilities(
            logits, temperature=temperature, vocabulary=vocabulary, name=name
        )
        for name, logits in (("student", student), ("teacher", teacher.detach()))
    )
    return ours, theirs


def _kl(one: tuple[str, Tensor], other: tuple[str, Tensor]) -> Tensor:
    """Σ p log(p/q) without the tokens that p excludes."""
    (name, logp), (other_name, logq) = one, other
    impossible = logp == -math.inf
    p = logp.exp()
    gap = logp.masked_fill(impossible, 0.0) - logq.masked_fill(impossible, 0.0)
    if bool(gap.isinf().any()):
        raise InvalidDistribution(
            f"the {other_name} excludes token {place(gap.isinf())} (row, token), which "
            f"the {name} allows: the divergence is infinite; exclude it for both with "
            "vocabulary=, or use generalised_jsd between its ends"
        )
    return at_least_zero((p * gap).sum(-1))


def at_least_zero(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The same without what rounding put below 0; the gradient is left as it is."""
    return values + (values.clamp(min=0.0) - values).detach()
