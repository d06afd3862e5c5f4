"""Scores of translations against those of people, and weights by likelihood."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from _calibration_telling import told
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nescio import Estimate
from nescio.ensemble.rules import RULES
from nescio.errors import InvalidDistribution
from nescio.outcome.estimate import Recipe
from nescio.uncertainty.bootstrap import bootstrap_rows, bootstrap_weights

POPULATION = "sentences like these, of these programs' catalogues"
SEED, RESAMPLES = 0, 1000
GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
COARSE = tuple(
    (a / 10, b / 10, (10 - a - b) / 10)
    for a, b in itertools.product(range(1, 9), repeat=2)
    if a + b < 10
)


def metrics() -> dict[str, Any]:
    """BLEU and chrF of sacrebleu, by their names here."""
    return {"bleu": BLEU(), "chrf": CHRF()}


class Judge:
    """References, and the sums that scores of any of their subsets come from."""

    def __init__(self, references: Sequence[str]) -> None:
        self.references = list(references)
        self.metrics = metrics()

    def sums(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """For each metric what a sentence adds, [sentences, counts]."""
        found = {}
        for name, metric in self.metrics.items():
            rows = metric._extract_corpus_statistics(list(texts), [self.references])
            found[name] = np.array(rows, dtype=np.float64)
        return found

    def score(self, name: str, sums: np.ndarray) -> float:
        """The score of summed counts, 0 to 100."""
        metric = self.metrics[name]
        return float(metric._compute_score_from_stats(sums.tolist()).score)

    def recipe(self, name: str, **settings: Any) -> Recipe:
        self.metrics[name].corpus_score(self.references[:1], [self.references[:1]])
        signature = str(self.metrics[name].get_signature())
        return Recipe(
            name,
            {"signature": signature, **settings},
            ("Post (2018), sacreBLEU",),
        )

    def estimate(
        self, name: str, sums: np.ndarray, than: np.ndarray | None
    ) -> Estimate:
        """The score, or how much higher it is than another's of the same sentences."""

        def values(counts: np.ndarray) -> np.ndarray:
            found = [self.score(name, row) for row in counts @ sums]
            if than is None:
                return np.array(found)
            other = [self.score(name, row) for row in counts @ than]
            return np.array(found) - np.array(other)

        n = len(sums)
        interval = bootstrap_weights(n, values, resamples=RESAMPLES, seed=SEED)
        return Estimate(
            name if than is None else f"{name}_difference",
            float(values(np.ones((1, n)))[0]),
            unit="points",
            n=n,
            low=interval.low,
            high=interval.high,
            level=interval.level,
            kind="confidence",
            population=POPULATION,
            recipe=self.recipe(name, **interval.settings),
        )


def scores(
    judge: Judge, systems: Mapping[str, Sequence[str]], best: Sequence[str]
) -> Any:
    """Every system's scores, and the differences from the better member.

    Args:
        judge: with the references.
        systems: the translations of each.
        best: the systems that are one member; the one of the highest chrF is the
            better member.
    """
    sums = {name: judge.sums(texts) for name, texts in systems.items()}
    chrf = {name: judge.score("chrf", sums[name]["chrf"].sum(axis=0)) for name in best}
    better = max(chrf, key=lambda name: chrf[name])
    found = {}
    for name, own in sums.items():
        found[name] = {
            metric: told(judge.estimate(metric, own[metric], None)) for metric in own
        }
        if name != better:
            found[name] |= {
                f"{metric}_difference": told(
                    judge.estimate(metric, own[metric], sums[better][metric])
                )
                for metric in own
            }
    return {"better_member": better, "systems": found}


def least_risk(candidates: Sequence[str]) -> str:
    """The candidate whose mean chrF against the others as references is highest.

    A candidate that several systems found counts as often as it was found.
    """
    metric = CHRF()
    different = list(dict.fromkeys(candidates))
    counts = [candidates.count(text) for text in different]
    gains = [
        sum(
            count * metric.sentence_score(text, [other]).score
            for other, count in zip(different, counts, strict=True)
        )
        for text in different
    ]
    return different[int(np.argmax(gains))]


def nats(
    rows: Sequence[Mapping[str, Any]], rule: str, weights: Sequence[float]
) -> np.ndarray:
    """What each text costs under a rule, nats; inf where it cannot be written.

    Members that the weights have none for are left out.
    """
    found, number = [], len(weights)
    for text in rows:
        logp = text["logp"][:, :number].astype(np.float64)
        symbols = text["symbols"]
        own = np.take_along_axis(logp, symbols[:, None, None], axis=2)[..., 0]
        here = np.isfinite(logp).any(axis=2)
        logw = np.broadcast_to(np.log(weights), own.shape).copy()
        if rule == "posterior":
            before = np.zeros_like(own)
            before[1:] = np.cumsum(own, axis=0)[:-1]
            logw += before
        logw[~here] = -np.inf
        if not np.isfinite(logw).any(axis=1).all():  # all of them have left
            found.append(np.inf)
            continue
        shares = np.exp(logw - logw.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        try:
            joint = RULES["mean" if rule == "posterior" else rule](logp, shares)
        except InvalidDistribution:  # under the product: nothing in common
            found.append(np.inf)
            continue
        found.append(-joint[np.arange(len(symbols)), symbols].sum())
    return np.array(found)


def chosen_weights(rows: Sequence[Mapping[str, Any]], rule: str, members: int) -> Any:
    """Of a grid of weights those under which the texts cost least, with that cost."""
    grid = [(w, round(1.0 - w, 2)) for w in GRID] if members == 2 else COARSE
    if rule == "switch":
        grid = [(1.0 / members,) * members]
    sizes = sum(len(text["symbols"]) - 1 for text in rows)
    costs = [float(nats(rows, rule, weights).sum()) for weights in grid]
    place = int(np.argmin(costs))
    return {
        "weights": list(grid[place]),
        "bits_per_byte": costs[place] / math.log(2.0) / sizes,
    }


def bits_per_byte(
    cost: np.ndarray, sizes: np.ndarray, than: np.ndarray | None = None
) -> Any:
    """Bits for each byte of the references, or how many fewer than another's."""
    bits = (cost if than is None else cost - than) / math.log(2.0)
    columns = np.stack([bits, sizes.astype(float)], axis=1)

    def ratio(means: np.ndarray) -> np.ndarray:
        return means[:, 0] / means[:, 1]

    interval = bootstrap_rows(columns, ratio, resamples=RESAMPLES, seed=SEED)
    return told(
        Estimate(
            "bits_per_byte" if than is None else "bits_per_byte_difference",
            float(bits.sum() / sizes.sum()),
            unit="bits/byte",
            n=len(cost),
            low=interval.low,
            high=interval.high,
            level=interval.level,
            kind="confidence",
            population=POPULATION,
            recipe=Recipe("bits_per_byte", dict(interval.settings)),
        )
    )
