"""The KL penalty of whole sequences: losses with the gradient of the sequence KL.

KL(p‖ref) of sequences is the mean, over sequences the policy draws, of the sum of the
token-wise KLs. Its gradient has two parts: what a token's logits do to the KL there,
and what drawing the token does to the KLs after it. Per-token losses have the first
only. The losses here have both, in expectation over sequences the policy drew:

- `sequence_kl_loss` with ``k2``: ½ (Σ log p/ref)². Simple, and its spread grows with
  the square of the length.
- `reward_kl_loss`: k1 in the reward; each token is charged with the log-ratios from it
  on (*reward to go*) or of the whole sequence.
- `exact_kl_loss`: the exact KL of every prefix, and each token charged with the exact
  KLs after it: the least spread, and it needs full rows.

In a plain loop they stand where `nescio.training.kl_loss` does. In TRL, ``RLOOTrainer``
has k1 in the reward of its own (``beta``); for the others set ``beta=0`` and add one in
a subclass's ``_compute_loss``.

Source: Tang & Munos (2025); Amini, Vieira & Cotterell (2025), Better Estimation of the
KL Divergence Between Language Models.
"""

from __future__ import annotations

from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.policy import estimator_of
from nescio.training.refusals import (
    check_shapes,
    kept_tokens,
    place,
    sampled_logp,
    widened,
)

__all__ = [
    "exact_kl_loss",
    "log_ratio_to_go",
    "reward_kl_loss",
    "sequence_kl_loss",
    "sequence_log_ratio",
]


