"""Does preferring people's text raise the margin, and what becomes of calibration?

A small transformer over bytes of Shakespeare goes on from a stretch of the play; what
Shakespeare wrote is preferred to that. Trained on such pairs by DPO at several beta,
and for comparison on Shakespeare's continuations alone; told of passages apart are the
margin of other pairs, the bits per byte, and whether the next byte comes as often as
the network is sure. Writes ``results/preference_runs.json`` and
``docs/losses-preference.svg``.

    python experiments/preference.py [--quick] [--work DIR] [--out FILE] [--figure FILE]

What is finished is kept in the folder (``build/losses`` unless named): the same command
goes on where it was stopped. The reference data are beside the checkout
(``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from _calibration_telling import told, write
from _losses_figures import Line, Options, options, panels_figure
from _losses_network import (
    ByteNetwork,
    Fit,
    Kept,
    Shape,
    base_network,
    log_loss,
    optimised,
    over_seeds,
    rows_of,
    settings_of,
    text_parts,
    windows,
)
from torch import Tensor

from nescio import Outcomes, expected_calibration_error
from nescio.training import (
    PreferenceBatch,
    answer_logp,
    mean_reward_margin,
    preference_gaps,
    preference_loss,
    reward_accuracy,
    token_logp,
)

BETAS = (0.03, 0.1, 0.3, 1.0)
ALONE = "chosen text alone"
BEFORE = "before"
UNITS = {
    "bits_per_byte": "bits/byte",
    "mean_gap": "nats",
    "chosen_logp": "nats",
    "rejected_logp": "nats",
}


@dataclass(frozen=True)
class Size:
    """How much is run."""

    shape: Shape
    fit: Fit
    tuning: Fit
    prompt: int
    pairs: int
    judged_pairs: int
    judged_rows: int
    seeds: int


FULL = Size(Shape(64, 2), Fit(1000), Fit(60, 32, 5e-4), 32, 1024, 256, 400, 5)
QUICK = Size(Shape(32, 1), Fit(60), Fit(5, 8, 5e-4), 32, 32, 16, 40, 2)


@dataclass(frozen=True)
class Pairs:
    """The same prompts gone on with by Shakespeare and by the network."""

    chosen: Tensor
    rejected: Tensor
    prompt: int

    def logp(self, network: ByteNetwork, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Of the whole answers, under a network."""
        chosen, rejected = self.chosen[rows], self.rejected[rows]
        ids = torch.cat([chosen, rejected])
        logits = network(ids)[:, self.prompt - 1 : -1]
        both = answer_logp(token_logp(logits, ids[:, self.prompt :]))
        return both[: len(chosen)], both[len(chosen) :]


def pairs_of(
    base: ByteNetwork, text: Tensor, count: int, prompt: int, source: torch.Generator
) -> Pairs:
    whole = base.shape.context
    chosen = windows(text, count, whole, source)
    drawn = base.draw(chosen[:, :prompt], whole - prompt, source)
    return Pairs(chosen, drawn, prompt)


def tuned(base: ByteNetwork, size: Size, arm: str, seed: int) -> dict[str, Any]:
    """One network trained on pairs, and what is told of it."""
    learning, judging = text_parts()
    source = torch.Generator().manual_seed(seed)
    pairs = pairs_of(base, learning, size.pairs, size.prompt, source)
    apart = pairs_of(base, judging, size.judged_pairs, size.prompt, source)
    network = base.like()
    with torch.no_grad():
        reference = pairs.logp(base, slice(None))

    def loss_at(_step: int) -> Tensor:
        rows = torch.randperm(size.pairs, generator=source)[: size.tuning.batch]
        ours = pairs.logp(network, rows)
        if arm == ALONE:
            return -ours[0].mean() / (pairs.chosen.shape[1] - size.prompt)
        batch = PreferenceBatch(*ours, *(one[rows] for one in reference))
        return preference_loss(batch, beta=float(arm))

    if arm != BEFORE:
        optimised(network, size.tuning, loss_at)
    return judged(network, base, apart, size)


