"""A divergence of two models a row, and the log-probability of a token, by tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nescio.training.gradients import HeadGradients
from nescio.training.tiled_logp import add_targets, take_targets
from nescio.training.tiles import HeadOf, Running, Tiling, blocks

__all__ = ["Divergence", "Pair"]


@dataclass(frozen=True, eq=False)
class Pair:
    """A student's head and a teacher's, over one vocabulary, and what is asked.

    ``beta`` 0 is the forward KL, 1 the reverse KL. ``targets`` None: no token's
    log-probability is asked for; it is at temperature 1.
    """

    student: HeadOf
    teacher: HeadOf
    beta: float
    temperature: float
    targets: Tensor | None
    tiling: Tiling


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of every row between the passes."""

    student: Running
    teacher: Running
    hard: Running  # the student at temperature 1
    chosen: Tensor
    mean: Tensor  # of what the gradient is centred by


class Divergence(torch.autograd.Function):
    """hidden, weight, bias → the divergence and the target's logp, both [rows].

    The KLs take one pass over both heads, a mixture two. The teacher is a constant.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  autograd sees tensors only as arguments
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, pair: Pair
    ) -> tuple[Tensor, Tensor]:
        """Values; a few numbers a row are kept."""
        del weight, bias  # those of the student
        with torch.autocast(hidden.device.type, enabled=False):
            values, kept = _forward(pair)
        ours, theirs = pair.student, pair.teacher
        ctx.save_for_backward(
            *(ours.hidden, ours.weight, ours.bias),
            *(theirs.hidden, theirs.weight, theirs.bias),
        )
        ctx.work = (pair, kept)
        logp = kept.chosen
        if pair.targets is not None:
            logp = (kept.chosen - kept.hard.top).sub_(kept.hard.total.log())
        return values, logp

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, soft: Tensor, hard: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Both gradients of the student's logits at once, a tile at a time."""
        pair, kept = ctx.work
        ctx.saved_tensors  # noqa: B018  refuses what was changed in place since
        student = pair.student
        grads = HeadGradients(student, ctx.needs_input_grad)
        with torch.autocast(student.hidden.device.type, enabled=False):
            for tokens in blocks(len(student.weight), pair.tiling.vocabulary):
                ours, theirs = student.tile(tokens), pair.teacher.tile(tokens)
                for rows in blocks(len(student.hidden), pair.tiling.rows):
                    hidden = student.hidden[rows].to(student.dtype)
                    logits = ours.logits(hidden)
                    scaled = ours.exclude(logits / pair.temperature)
                    taught = _taught(pair, theirs, rows)
                    gradient = _soft_gradient(pair, kept, rows, (scaled, taught))
                    gradient *= (soft[rows] / pair.temperature)[:, None]
                    if pair.targets is not None:
                        plain = ours.exclude(scaled.copy_(logits))
                        likely = kept.hard.logp(rows, plain).exp_().neg_()
                        add_targets(likely, pair.targets[rows], tokens)
                        gradient += likely.mul_(hard[rows][:, None])
                    grads.add(rows, ours, ours.back(gradient, logits), hidden)
                grads.end_tile(tokens)
        return (*grads.found(), None)


def _forward(pair: Pair) -> tuple[Tensor, Kept]:
    student, rows = pair.student, len(pair.student.hidden)
    like = student.hidden.new_empty(0, dtype=student.dtype)
    student_run, teacher_run, hard = (Running(rows, like) for _ in range(3))
    zeros = like.new_zeros(rows)
    kept = Kept(student_run, teacher_run, hard, zeros, zeros.clone())
    _first_pass(pair, kept)
    kept.student.check("student")
    kept.teacher.check("teacher")
    if 0 < pair.beta < 1:
        values = _mixture_pass(pair, kept)
    else:
        weighed, other = kept.teacher, kept.student
        if pair.beta == 1:
            weighed, other = other, weighed
        values = other.top - weighed.top + (other.total.log() - weighed.total.log())
        values = (values + weighed.mean()).clamp_(min=0.0)
        kept.mean.copy_(values)
    return values, kept


def _first_pass(pair: Pair, kept: Kept) -> None:
    """Both logsumexps; for a KL the mean gap of the logits as well."""
    for tokens in blocks(len(pair.student.weight), pair.tiling.vocabulary):
        ours, theirs = pair.student.tile(tokens), pair.teacher.tile(tokens)
        for rows in blocks(len(pair.student.hidden), pair.tiling.rows):
            hidden = pair.student.hidden[rows].to(pair.student.dtype)
            logits = ours.exclude(ours.logits(hidden))
            if pair.targets is not None:
                kept.hard.add(rows, logits)
                take_targets(kept.chosen[rows], logits, pair.targets[rows], tokens)
            logits, taught = logits.div_(pair.temperature), _taught(pair, theirs, rows)
            gap = None
            if pair.beta == 0:
                gap = taught - logits
            elif pair.beta == 1:
                gap = logits - taught
            kept.student.add(rows, logits, gap if pair.beta == 1 else None)
            kept.teacher.add(rows, taught, gap if pair.beta == 0 else None)


def _mixture_pass(pair: Pair, kept: Kept) -> Tensor:
    """The generalised divergence; the mean of the gradient is KL(student‖mixture)."""
    values = torch.zeros_like(kept.mean)
    for tokens in blocks(len(pair.student.weight), pair.tiling.vocabulary):
        ours, theirs = pair.student.tile(tokens), pair.teacher.tile(tokens)
        for rows in blocks(len(pair.student.hidden), pair.tiling.rows):
            hidden = pair.student.hidden[rows].to(pair.student.dtype)
            logits = ours.exclude(ours.logits(hidden).div_(pair.temperature))
            logs = kept.student.logp(rows, logits)
            logt = kept.teacher.logp(rows, _taught(pair, theirs, rows))
            mixture = _mixture(logs, logt, pair.beta)
            from_student = _expected(logs, mixture)
            kept.mean[rows] += from_student
            values[rows] += (1 - pair.beta) * from_student
            values[rows] += pair.beta * _expected(logt, mixture)
    return values.clamp_(min=0.0)


def _taught(pair: Pair, tile: Any, rows: slice) -> Tensor:
    hidden = pair.teacher.hidden[rows].to(pair.teacher.dtype)
    return tile.exclude(tile.logits(hidden).div_(pair.temperature))


def _mixture(logs: Tensor, logt: Tensor, beta: float) -> Tensor:
    return torch.logaddexp(logt + math.log(beta), logs + math.log1p(-beta))


def _expected(logp: Tensor, logq: Tensor) -> Tensor:
    """Σ p (log p - log q) of a tile, nothing where p is 0."""
    p = logp.exp()
    return (logp - logq).mul_(p).masked_fill_(p == 0, 0.0).sum(1)


def _soft_gradient(
    pair: Pair, kept: Kept, rows: slice, tile: tuple[Tensor, Tensor]
) -> Tensor:
    """Of the divergence by the scaled logits: see `nescio.training.divergences`."""
    logs, logt = kept.student.logp(rows, tile[0]), kept.teacher.logp(rows, tile[1])
    if pair.beta == 0:
        return logs.exp_().sub_(logt.exp_())
    other = logt if pair.beta == 1 else _mixture(logs, logt, pair.beta)
    s = logs.exp()
    gradient = (logs - other).sub_(kept.mean[rows][:, None]).mul_(s)
    gradient.masked_fill_(s == 0, 0.0)
    return gradient if pair.beta == 1 else gradient.mul_(1 - pair.beta)
