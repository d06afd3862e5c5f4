"""Does a policy without a KL penalty run away, and which penalty holds it?

A small transformer over bytes of Shakespeare is rewarded for every "e" among the bytes
it goes on with, by policy gradient, without a penalty and with each of five: k1 in the
reward, k1, k2 and k3 of each token as a loss, and the exact full-vocabulary KL with
what a token does to later ones. Told are reward and KL to the network it began as, step
by step and at the end, where k1, k2 and k3 are set beside the exact KL as estimates.
Writes ``results/policy_runs.json`` and ``docs/losses-policy.svg``.

    python experiments/policy.py [--quick] [--work DIR] [--out FILE] [--figure FILE]

What is finished is kept in the folder (``build/losses`` unless named): the same command
goes on where it was stopped. The reference data are beside the checkout
(``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
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
    over_seeds,
    settings_of,
    text_parts,
    windows,
)
from torch import Tensor

from nescio.training import (
    exact_kl,
    exact_kl_loss,
    kl_loss,
    log_ratio_to_go,
    sampled_kl,
    token_logp,
)

REWARDED = ord("e")
PENALTIES = (
    "none",
    "k1 in the reward",
    "k1 as a loss",
    "k2 as a loss",
    "k3 as a loss",
    "exact",
)


@dataclass(frozen=True)
class Size:
    """How much is run."""

    shape: Shape
    fit: Fit
    steps: int
    batch: int
    prompt: int
    length: int
    seeds: int
    drawn: int
    rate: float = 5e-4
    beta: float = 1.0


FULL = Size(
    Shape(64, 2),
    Fit(1000),
    50,
    48,
    prompt=16,
    length=24,
    seeds=5,
    drawn=256,
)
QUICK = Size(Shape(32, 1), Fit(60), 6, 16, prompt=16, length=24, seeds=2, drawn=32)


@dataclass(frozen=True)
class Drawn:
    """What the policy drew, and what it and its reference think of it."""

    chosen: Tensor
    logits: Tensor
    taught: Tensor
    logp: Tensor
    reference: Tensor

    def reward(self) -> Tensor:
        return (self.chosen == REWARDED).float()


def drawn_by(
    policy: ByteNetwork, base: ByteNetwork, prompts: Tensor, length: int, source: Any
) -> Drawn:
    ids = policy.draw(prompts, length, source)
    rows = slice(prompts.shape[1] - 1, -1)
    chosen = ids[:, prompts.shape[1] :]
    logits = policy(ids)[:, rows]
    with torch.no_grad():
        taught = base(ids)[:, rows]
        reference = token_logp(taught, chosen)
    return Drawn(chosen, logits, taught, token_logp(logits, chosen), reference)


def loss_of(one: Drawn, penalty: str, beta: float) -> Tensor:
    """Policy gradient with reward to go, less the others' mean, and the penalty."""
    to_go = one.reward().flip(1).cumsum(1).flip(1)
    if penalty == "k1 in the reward":
        to_go = to_go - beta * log_ratio_to_go(one.logp.detach(), one.reference)
    count = len(to_go)
    advantage = (to_go - to_go.mean(0)) * count / (count - 1)
    loss = -(one.logp * advantage).sum(1).mean()
    if penalty == "exact":
        divergence = exact_kl(one.logits, one.taught)
        return loss + beta * exact_kl_loss(one.logp, divergence)
    if penalty.endswith("as a loss"):
        estimator = penalty[:2]
        options = {"estimator": estimator, "over": "sequence"}
        return loss + beta * kl_loss(one.logp, one.reference, **options)
    return loss


def trained(base: ByteNetwork, size: Size, penalty: str, seed: int) -> dict[str, Any]:
    """One policy: its course, and what it draws at the end."""
    learning, judging = text_parts()
    policy, source = base.like(), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), lr=size.rate)
    course: dict[str, list[float]] = {"reward": [], "kl": []}
    for _ in range(size.steps):
        prompts = windows(learning, size.batch, size.prompt, source)
        one = drawn_by(policy, base, prompts, size.length, source)
        course["reward"].append(float(one.reward().mean()))
        with torch.no_grad():
            divergence = exact_kl(one.logits, one.taught).sum(1).mean()
        course["kl"].append(float(divergence))
        optimiser.zero_grad()
        loss_of(one, penalty, size.beta).backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
    # The same prompts for every penalty of a seed.
    apart = torch.Generator().manual_seed(seed + 10_000)
    prompts = windows(judging, size.drawn, size.prompt, apart)
    with torch.no_grad():
        one = drawn_by(policy, base, prompts, size.length, apart)
    return {"course": course, "end": ended(one), "texts": texts_of(one.chosen[:3])}


