"""Every rule with every way to weigh, scored on what members said of some texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from _calibration_telling import told

from nescio import Estimate
from nescio.ensemble.member_scores import MemberScores, rule_logp
from nescio.ensemble.mixing import ProductLoss
from nescio.ensemble.rules import contrasted
from nescio.ensemble.weighting import LEARNED, Weighting, fit_weights, prompt_weights
from nescio.outcome import Recipe
from nescio.uncertainty.bootstrap import bootstrap_rows, ratio_of_means

LEAD = 64  # bytes of each document that are a prompt and not judged
TEMPERATURE = 0.25  # bits a byte, of weights from a prompt
STRENGTH = 0.5
FIXED = ("power:0.5", "min", "max", "switch")
RESAMPLES = 2000
_POPULATION = "documents like these"


@dataclass(frozen=True)
class Judged:
    """Documents that rules are judged on.

    Args:
        whole: what the members said of them.
        names: of the members.
        better: the member that did better where weights were learned.
    """

    whole: MemberScores
    names: tuple[str, ...]
    better: int

    @property
    def rest(self) -> MemberScores:
        """Without the prompts."""
        return self.whole.behind(LEAD)

    @property
    def lead(self) -> np.ndarray:
        """What members gave the prompts, [documents, members]."""
        first = self.whole.by_document(self.whole.own)
        return first - self.rest.by_document(self.rest.own)


def learned(scores: MemberScores) -> dict[str, Weighting]:
    """Weights of every rule that has them, and of the product with a free power."""
    rest = scores.behind(LEAD)
    found = {
        rule: fit_weights(scores if rule == "posterior" else rest, rule)
        for rule in LEARNED
    }
    found["product, free power"] = fit_weights(rest, "product", tempered=True)
    return found


def weighting_told(found: Weighting) -> dict[str, Any]:
    return {
        "weights": [told(one) for one in found.limits],
        "power": found.power,
        "converged": found.converged,
        "iterations": found.iterations,
        "gap": found.gap,
        "bits_per_byte_before": found.before,
        "bits_per_byte_after": found.after,
        "saved_on_documents_left_out": None if not found.saved else told(found.saved),
    }


def losses(
    judged: Judged, fits: Mapping[str, Mapping[str, Weighting]]
) -> dict[str, np.ndarray]:
    """Bits of every judged byte under every member, rule and way to weigh."""
    rest, lead = judged.rest, judged.lead
    equal = [1.0] * rest.members
    found = {f"{name} alone": rest.own[:, i] for i, name in enumerate(judged.names)}
    for rule in (*LEARNED, *FIXED):
        found[f"{rule}, equal"] = rule_logp(rest, rule, equal, lead=lead)
    for rule in (*LEARNED, "power:0.5"):
        found[f"{rule}, by prompt"] = _by_prompt(judged, rule)
    for source, weightings in fits.items():
        for name, one in weightings.items():
            if name in LEARNED:
                logp = rule_logp(rest, name, one.weights, lead=lead)
            else:
                logp = -ProductLoss(rest).losses(np.array(one.weights))
            found[f"{name}, learned on {source}"] = logp
    for strong in range(rest.members):
        weak = (strong + 1) % rest.members
        name = f"{judged.names[strong]} less {STRENGTH} {judged.names[weak]}"
        found[f"contrast, {name}"] = _contrast(rest, strong, weak)
    return {name: -logp / math.log(2) for name, logp in found.items()}


def _by_prompt(judged: Judged, rule: str) -> np.ndarray:
    """Each document with the weights that its own first bytes give."""
    bits = -judged.lead / math.log(2) / LEAD
    rest, found = judged.rest, []
    for number, row in enumerate(bits):
        one = rest.only(rest.document == number)
        weights = prompt_weights(row.tolist(), temperature=TEMPERATURE)
        lead = judged.lead[number : number + 1]
        found.append(rule_logp(one, rule, weights, lead=lead))
    return np.concatenate(found)


def _contrast(scores: MemberScores, strong: int, weak: int) -> np.ndarray:
    logp = scores.logp.astype(np.float64)
    row = contrasted(logp[:, strong], logp[:, strong], logp[:, weak], strength=STRENGTH)
    return row[np.arange(len(row)), scores.symbols]


def estimates(judged: Judged, bits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Bits a byte of each, and less those of the better member, over documents."""
    rest = judged.rest
    count = rest.by_document(np.ones(len(rest.symbols)))
    better = bits[f"{judged.names[judged.better]} alone"]
    found = {}
    for name, one in bits.items():
        own = rest.by_document(one)
        gap = rest.by_document(one - better)
        found[name] = {
            "bits_per_byte": told(_ratio("bits_per_byte", own, count)),
            "less_better_member": told(_ratio("bits_less_better_member", gap, count)),
        }
    return found


def _ratio(name: str, above: np.ndarray, below: np.ndarray) -> Estimate:
    rows = np.stack([above, below], axis=1)
    interval = bootstrap_rows(rows, ratio_of_means, resamples=RESAMPLES)
    value = float(above.sum() / below.sum())
    return Estimate(
        name,
        value,
        "bits/byte",
        len(rows),
        "confidence",
        _POPULATION,
        Recipe(name, {"prompt_bytes": LEAD, **interval.settings}),
        min(interval.low, value),
        max(interval.high, value),
        interval.level,
    )
