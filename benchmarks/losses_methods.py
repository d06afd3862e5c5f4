"""Losses as one usually writes them with torch, and by tiles: one gradient of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from measuring import Prepared, resident

from nescio.training import (
    ByteSymbols,
    Distillation,
    HiddenRows,
    PreferenceBatch,
    answer_logp,
    forward_kl,
    k2,
    k3,
    next_byte_logp,
    preference_loss,
    tiled_distillation_loss,
    tiled_divergence,
    tiled_exact_kl,
    tiled_next_byte_logp,
    tiled_token_logp,
)

ANSWERS = 4  # two pairs: the rows are cut into this many answers
BETA, ALPHA, TEMPERATURE = 0.1, 0.5, 2.0


@dataclass(frozen=True)
class Work:
    """A student and a teacher: hidden rows, heads, and the right tokens."""

    hidden: torch.Tensor
    weight: torch.Tensor
    taught: torch.Tensor
    teacher: torch.Tensor
    targets: torch.Tensor

    def student_rows(self) -> HiddenRows:
        return HiddenRows(self.hidden, self.weight)

    def teacher_rows(self) -> HiddenRows:
        return HiddenRows(self.taught, self.teacher)


def made(rows: int, vocab: int, width: int) -> Work:
    source = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=source)

    weight = normal(vocab, width) * (2.5 / math.sqrt(width))
    teacher = weight + normal(vocab, width) * (0.5 / math.sqrt(width))
    hidden = normal(rows, width)
    taught = hidden + 0.1 * normal(rows, width)
    targets = torch.randint(vocab, (rows,), generator=source)
    return Work(
        hidden.requires_grad_(), weight.requires_grad_(), taught, teacher, targets
    )


def usual_logits(work: Work) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        taught = work.taught @ work.teacher.T
    return work.hidden @ work.weight.T, taught


def usual_logp(work: Work) -> tuple[torch.Tensor, torch.Tensor]:
    where = work.targets[:, None]
    ours = F.log_softmax(work.hidden @ work.weight.T, -1).gather(1, where)
    with torch.no_grad():
        theirs = F.log_softmax(work.taught @ work.teacher.T, -1).gather(1, where)
    return ours[:, 0], theirs[:, 0]


def tiled_logp(work: Work) -> tuple[torch.Tensor, torch.Tensor]:
    ours = tiled_token_logp(work.student_rows(), work.targets)
    with torch.no_grad():
        theirs = tiled_token_logp(work.teacher_rows(), work.targets)
    return ours, theirs


def pairs(logp: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    ours, theirs = (answer_logp(one.reshape(ANSWERS, -1)) for one in logp)
    return preference_loss(
        PreferenceBatch(ours[::2], ours[1::2], theirs[::2], theirs[1::2]), beta=BETA
    )


def usual_kl(work: Work, *, reverse: bool) -> torch.Tensor:
    logits, taught = usual_logits(work)
    both = F.log_softmax(logits, -1), F.log_softmax(taught, -1)
    one, other = both if reverse else both[::-1]
    return F.kl_div(other, one, log_target=True, reduction="batchmean")


def usual_distillation(work: Work) -> torch.Tensor:
    logits, taught = usual_logits(work)
    soft = F.kl_div(
        F.log_softmax(logits / TEMPERATURE, -1),
        F.log_softmax(taught / TEMPERATURE, -1),
        log_target=True,
        reduction="batchmean",
    )
    hard = F.cross_entropy(logits, work.targets)
    return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * hard


def usual_mixture(work: Work) -> torch.Tensor:
    logits, taught = usual_logits(work)
    s, t = F.log_softmax(logits, -1), F.log_softmax(taught, -1)
    halves = math.log(0.5)
    m = torch.logsumexp(torch.stack([s + halves, t + halves]), 0)
    parts = [F.kl_div(m, x, log_target=True, reduction="batchmean") for x in (s, t)]
    return 0.5 * sum(parts, torch.zeros(()))


def tiled_distillation(work: Work) -> torch.Tensor:
    how = Distillation(TEMPERATURE, ALPHA)
    models = work.student_rows(), work.teacher_rows()
    return tiled_distillation_loss(*models, work.targets, how=how)


def tiled_mixture(work: Work) -> torch.Tensor:
    return tiled_divergence(work.student_rows(), work.teacher_rows(), beta=0.5).mean()


def tiled_kl(work: Work) -> torch.Tensor:
    return tiled_exact_kl(work.student_rows(), work.teacher_rows()).mean()


def symbols_of(vocab: int) -> ByteSymbols:
    return ByteSymbols(torch.arange(vocab) % 257)


def usual_bytes(work: Work) -> torch.Tensor:
    """Rows over bytes of all logits at once, by scatter."""
    logits, taught = usual_logits(work)
    symbols = symbols_of(len(work.weight))
    with torch.no_grad():
        theirs = next_byte_logp(taught, symbols)
    return forward_kl(next_byte_logp(logits, symbols), theirs).mean()


def tiled_bytes(work: Work) -> torch.Tensor:
    symbols = symbols_of(len(work.weight))
    with torch.no_grad():
        theirs = tiled_next_byte_logp(work.teacher_rows(), symbols)
    return forward_kl(tiled_next_byte_logp(work.student_rows(), symbols), theirs).mean()


LOSSES: dict[str, dict[str, Callable[[Work], torch.Tensor]]] = {
    "penalty k2": {
        "plain": lambda work: k2(*usual_logp(work)).mean(),
        "tiled": lambda work: k2(*tiled_logp(work)).mean(),
    },
    "penalty k3": {
        "plain": lambda work: k3(*usual_logp(work)).mean(),
        "tiled": lambda work: k3(*tiled_logp(work)).mean(),
    },
    "penalty exact": {
        "plain": lambda work: usual_kl(work, reverse=True),
        "tiled": tiled_kl,
    },
    "DPO": {
        "plain": lambda work: pairs(usual_logp(work)),
        "tiled": lambda work: pairs(tiled_logp(work)),
    },
    "distillation": {"plain": usual_distillation, "tiled": tiled_distillation},
    "Jensen–Shannon": {"plain": usual_mixture, "tiled": tiled_mixture},
    "next byte": {"plain": usual_bytes, "tiled": tiled_bytes},
}


def prepare(task: dict[str, Any]) -> Prepared:
    """A worker's part: one loss, plain or tiled, and its gradients."""
    torch.set_num_threads(task["threads"])
    work = made(task["rows"], task["vocab"], task["width"])
    loss = LOSSES[task["loss"]][task["form"]]

    def run() -> dict[str, Any]:
        work.hidden.grad = work.weight.grad = None
        value = loss(work)
        value.backward()
        gradient = work.hidden.grad
        if gradient is None:
            raise AssertionError("the loss has a gradient")
        return {"value": value.item(), "gradient": float(gradient.norm())}

    def warm() -> dict[str, Any]:
        first = made(2 * ANSWERS, 64, task["width"])  # libraries load what they need
        loss(first).backward()
        return {"before_bytes": resident("VmRSS")}

    return Prepared(run, warm)
