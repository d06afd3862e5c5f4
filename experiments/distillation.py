"""Is a student nearer its teacher than hard labels bring it, and by which temperature?

A small transformer over bytes learns 40 kB of Shakespeare: from the bytes alone, from a
larger network of the same kind that has read far more, at four temperatures, and from
smollm2, whose tokens it does not share, by the next byte wherever one of smollm2's
tokens ends. Told of passages apart are the KL from both teachers and the bits per byte.
Writes ``results/distillation_runs.json`` and ``docs/losses-distillation.svg``.

    python experiments/distillation.py [--quick] [--work DIR] [--out FILE]
        [--figure FILE]

What is finished is kept in the folder (``build/losses`` unless named): the same command
goes on where it was stopped. The reference data are beside the checkout
(``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from _calibration_telling import told, write
from _losses_figures import Line, Options, options, panels_figure
from _losses_network import (
    BYTES,
    ByteNetwork,
    Fit,
    Kept,
    Shape,
    fitted,
    log_loss,
    optimised,
    over_seeds,
    rows_of,
    settings_of,
    text_parts,
)
from _precision import usual_precision
from torch import Tensor

from nescio.training import Distillation, distillation_loss, forward_kl

TEMPERATURES = (1, 2, 4, 8)
HARD, SMOLLM2 = "hard labels alone", "smollm2 by bytes"
ALPHA = 0.9
SPECIFICATION = f"smollm2,precision={usual_precision()}"
CHUNK = 20  # rows that smollm2 reads at once
UNITS = {"bits_per_byte": "bits/byte"}


@dataclass(frozen=True)
class Size:
    """How much is run."""

    teacher: Shape
    taught: Fit
    student: Shape
    learning: Fit
    bytes: int
    judged_bytes: int
    seeds: int


FULL = Size(Shape(128, 3), Fit(500), Shape(48, 2), Fit(150), 40_000, 16_000, 5)
QUICK = Size(Shape(48, 1), Fit(20), Shape(32, 1), Fit(5), 2560, 1280, 2)


@dataclass(frozen=True)
class Lessons:
    """Rows of bytes and what both teachers say of each byte after the first.

    ``told`` is True where one of smollm2's tokens begins.
    """

    ids: Tensor
    taught: Tensor
    smollm2: Tensor
    told: Tensor


def read_by_smollm2(model: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Its rows over the next byte, the end left out, and where it has any."""
    from nescio.evaluation.byte_teaching import taught

    count, size = ids.shape
    rows = torch.zeros(count * size, BYTES)
    told_here = torch.zeros(count * size, dtype=torch.bool)
    for begin in range(0, count, CHUNK):
        text = bytes(ids[begin : begin + CHUNK].flatten().tolist())
        lesson = taught(model, text, np.arange(len(text) + 1))
        where = begin * size + lesson.alignment.boundaries[:-1]
        rows[where] = lesson.next_bytes[:, :BYTES].log_softmax(-1).float()
        told_here[where] = True
    return rows.view(count, size, BYTES)[:, 1:], told_here.view(count, size)[:, 1:]


def lessons_of(ids: Tensor, teacher: ByteNetwork, kept: Kept, name: str) -> Lessons:
    def read() -> dict[str, Tensor]:
        import nescio

        rows, where = read_by_smollm2(nescio.load(SPECIFICATION), ids)
        return {"rows": rows.contiguous(), "told": where.contiguous()}

    found = kept.tensors(f"smollm2_{name}", read)
    with torch.no_grad():
        parts = [teacher(part)[:, :-1] for part in ids.split(64)]
    return Lessons(ids, torch.cat(parts), found["rows"], found["told"])


def loss_of(network: ByteNetwork, lessons: Lessons, rows: Tensor, arm: str) -> Tensor:
    ids = lessons.ids[rows]
    whole, targets = network(ids), ids[:, 1:]
    logits = whole[:, :-1]
    if arm == HARD:
        return log_loss(whole, ids).mean()
    if arm != SMOLLM2:
        how = Distillation(float(arm), ALPHA)
        return distillation_loss(logits, lessons.taught[rows], targets, how=how)
    # Hard labels where none of its tokens begins.
    where = lessons.told[rows]
    soft = distillation_loss(
        logits[where],
        lessons.smollm2[rows][where],
        targets[where],
        how=Distillation(1, ALPHA),
    )
    hard = log_loss(whole, ids)[~where].mean()
    share = where.double().mean()
    return share * soft + (1 - share) * hard