def sequence_log_ratio(
    logp: Shaped[Tensor, "*sequences tokens"],
    reference: Shaped[Tensor, "..."],
    *,
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*sequences"]:
    """Σ (log p - log ref) over the tokens of each sequence: k1 of the sequence.

    Args:
        logp: of the tokens drawn, under the policy that drew them, [..., tokens].
        reference: the same tokens under the reference; taken as constant.
        mask: booleans, [..., tokens]: True where a token counts.

    Returns:
        Nats a sequence, of any sign.

    Raises:
        InvalidInput: shapes that disagree, a completion without tokens, no floats.
        InvalidDistribution: NaN, or a token of probability 0.

    Example:
        >>> import torch
        >>> logp = torch.tensor([[-1.0, -2.0]])
        >>> sequence_log_ratio(logp, torch.tensor([[-1.5, -2.25]])).tolist()
        [0.75]
    """
    ours, theirs, _ = _sums(logp, reference, mask)
    return (ours - theirs).sum(-1)


def log_ratio_to_go(
    logp: Shaped[Tensor, "*sequences tokens"],
    reference: Shaped[Tensor, "..."],
    *,
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*sequences tokens"]:
    """At every token, the sum of log p - log ref from it to the end.

    Args:
        logp, reference, mask: as for `sequence_log_ratio`.

    Returns:
        Nats, [..., tokens]; the first is the whole sequence's.

    Raises:
        InvalidInput, InvalidDistribution: as `sequence_log_ratio`.

    Example:
        >>> import torch
        >>> logp = torch.tensor([[-1.0, -2.0]])
        >>> log_ratio_to_go(logp, torch.tensor([[-1.5, -2.25]])).tolist()
        [[0.75, 0.25]]
    """
    ours, theirs, kept = _sums(logp, reference, mask)
    return _to_go(ours - theirs).masked_fill(~kept, 0.0)


def sequence_kl_loss(
    logp: Shaped[Tensor, "*sequences tokens"],
    reference: Shaped[Tensor, "..."],
    *,
    estimator: str = "k2",
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """k1, k2 or k3 of the log-ratio of whole sequences, averaged over sequences.

    Expected gradients over sequences the policy drew: k1 **0**; k2 the reverse
    sequence KL's own; k3 the forward sequence KL's.

    Args:
        logp, reference, mask: as for `sequence_log_ratio`.
        estimator: one of `nescio.training.KL_ESTIMATORS`.

    Returns:
        Nats a sequence.

    Raises:
        InvalidInput, InvalidDistribution: as `sequence_log_ratio`; k3 refuses a ratio
            too large for a number, which long sequences reach.

    Example:
        >>> import torch
        >>> logp = torch.tensor([[-1.0, -2.0]])
        >>> round(sequence_kl_loss(logp, torch.tensor([[-1.5, -2.25]])).item(), 5)
        0.28125

    Source: Tang & Munos (2025).
    """
    ours, theirs, _ = _sums(logp, reference, mask)
    return estimator_of(estimator)(ours.sum(-1), theirs.sum(-1)).mean()


def reward_kl_loss(
    logp: Shaped[Tensor, "*sequences tokens"],
    reference: Shaped[Tensor, "..."],
    *,
    mask: Shaped[Tensor, "..."] | None = None,
    credit: str = "to_go",
) -> Float[Tensor, ""]:
    """k1 in the reward: value the mean k1 of sequences, gradient the reverse KL's.

    The gradient is that of Σ log p · c, averaged over sequences, with the charge c held
    constant: the log-ratios from the token on, or of the whole sequence. Both have the
    same mean, ``to_go`` the smaller spread.

    Args:
        logp, reference, mask: as for `sequence_log_ratio`.
        credit: ``"to_go"`` or ``"sequence"``.

    Returns:
        Nats a sequence.

    Raises:
        InvalidInput, InvalidDistribution: as `sequence_log_ratio`; a credit that is
            none.

    Example:
        >>> import torch
        >>> logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
        >>> loss = reward_kl_loss(logp, torch.tensor([[-1.5, -2.25]]))
        >>> loss.backward()
        >>> loss.item(), logp.grad.tolist()
        (0.75, [[0.75, 0.25]])

    Source: Tang & Munos (2025).
    """
    ours, theirs, kept = _sums(logp, reference, mask)
    ratios = (ours - theirs).detach()
    whole = ratios.sum(-1)
    if credit not in ("to_go", "sequence"):
        raise InvalidInput(f"credit {credit!r}: give 'to_go' or 'sequence'")
    charge = _to_go(ratios) if credit == "to_go" else whole[..., None].expand_as(ratios)
    score = (ours * charge.masked_fill(~kept, 0.0)).sum(-1)
    return (whole + score - score.detach()).mean()


def exact_kl_loss(
    logp: Shaped[Tensor, "*sequences tokens"],
    token_kl: Shaped[Tensor, "..."],
    *,
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """The exact KL of every prefix, each token charged with the KLs after it.

    The value is Σ KL along sampled prefixes, averaged over sequences: unbiased, at
    least 0, never more spread than k1. The gradient is that of the sequence KL in
    expectation: through each KL itself, and through log p times the KLs after it.

    Args:
        logp: of the tokens drawn, under the policy that drew them, [..., tokens].
        token_kl: KL(policy‖reference) of the row that each token was drawn from,
            [..., tokens], with its gradient: `nescio.training.exact_kl` or
            `nescio.training.tiled_exact_kl`.
        mask: booleans, [..., tokens]: True where a token counts.

    Returns:
        Nats a sequence.

    Raises:
        InvalidInput: shapes that disagree, a completion without tokens, no floats, a
            KL below 0.
        InvalidDistribution: NaN, or a token of probability 0.

    Example:
        >>> import torch
        >>> logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
        >>> loss = exact_kl_loss(logp, torch.tensor([[0.5, 0.25]]))
        >>> loss.backward()
        >>> loss.item(), logp.grad.tolist()
        (0.75, [[0.25, 0.0]])

    Source: Amini, Vieira & Cotterell (2025), the Rao–Blackwellised estimator.
    """
    check_shapes(logp, token_kl, "token_kl")
    kept = kept_tokens(mask, logp)
    ours = sampled_logp("logp", logp, kept)
    divergences = widened("token_kl", token_kl).masked_fill(~kept, 0.0)
    odd = ~(divergences.isfinite() & (divergences >= 0))
    if bool(odd.any()):
        value = float(divergences.detach()[odd][0])
        raise InvalidInput(f"token_kl: {place(odd)} is {value}: no finite KL")
    later = (_to_go(divergences) - divergences).detach()
    score = (ours * later).sum(-1)
    return (divergences.sum(-1) + score - score.detach()).mean()


def _sums(
    logp: Tensor, reference: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    if logp.dim() < 1:
        raise InvalidInput("logp is one number: give [..., tokens]")
    check_shapes(logp, reference)
    kept = kept_tokens(mask, logp)
    ours = sampled_logp("logp", logp, kept)
    return ours, sampled_logp("reference", reference, kept).detach(), kept


def _to_go(values: Tensor) -> Tensor:
    return values.flip(-1).cumsum(-1).flip(-1)
