"""The KL penalty of a policy against its reference: four estimates, and their losses.

A policy p that is trained on a reward is held near a reference ref by KL(p‖ref). On
tokens that the **policy itself** drew, with r = ref/p of the token drawn:

===== ===================== =============================== ===========================
name  value a token         as an estimate of KL(p‖ref)     expected gradient as a loss
===== ===================== =============================== ===========================
k1    -log r                unbiased, of any sign           **0**
k2    ½ (log r)²            biased, at least 0              p∘(log(p/ref) - KL), the
                                                            reverse KL's own
k3    r - 1 - log r         unbiased if the policy can      p - ref, exactly the
                            draw what the reference can,    **forward** KL's
                            else low by the reference's
                            mass outside; at least 0
exact Σ p log(p/ref)        exact (`exact_kl`)              p∘(log(p/ref) - KL)
===== ===================== =============================== ===========================

Gradients are with respect to the logits of that token. What is a good estimate is thus
not a good loss: k1 as a loss trains nothing, and k3 trains another divergence. k1 in
the *reward* (`nescio.training.reward_kl_loss`) has the reverse KL's gradient again.

Of sequences this holds for the log-ratio of the **whole** sequence. Summed token by
token over sampled prefixes, k2 and even the exact KL leave out what a token does to
the tokens after it; they are exact for the last token only. See
:mod:`nescio.training.policy_sequences`.

In a plain loop::

    logp = token_logp(policy(ids).logits[:, :-1], ids[:, 1:])
    with torch.no_grad():
        reference = token_logp(frozen(ids).logits[:, :-1], ids[:, 1:])
    loss = reward_loss + 0.04 * kl_loss(logp, reference, estimator="k2", mask=mask)

TRL's ``GRPOTrainer`` adds ``beta`` times k3 as a loss within its own loss function. To
penalise otherwise set ``beta=0`` and add one of these in a subclass's ``_compute_loss``
(``RLOOTrainer`` alike), or give `sampled_kl` with ``"k1"`` back as a reward. In a
reward k3 has the gradient of the reverse KL **less** the forward one, and k2 that of
its own mean less the reverse KL.

Source: Schulman (2020), Approximating KL Divergence; Tang & Munos (2025), On a few
pitfalls in KL divergence gradient estimation for RL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.divergences import forward_kl, reverse_kl
from nescio.training.refusals import (
    check_shapes,
    kept_tokens,
    place,
    sampled_logp,
)

__all__ = ["KL_ESTIMATORS", "exact_kl", "k1", "k2", "k3", "kl_loss", "sampled_kl"]

_SMALL = 0.03  # below it the series of exp(x) - 1 - x is exact to float64


def k1(
    logp: Shaped[Tensor, "*tokens"], reference: Shaped[Tensor, "..."]
) -> Float[Tensor, "*tokens"]:
    """-log r = log p - log ref of tokens the policy drew: unbiased, of any sign.

    Expected gradient as a loss: **0**, whatever the reference (the mean of ∇log p).

    Args:
        logp: log-probabilities of the tokens under the policy that drew them, nats.
        reference: the same tokens under the reference; taken as constant.

    Returns:
        Nats, of the shape given.

    Raises:
        InvalidInput: shapes that disagree, no floats, numbers above 0.
        InvalidDistribution: NaN, or a token of probability 0.

    Example:
        >>> policy, reference = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
        >>> round(k1(policy, reference).item(), 4)
        0.6931

    Source: Schulman (2020), Approximating KL Divergence.
    """
    return 0.0 - _log_r(logp, reference)  # no -0.0


def k2(
    logp: Shaped[Tensor, "*tokens"], reference: Shaped[Tensor, "..."]
) -> Float[Tensor, "*tokens"]:
    """½ (log r)² of tokens the policy drew: at least 0, biased.

    Expected gradient as a loss: p∘(log(p/ref) - KL), the **reverse** KL's own.

    Args:
        logp, reference: as for `k1`.

    Raises:
        InvalidInput, InvalidDistribution: as `k1`.

    Example:
        >>> policy, reference = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
        >>> round(k2(policy, reference).item(), 4)
        0.2402

    Source: Schulman (2020), Approximating KL Divergence.
    """
    log_r = _log_r(logp, reference)
    return _finite(0.5 * log_r.square(), log_r, "k2", "use k1")


def k3(
    logp: Shaped[Tensor, "*tokens"], reference: Shaped[Tensor, "..."]
) -> Float[Tensor, "*tokens"]:
    """r - 1 - log r of tokens the policy drew: at least 0, mostly less spread than k1.

    Unbiased only if the policy can draw every token that the reference can; else low
    by the mass the reference puts outside (after top-k or top-p, say). Expected
    gradient as a loss: p - ref, exactly the **forward** KL's, not the reverse's.

    Args:
        logp, reference: as for `k1`.

    Raises:
        InvalidInput: as `k1`; or r is too large for a number of this width.
        InvalidDistribution: as `k1`.

    Example:
        >>> policy, reference = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
        >>> round(k3(policy, reference).item(), 4)
        0.1931

    Source: Schulman (2020), Approximating KL Divergence.
    """
    log_r = _log_r(logp, reference)
    near = log_r.abs() < _SMALL
    # Either branch is given a harmless number where the other is taken: what is not
    # taken must be finite too, or its gradient is NaN.
    small = log_r.masked_fill(~near, 0.0)
    terms = 1 + small / 7
    for order in (6, 5, 4, 3):
        terms = 1 + small / order * terms
    large = log_r.masked_fill(near, 1.0)
    found = torch.where(near, small.square() / 2 * terms, large.expm1() - large)
    return _finite(found, log_r, "k3", "use k1 or k2")


KL_ESTIMATORS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "k1": k1,
    "k2": k2,
    "k3": k3,
}
"""Estimates from drawn tokens by name; a function of one's own does as well."""