def learnt(size: Size, arm: str, seed: int, lessons: tuple[Lessons, Lessons]) -> Any:
    """One student, and what is told of it."""
    learning, judging = lessons
    source = torch.Generator().manual_seed(seed)
    network = ByteNetwork(size.student, seed)

    def loss_at(_step: int) -> Tensor:
        count = size.learning.batch
        rows = torch.randint(len(learning.ids), (count,), generator=source)
        return loss_of(network, learning, rows, arm)

    optimised(network, size.learning, loss_at)
    return judged(network, judging)


@torch.no_grad()
def judged(network: ByteNetwork, lessons: Lessons) -> dict[str, float]:
    """Bits per byte, and nats from each teacher."""
    logits = network(lessons.ids)
    where = lessons.told
    return {
        "bits_per_byte": float(log_loss(logits, lessons.ids).mean()) / math.log(2),
        "kl_from_teacher": float(forward_kl(logits[:, :-1], lessons.taught).mean()),
        "kl_from_smollm2": float(
            forward_kl(logits[:, :-1][where], lessons.smollm2[where]).mean()
        ),
    }


def summed_up(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Each arm over its seeds, and what it has less than hard labels."""
    result: dict[str, Any] = {}
    for arm, seeds in runs.items():
        values, less = {}, {}
        for name in seeds[0]:
            column = [one[name] for one in seeds]
            hard = [one[name] for one in runs[HARD]]
            unit = UNITS.get(name, "nats")
            values[name] = told(over_seeds(name, column, unit))
            gap = [a - b for a, b in zip(column, hard, strict=True)]
            less[name] = told(over_seeds(f"{name}_less_hard", gap, unit))
        result[arm] = {"after": values, "less hard labels": less}
    return result


def every_run(size: Size, kept: Kept) -> dict[str, Any]:
    learning, judging = text_parts()
    # The teacher reads the first half, and the students' stretch is not in it.
    half = learning[: len(learning) // 2]
    teacher = kept.network(
        "teacher", size.teacher, lambda: fitted(size.teacher, size.taught, half, 0)
    )
    context = size.student.context
    texts = {
        "learning": learning[-size.bytes :],
        "judging": judging[: size.judged_bytes],
    }
    lessons = [
        lessons_of(rows_of(text, context), teacher, kept, name)
        for name, text in texts.items()
    ]
    arms = (HARD, *map(str, TEMPERATURES), SMOLLM2)
    runs = {
        arm: [
            kept.made(
                f"{arm}, seed {seed}".replace(" ", "_"),
                lambda a=arm, s=seed: learnt(size, a, s, (lessons[0], lessons[1])),
            )
            for seed in range(size.seeds)
        ]
        for arm in arms
    }
    found = summed_up(runs)
    ids = lessons[1].ids
    with torch.no_grad():
        bits = float(log_loss(teacher(ids), ids).mean()) / math.log(2)
    sizes = {
        "teacher": teacher.size(),
        "student": ByteNetwork(size.student, 0).size(),
    }
    return {
        "arms": found,
        "teacher": {"bits_per_byte": bits, "parameters": sizes["teacher"]},
        "student": {"parameters": sizes["student"]},
        "share of bytes where a token of smollm2 begins": float(
            lessons[1].told.double().mean()
        ),
    }


def figure(result: dict[str, Any], given: Options) -> None:
    """Three measures by temperature, with hard labels and smollm2 as levels."""
    panels: dict[str, list[Line]] = {}
    titles = {
        "kl_from_teacher": "KL from the teacher, nats",
        "kl_from_smollm2": "KL from smollm2, nats",
        "bits_per_byte": "bits per byte",
    }
    every = len(TEMPERATURES)
    for name, title in titles.items():
        panels[title] = [
            Line(
                label,
                list(map(float, TEMPERATURES)),
                *(
                    [result["arms"][arm]["after"][name][key] for arm in arms]
                    for key in ("value", "low", "high")
                ),
            )
            for label, arms in (
                ("teacher of bytes", list(map(str, TEMPERATURES))),
                (HARD, [HARD] * every),
                (SMOLLM2, [SMOLLM2] * every),
            )
        ]
    panels_figure(panels, ("temperature",) * 3, given.figure, logarithmic=list(panels))


def main() -> None:
    """Read the options, run, write."""
    given = options(__doc__, "distillation")
    size = QUICK if given.quick else FULL
    kept = Kept(given.work, "distillation", settings_of(size))
    result = every_run(size, kept)
    write(
        given.out,
        result,
        size=asdict(size),
        alpha=ALPHA,
        temperatures=list(TEMPERATURES),
        smollm2=SPECIFICATION,
        seeds=list(range(size.seeds)),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    figure(result, given)


if __name__ == "__main__":
    main()
