"""Direct preference optimisation: losses on pairs of a chosen and a rejected answer.

With u = π/ref of an answer, the policy's probability over its reference's, and f' the
derivative of the divergence that holds the policy near its reference, a pair has

    gap h = f'(u_chosen) - f'(u_rejected)

which for the reverse KL is (log π_w - log ref_w) - (log π_l - log ref_l). Then

======== ===================================================== ========= ============
loss     of a pair                                             β = 0     policy = ref
======== ===================================================== ========= ============
sigmoid  -(1-ε) log σ(βh) - ε log σ(-βh), ε label smoothing    log 2     log 2
hinge    max(0, 1 - βh)                                        1         1
ipo      (h - 1/(2β))²                                         refused   1/(4β²)
======== ===================================================== ========= ============

**Sums or means over tokens** is no detail: log π of an answer is the sum over its
tokens, as in DPO; means make answers of different lengths count alike and β mean
another thing (IPO's authors confirmed they used them). `answer_logp` takes the word,
`PreferenceBatch` carries it and estimates write it down.

In a plain loop::

    def answer(network, ids, mask):
        logp = token_logp(network(ids).logits[:, :-1], ids[:, 1:], mask=mask[:, 1:])
        return answer_logp(logp, mask[:, 1:])

    with torch.no_grad():
        reference = [answer(frozen, *side) for side in (chosen, rejected)]
    ours = [answer(policy, *side) for side in (chosen, rejected)]
    loss = preference_loss(PreferenceBatch(*ours, *reference), beta=0.1)

TRL's ``DPOTrainer`` takes the losses it knows by ``loss_type`` (``sigmoid`` and
``hinge`` over sums, ``sigmoid_norm`` and ``ipo`` over means) and ``f_divergence_type``;
its alpha is 1 minus the one here, and its ``robust`` divides Mitchell's smoothing by
1 - 2ε and takes the swapped pair off. For another, subclass it and override
``_compute_loss``.

Source: Rafailov et al. (2023), DPO; Mitchell (2023), label smoothing; Azar et al.
(2024), IPO; Zhao et al. (2023), hinge; Wang et al. (2024), f-divergences.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.preference_forms import (
    PREFERENCE_DIVERGENCES,
    PREFERENCE_LOSSES,
    PreferenceForm,
)
from nescio.training.refusals import (
    check_positive,
    kept_tokens,
    place,
    sampled_logp,
)

__all__ = [
    "PreferenceBatch",
    "answer_logp",
    "preference_gaps",
    "preference_loss",
    "preference_losses",
    "reward_margins",
]


def answer_logp(
    logp: Shaped[Tensor, "*answers tokens"],
    mask: Shaped[Tensor, "..."] | None = None,
    *,
    over_tokens: str = "sum",
) -> Float[Tensor, "*answers"]:
    """The log-probability of whole answers from that of their tokens.

    Args:
        logp: of every token, nats, [..., tokens], as from `nescio.training.token_logp`
            or `nescio.training.tiled_token_logp`.
        mask: booleans, [..., tokens]: True for the tokens of the answer (not of the
            prompt, not the padding).
        over_tokens: ``"sum"``, the answer's own log-probability, or ``"mean"``, per
            token.

    Raises:
        InvalidInput: shapes that disagree, an answer without tokens, no floats.
        InvalidDistribution: NaN, or a token of probability 0.

    Example:
        >>> import torch
        >>> logp = torch.tensor([[-1.0, -2.0, -9.0]])
        >>> answer = torch.tensor([[True, True, False]])
        >>> answer_logp(logp, answer).item()
        -3.0
        >>> answer_logp(logp, answer, over_tokens="mean").item()
        -1.5
    """
    if logp.dim() < 1:
        raise InvalidInput("logp is one number: give [..., tokens]")
    if over_tokens not in ("sum", "mean"):
        raise InvalidInput(f"over_tokens {over_tokens!r}: give 'sum' or 'mean'")
    kept = kept_tokens(mask, logp)
    total = sampled_logp("logp", logp, kept).sum(-1)
    return total if over_tokens == "sum" else total / kept.sum(-1)


@dataclass(frozen=True, eq=False)
class PreferenceBatch:
    """Pairs of answers to the same prompts: what each model thinks of both.

    Args:
        chosen, rejected: log-probabilities of the answers under the policy, [pairs].
        reference_chosen, reference_rejected: the same under the reference, [pairs];
            taken as constant.
        over_tokens: whether they are sums or means over tokens: see `answer_logp`.

    Raises:
        InvalidInput: shapes that disagree, no floats, numbers above 0.
        InvalidDistribution: NaN, or an answer of probability 0.

    Example:
        >>> import torch
        >>> x = torch.tensor([-4.0])
        >>> PreferenceBatch(x, x - 1, x, x).swapped().chosen.tolist()
        [-5.0]
    """

    chosen: Shaped[Tensor, "..."]
    rejected: Shaped[Tensor, "..."]
    reference_chosen: Shaped[Tensor, "..."]
    reference_rejected: Shaped[Tensor, "..."]
    over_tokens: str = "sum"

    def __post_init__(self) -> None:
        if self.over_tokens not in ("sum", "mean"):
            raise InvalidInput(
                f"over_tokens {self.over_tokens!r}: give 'sum' or 'mean'"
            )
        shape = self.chosen.shape
        if len(shape) != 1:
            raise InvalidInput(f"chosen has shape {tuple(shape)}: give one a pair")
        for name in ("chosen", "rejected", "reference_chosen", "reference_rejected"):
            given = getattr(self, name)
            if given.shape != shape:
                raise InvalidInput(
                    f"{name} has shape {tuple(given.shape)}, chosen {tuple(shape)}: "
                    "give one of each a pair"
                )
            object.__setattr__(self, name, sampled_logp(name, given))
        for name in ("reference_chosen", "reference_rejected"):
            object.__setattr__(self, name, getattr(self, name).detach())

    def swapped(self) -> PreferenceBatch:
        """The same pairs, preferred the other way round."""
        return PreferenceBatch(
            self.rejected,
            self.chosen,
            self.reference_rejected,
            self.reference_chosen,
            self.over_tokens,
        )


def preference_gaps(
    batch: PreferenceBatch, *, form: PreferenceForm | None = None
) -> Float[Tensor, " pairs"]:
    """h of every pair: how much more the policy has moved towards the chosen answer.

    Args:
        batch: the pairs.
        form: of which only the divergence and its alpha matter here.

    Returns:
        [pairs], of any sign, 0 where the policy is the reference; in nats for the
        reverse KL.

    Raises:
        InvalidInput: the policy has moved so far that exp overflows.

    Example:
        >>> import torch
        >>> x = torch.tensor([-4.0])
        >>> preference_gaps(PreferenceBatch(x, x - 1, x, x)).tolist()
        [1.0]

    Source: Wang et al. (2024), Beyond Reverse KL, theorem 1.
    """
    form = form or PreferenceForm()
    chosen, rejected = _scores(batch, form)
    return chosen - rejected


def preference_losses(
    batch: PreferenceBatch,
    *,
    beta: float | int = 0.1,
    form: PreferenceForm | None = None,
) -> Float[Tensor, " pairs"]:
    """The loss of every pair.

    Args:
        batch: the pairs.
        beta: how near the policy is held to the reference, at least 0.
        form: which loss; without one the sigmoid with the reverse KL, plain DPO.

    Returns:
        At least 0, [pairs].

    Raises:
        InvalidInput: a beta below 0, or 0 for ``ipo``, which diverges there; a loss
            too large for a number; or as `preference_gaps`.

    Example:
        >>> import torch
        >>> x = torch.tensor([-4.0])
        >>> same = PreferenceBatch(x, x, x, x)
        >>> for name in PREFERENCE_LOSSES:
        ...     loss = preference_losses(same, beta=0.5, form=PreferenceForm(name))
        ...     print(name, round(loss.item(), 4))
        sigmoid 0.6931
        hinge 1.0
        ipo 1.0
    """
    form = form or PreferenceForm()
    beta = check_positive("beta", beta, zero=True)
    gaps = preference_gaps(batch, form=form)
    found = PREFERENCE_LOSSES[form.loss](gaps, beta, float(form.label_smoothing))
    odd = ~found.isfinite()
    if bool(odd.any()):
        raise InvalidInput(
            f"pair {place(odd)}: the gap is {float(gaps.detach()[odd][0]):.4g}, too "
            f"far for the loss {form.loss} with beta {beta:g} in {found.dtype}"
        )
    return found


def preference_loss(
    batch: PreferenceBatch,
    *,
    beta: float | int = 0.1,
    form: PreferenceForm | None = None,
) -> Float[Tensor, ""]:
    """The mean of `preference_losses`: one number to train with.

    Its gradient with respect to log π of the chosen answer, for the sigmoid without
    smoothing, is -β σ(-βh) a pair, and the opposite for the rejected one.

    Args:
        batch, beta, form: as for `preference_losses`.

    Raises:
        InvalidInput: as `preference_losses`.

    Example:
        >>> import torch
        >>> x = torch.tensor([-4.0, -7.0])
        >>> round(preference_loss(PreferenceBatch(x, x - 1, x, x), beta=1).item(), 4)
        0.3133

    Source: Rafailov et al. (2023), equation 7.
    """
    return preference_losses(batch, beta=beta, form=form).mean()


def reward_margins(
    batch: PreferenceBatch,
    *,
    beta: float | int = 0.1,
    form: PreferenceForm | None = None,
) -> Float[Tensor, " pairs"]:
    """β·h: the implicit reward of the chosen answer minus that of the rejected one.

    Args:
        batch, beta, form: as for `preference_losses`.

    Raises:
        InvalidInput: as `preference_losses`.

    Example:
        >>> import torch
        >>> x = torch.tensor([-4.0])
        >>> reward_margins(PreferenceBatch(x, x - 1, x, x), beta=0.5).tolist()
        [0.5]

    Source: Rafailov et al. (2023), section 4.
    """
    return check_positive("beta", beta, zero=True) * preference_gaps(batch, form=form)


def _scores(batch: PreferenceBatch, form: PreferenceForm) -> tuple[Tensor, Tensor]:
    derivative, found = PREFERENCE_DIVERGENCES[form.divergence], []
    for name in ("chosen", "rejected"):
        log_u = getattr(batch, name) - getattr(batch, f"reference_{name}")
        score = derivative(log_u, float(form.alpha or 0.0))
        odd = ~score.isfinite()
        if bool(odd.any()):
            raise InvalidInput(
                f"{name}, pair {place(odd)}: log(π/ref) is "
                f"{float(log_u.detach()[odd][0]):.4g}, too far for the divergence "
                f"{form.divergence} in {log_u.dtype}; use reverse_kl, or means over "
                "tokens"
            )
        found.append(score)
    return found[0], found[1]