def ended(one: Drawn) -> dict[str, float]:
    """The reward, the exact KL and its estimates, nats a sequence."""
    found = {
        "reward": float(one.reward().mean()),
        "kl": float(exact_kl(one.logits, one.taught).sum(1).mean()),
    }
    for name in ("k1", "k2", "k3"):
        values = sampled_kl(one.logp, one.reference, estimator=name)
        found[name] = float(values.sum(1).mean())
    return found


def texts_of(rows: Tensor) -> list[str]:
    return [bytes(row.tolist()).decode("ascii", "replace") for row in rows]


def summed_up(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Each penalty over its seeds, and how it differs from none."""
    units = {"reward": "1"}
    result: dict[str, Any] = {}
    for penalty, seeds in runs.items():
        ends = {name: [one["end"][name] for one in seeds] for name in seeds[0]["end"]}
        estimates = {
            name: told(over_seeds(name, values, units.get(name, "nats/sequence")))
            for name, values in ends.items()
        }
        plain = [one["end"] for one in runs["none"]]
        less = {
            name: told(
                over_seeds(
                    f"{name}_less_none",
                    [a - b[name] for a, b in zip(ends[name], plain, strict=True)],
                    units.get(name, "nats/sequence"),
                )
            )
            for name in ("reward", "kl")
        }
        result[penalty] = {
            "end": estimates,
            "less none": less,
            "course": {
                name: course_of([one["course"][name] for one in seeds])
                for name in ("reward", "kl")
            },
            "texts": seeds[0]["texts"],
        }
    return result


def course_of(seeds: Sequence[Sequence[float]]) -> dict[str, list[float | None]]:
    """Step by step: the mean over seeds and its limits."""
    steps = [over_seeds("mean", values, "1") for values in zip(*seeds, strict=True)]
    return {
        name: [getattr(one, name) for one in steps] for name in ("value", "low", "high")
    }


def figure(result: dict[str, Any], given: Options) -> None:
    """Reward and KL by step, and one against the other."""
    steps = range(len(result["none"]["course"]["kl"]["value"]))
    panels: dict[str, list[Line]] = {"share of e": [], "KL, nats a sequence": []}
    for penalty, one in result.items():
        for title, name in zip(panels, ("reward", "kl"), strict=True):
            course = one["course"][name]
            panels[title].append(
                Line(
                    penalty, list(steps), course["value"], course["low"], course["high"]
                )
            )
    last = "share of e by KL at the end"
    panels[last] = [
        Line(
            penalty,
            [one["end"]["kl"]["value"]],
            [one["end"]["reward"]["value"]],
            [one["end"]["reward"]["low"]],
            [one["end"]["reward"]["high"]],
        )
        for penalty, one in result.items()
    ]
    below = ("step", "step", "KL, nats a sequence")
    panels_figure(panels, below, given.figure, logarithmic=[last])


def every_run(size: Size, kept: Kept, work: Path) -> dict[str, list[dict[str, Any]]]:
    base = base_network(size.shape, size.fit, work)
    return {
        penalty: [
            kept.made(
                f"{penalty}, seed {seed}".replace(" ", "_"),
                lambda p=penalty, s=seed: trained(base, size, p, s),
            )
            for seed in range(size.seeds)
        ]
        for penalty in PENALTIES
    }


def main() -> None:
    """Read the options, run, write."""
    given = options(__doc__, "policy")
    size = QUICK if given.quick else FULL
    kept = Kept(given.work, "policy", settings_of(size))
    result = summed_up(every_run(size, kept, given.work))
    write(
        given.out,
        result,
        size=asdict(size),
        rewarded="e",
        seeds=list(range(size.seeds)),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    figure(result, given)


if __name__ == "__main__":
    main()
