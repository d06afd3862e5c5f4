"""What one usually writes with torch for the statistics and draws of the kernel."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812

__all__ = ["DRAWS", "usual_pairs", "usual_rows"]


def usual_rows(
    logits: torch.Tensor, targets: torch.Tensor, top: int
) -> tuple[torch.Tensor, ...]:
    logp = torch.log_softmax(logits.float(), dim=-1)
    p = logp.exp()
    entropy = -(p * logp).sum(-1)
    varentropy = (p * (logp + entropy[:, None]) ** 2).sum(-1)
    chosen = logp.gather(1, targets[:, None])[:, 0]
    rank = 1 + (logits > logits.gather(1, targets[:, None])).sum(-1)
    best = logp.topk(top, dim=-1)
    return entropy, varentropy, chosen, rank, best.values, best.indices


def usual_pairs(p: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, ...]:
    p_logp, q_logp = torch.log_softmax(p, -1), torch.log_softmax(q, -1)
    middle = ((p_logp.exp() + q_logp.exp()) / 2).log()

    def divergence(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return F.kl_div(other, one, reduction="none", log_target=True).sum(-1)

    js = (divergence(p_logp, middle) + divergence(q_logp, middle)) / 2
    same = p.argmax(-1) == q.argmax(-1)
    return divergence(p_logp, q_logp), divergence(q_logp, p_logp), js, same


def drawn(scores: torch.Tensor) -> torch.Tensor:
    return torch.multinomial(torch.softmax(scores, -1), 1)


def top_p(scores: torch.Tensor, mass: float) -> torch.Tensor:
    ordered, ids = scores.sort(descending=False, dim=-1)
    remove = ordered.softmax(-1).cumsum(-1) <= 1 - mass
    remove[:, -1:] = False
    return scores.masked_fill(remove.scatter(1, ids, remove), -torch.inf)


def top_k(scores: torch.Tensor, count: int) -> torch.Tensor:
    least = scores.topk(count, dim=-1).values[:, -1:]
    return scores.masked_fill(scores < least, -torch.inf)


def min_p(scores: torch.Tensor, share: float) -> torch.Tensor:
    p = scores.softmax(-1)
    return scores.masked_fill(p < share * p.amax(-1, keepdim=True), -torch.inf)


def typical_p(scores: torch.Tensor, mass: float) -> torch.Tensor:
    logp = scores.log_softmax(-1)
    entropy = -(logp.exp() * logp).nansum(-1, keepdim=True)
    ids = (-logp - entropy).abs().sort(dim=-1).indices
    reached = scores.gather(-1, ids).softmax(-1).cumsum(-1)
    last = (reached < mass).sum(-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
    distance = (-logp - entropy).abs()
    farthest = distance.gather(-1, ids.gather(-1, last))
    return scores.masked_fill(distance > farthest, -torch.inf)


DRAWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "temperature 1": drawn,
    "temperature .7, top_p .9": lambda scores: drawn(top_p(scores / 0.7, 0.9)),
    "top_k 50": lambda scores: drawn(top_k(scores, 50)),
    "min_p .05": lambda scores: drawn(min_p(scores, 0.05)),
    "typical_p .95": lambda scores: drawn(typical_p(scores, 0.95)),
}