def sampled_kl(
    logp: Shaped[Tensor, "*tokens"],
    reference: Shaped[Tensor, "..."],
    *,
    estimator: str = "k3",
    mask: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*tokens"]:
    """An estimate of KL(policy‖reference) at every token: a value to watch.

    Args:
        logp, reference: as for `k1`, [..., tokens].
        estimator: one of `KL_ESTIMATORS`.
        mask: booleans, [..., tokens]: True where a token counts. What stands outside,
            NaN even, touches neither value nor gradient.

    Returns:
        Nats, of the shape given; 0 outside the mask.

    Raises:
        InvalidInput: as `k1`; an unknown estimator, a mask of another shape, a
            completion without tokens.
        InvalidDistribution: as `k1`.

    Example:
        >>> policy = torch.tensor([[0.5, 0.5]]).log()
        >>> reference = torch.tensor([[0.25, 0.5]]).log()
        >>> sampled_kl(policy, reference, estimator="k1").tolist()
        [[0.6931471824645996, 0.0]]
    """
    kept = kept_tokens(mask, logp)
    check_shapes(logp, reference)
    return estimator_of(estimator)(
        sampled_logp("logp", logp, kept), sampled_logp("reference", reference, kept)
    )


def kl_loss(
    logp: Shaped[Tensor, "*tokens"],
    reference: Shaped[Tensor, "..."],
    *,
    estimator: str = "k2",
    mask: Shaped[Tensor, "..."] | None = None,
    over: str = "token",
) -> Float[Tensor, ""]:
    """The per-token penalty as one number to train with.

    Its gradient is that of the table above at each token and leaves out what a token
    does to later ones: see `nescio.training.sequence_kl_loss`.

    Args:
        logp, reference, mask: as for `sampled_kl`; only ``logp`` gets a gradient.
        estimator: one of `KL_ESTIMATORS`.
        over: ``"token"``: the mean over all tokens that count; ``"sequence"``: sums
            over the tokens of each sequence (last axis), and their mean.

    Returns:
        Nats a token, or nats a sequence.

    Raises:
        InvalidInput, InvalidDistribution: as `sampled_kl`.

    Example:
        >>> logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
        >>> loss = kl_loss(logp, torch.tensor([[-1.5, -2.5]]))
        >>> loss.backward()
        >>> loss.item(), logp.grad.tolist()
        (0.125, [[0.25, 0.25]])
    """
    kept = kept_tokens(mask, logp)
    values = sampled_kl(logp, reference, estimator=estimator, mask=mask)
    return averaged(values, kept, over)


def exact_kl(
    logits: Shaped[Tensor, "*rows vocab"],
    reference: Shaped[Tensor, "..."],
    *,
    direction: str = "reverse",
    temperature: float | int = 1.0,
    vocabulary: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, "*rows"]:
    """The KL of every row over the full vocabulary: no estimate, no sampling noise.

    ``reverse`` is KL(policy‖reference), gradient p∘(log(p/ref) - KL); ``forward`` is
    KL(reference‖policy), gradient p - ref. On sampled prefixes its sum leaves out, as
    a loss, what a token does to later ones (`nescio.training.exact_kl_loss` does not).
    `nescio.training.tiled_exact_kl` is the same from hidden rows, without the logits.

    Args:
        logits, reference: [..., vocab], over one vocabulary; the reference is taken
            as constant, and best made under ``torch.no_grad()``.
        direction: ``"reverse"`` or ``"forward"``.
        temperature: that the policy draws at; both are divided by it.
        vocabulary: booleans, [vocab]: True where a token may come.

    Returns:
        Nats, [...], at least 0.

    Raises:
        InvalidInput, InvalidDistribution: as `nescio.training.forward_kl`; a
            direction that is none.

    Example:
        >>> policy = torch.tensor([[0.9, 0.1]]).log()
        >>> reference = torch.tensor([[0.5, 0.5]]).log()
        >>> round(exact_kl(policy, reference).item(), 4)
        0.3681
        >>> round(exact_kl(policy, reference, direction="forward").item(), 4)
        0.5108

    Source: Kullback & Leibler (1951).
    """
    divergence = divergence_of(direction)
    return divergence(logits, reference, temperature=temperature, vocabulary=vocabulary)


def divergence_of(direction: str) -> Callable[..., Tensor]:
    """The divergence that a direction names."""
    known = {"reverse": reverse_kl, "forward": forward_kl}
    if direction not in known:
        raise InvalidInput(f"direction {direction!r}: give one of {tuple(known)}")
    return known[direction]


def estimator_of(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The estimator of that name."""
    if name not in KL_ESTIMATORS:
        raise InvalidInput(
            f"unknown estimator {name!r}: one of {tuple(KL_ESTIMATORS)}; the exact KL "
            "needs full rows: exact_kl"
        )
    return KL_ESTIMATORS[name]


def averaged(
    values: Float[Tensor, "*tokens"], kept: Shaped[Tensor, "..."], over: str
) -> Float[Tensor, ""]:
    """One number: the mean over tokens, or over the sums of sequences."""
    if over not in ("token", "sequence"):
        raise InvalidInput(f"over {over!r}: give 'token' or 'sequence'")
    total = values.masked_fill(~kept, 0.0).sum()
    if over == "token":
        return total / kept.sum()
    if values.dim() < 1:
        raise InvalidInput("over 'sequence' of one number: give [..., tokens]")
    return total / max(1, values[..., 0].numel())


def _finite(found: Tensor, log_r: Tensor, name: str, instead: str) -> Tensor:
    """Refuse what is too large for a number of this width."""
    where = found.isinf()
    if bool(where.any()):
        value = float(log_r.detach()[where][0])
        raise InvalidInput(
            f"token {place(where)}: the reference is exp({value:.4g}) times"
            f" as sure of it as the policy, too much for {name} in {found.dtype}; "
            f"{instead}, or leave the token out with mask="
        )
    return found


def _log_r(logp: Tensor, reference: Tensor) -> Tensor:
    check_shapes(logp, reference)
    frozen = sampled_logp("reference", reference).detach()
    return frozen - sampled_logp("logp", logp)