@torch.no_grad()
def judged(
    network: ByteNetwork, base: ByteNetwork, pairs: Pairs, size: Size
) -> dict[str, Any]:
    """Margins of pairs apart, and how the next byte of other text is foretold."""
    _, judging = text_parts()
    batch = PreferenceBatch(
        *pairs.logp(network, slice(None)), *pairs.logp(base, slice(None))
    )
    gaps = preference_gaps(batch)
    accuracy, margin = reward_accuracy(batch), mean_reward_margin(batch, beta=1)
    found = {
        "mean_gap": float(gaps.mean()),
        "reward_accuracy": accuracy.value,
        "chosen_logp": float((batch.chosen - batch.reference_chosen).mean()),
        "rejected_logp": float((batch.rejected - batch.reference_rejected).mean()),
    }
    ids = rows_of(judging, base.shape.context, size.judged_rows)
    logits = network(ids)
    top, which = logits[:, :-1].softmax(-1).max(-1)
    right = which == ids[:, 1:]
    outcomes = Outcomes(
        top.double().clamp(max=1.0).flatten().numpy(), right.flatten().numpy()
    )
    error = expected_calibration_error(outcomes, resamples=200)
    found |= {
        "bits_per_byte": float(log_loss(logits, ids).mean()) / math.log(2),
        "expected_calibration_error": error.value,
        "accuracy": float(right.double().mean()),
        "mean_confidence": float(top.double().mean()),
    }
    return {
        "values": found,
        "one seed": {one.name: told(one) for one in (margin, accuracy, error)},
    }


def summed_up(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Each arm over its seeds, and what changed since before."""
    result: dict[str, Any] = {}
    for arm, seeds in runs.items():
        values, changes = {}, {}
        for name in seeds[0]["values"]:
            column = [one["values"][name] for one in seeds]
            since = [one["values"][name] for one in runs[BEFORE]]
            unit = UNITS.get(name, "1")
            values[name] = told(over_seeds(name, column, unit))
            change = [a - b for a, b in zip(column, since, strict=True)]
            changes[name] = told(over_seeds(f"{name}_change", change, unit))
        result[arm] = {
            "after": values,
            "change": changes,
            "one seed": seeds[0]["one seed"],
        }
    return result


def every_run(size: Size, kept: Kept, work: Path) -> dict[str, list[dict[str, Any]]]:
    base = base_network(size.shape, size.fit, work)
    return {
        arm: [
            kept.made(
                f"{arm}, seed {seed}".replace(" ", "_"),
                lambda a=arm, s=seed: tuned(base, size, a, s),
            )
            for seed in range(size.seeds)
        ]
        for arm in (BEFORE, ALONE, *map(str, BETAS))
    }


def figure(result: dict[str, Any], given: Options) -> None:
    """Three measures by beta, with the network before and the text alone as levels."""
    panels: dict[str, list[Line]] = {}
    titles = {
        "mean_gap": "gap of pairs apart, nats",
        "bits_per_byte": "bits per byte",
        "expected_calibration_error": "calibration error",
    }
    for name, title in titles.items():
        lines = [
            Line(
                label,
                list(BETAS),
                *(
                    [result[arm]["after"][name][key] for arm in arms]
                    for key in ("value", "low", "high")
                ),
            )
            for label, arms in (
                ("DPO", [str(beta) for beta in BETAS]),
                (BEFORE, [BEFORE] * len(BETAS)),
                (ALONE, [ALONE] * len(BETAS)),
            )
        ]
        panels[title] = lines
    panels_figure(panels, ("β",) * 3, given.figure, logarithmic=list(panels))


def main() -> None:
    """Read the options, run, write."""
    given = options(__doc__, "preference")
    size = QUICK if given.quick else FULL
    kept = Kept(given.work, "preference", settings_of(size))
    result = summed_up(every_run(size, kept, given.work))
    write(
        given.out,
        result,
        size=asdict(size),
        betas=list(BETAS),
        seeds=list(range(size.seeds)),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    figure(result, given)


if __name__ == "__main__":
    main()
