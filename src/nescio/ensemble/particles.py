"""Particles for the global product: whole texts weighted by Π P_i(text)^w_i.

The rule ``product`` multiplies and normalises at every byte. That is another
distribution over texts than the product of the members' text probabilities, normalised
once over all texts: a byte that leads where the members agree on nothing should count
less. Particles are drawn by the local rule and weighted by what it divided by at every
byte; where few carry the weight (an effective sample size below a share of their
number) they are drawn again by weight. The mean weight is an unbiased estimate of Z,
the sum of the product over all texts, whatever the number of particles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import ByteContext, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.prompts import Asked
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.uncertainty.bootstrap import MINIMUM_UNITS, bootstrap_rows

__all__ = ["Particle", "Particles", "Swarm", "draw_particles"]

_SOURCES = (
    "Lew et al. (2023), Sequential Monte Carlo Steering of Large Language Models",
    "Del Moral, Doucet & Jasra (2012), adaptive resampling",
    "Hesterberg (2015), What Teachers Should Know About the Bootstrap",
)


@dataclass(frozen=True)
class Swarm:
    """How particles are drawn.

    Args:
        count: particles in each run.
        runs: independent runs; the interval of Z is over them.
        max_bytes: where a text is cut that has not ended.
        threshold: effective sample size over count below which particles are drawn
            again; 0: never, 1: at every byte where weights differ.
        power: what the weights sum to: Π P_i^(power · w_i).

    Raises:
        InvalidInput: a count below 1, a threshold outside [0, 1], a power that is none.
    """

    count: int = 32
    runs: int = 8
    max_bytes: int = 64
    threshold: float | int = 0.5
    power: float | int = 1.0

    def __post_init__(self) -> None:
        for name in ("count", "runs", "max_bytes"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}: at least 1")
        if not 0.0 <= self.threshold <= 1.0:
            raise InvalidInput(f"threshold is {self.threshold}: a share in [0, 1]")
        if not 0.0 < self.power < math.inf:
            raise InvalidInput(f"power is {self.power}: a number above 0")


@dataclass(frozen=True)
class Particle:
    """A text with its share of all weight.

    Args:
        buffer: its bytes.
        weight: in [0, 1]; those of all particles sum to 1.
        stop: ``eos`` or ``length``.
    """

    buffer: bytes
    weight: float
    stop: Literal["eos", "length"]

    @property
    def text(self) -> str:
        """The same as text; what is no UTF-8 becomes a replacement character."""
        return self.buffer.decode("utf-8", "replace")


@dataclass(frozen=True, eq=False)
class Particles:
    """What some runs found.

    Args:
        texts: the different ones, the heaviest first.
        log_normaliser: log Z, nats, with an interval over the runs.
        run_log_normalisers: of each run, [runs].
        effective: the effective sample size at the end, mean over the runs.
        resampled: how often particles were drawn again, mean over the runs.
    """

    texts: tuple[Particle, ...]
    log_normaliser: Estimate
    run_log_normalisers: Float[np.ndarray, " runs"]
    effective: float
    resampled: float


def draw_particles(
    ensemble: Ensemble,
    prompt: Asked = "",
    *,
    swarm: Swarm | None = None,
    seed: int = 0,
    chat: bool | None = None,
) -> Particles:
    """Texts of the product of whole-text probabilities, with weights.

    A text that has not ended after ``max_bytes`` counts as what the members give its
    bytes, so the target is the product over texts that ended or were cut.

    Args:
        ensemble: of the rule ``product``.
        prompt: as `Ensemble.begin`.
        swarm: how many particles, and when they are drawn again.
        seed: of the draws.
        chat: as `Ensemble.begin`.

    Raises:
        InvalidInput: another rule, a negative seed.
        InvalidDistribution: no text that all members can write was found.
        CapabilityError, ContextOverflow, InvalidText: as `Ensemble.begin`.

    Example:
        >>> from nescio.models.table import read_table
        >>> both = Ensemble((read_table("coin"), read_table("coin")), rule="product")
        >>> found = draw_particles(both, "H", swarm=Swarm(8, max_bytes=3))
        >>> abs(found.log_normaliser.value) < 1e-9, len(found.texts[0].buffer)
        (True, 3)

    Source: Lew et al. (2023); Del Moral, Doucet & Jasra (2012).
    """
    how = swarm or Swarm()
    if ensemble.rule != "product":
        raise InvalidInput(
            f"the rule is {ensemble.rule}: particles are for the product of whole "
            "texts; use rule='product'"
        )
    if seed < 0:
        raise InvalidInput(f"seed is {seed}: a whole number from 0 on")
    context = ensemble.begin(prompt, chat=chat)
    if not all(context.members):
        raise InvalidDistribution(
            "a member cannot write the prompt: no text has a product above 0"
        )
    power = how.power * np.array(ensemble.weights)
    first = _Prefix.of(tuple(context.members), power)
    runs = [
        _Run(tuple(ensemble.members), power, how, np.random.default_rng([seed, number]))
        for number in range(how.runs)
    ]
    for run in runs:
        run.drawn(first)
    return _found(runs, ensemble, how, seed)


@dataclass(frozen=True, eq=False)
class _Prefix:
    """Some bytes, read by every member.

    Args:
        members: their contexts.
        p: what the local product says of the next symbol, [257].
        log_sum: what it was divided by, nats; -inf: nothing can follow.
        text: the bytes.
        ended: whether the text ends here.
    """

    members: tuple[ByteContext, ...]
    p: Float[np.ndarray, " symbols"]
    log_sum: float
    text: bytes = b""
    ended: bool = False

    @staticmethod
    def of(
        members: tuple[Any, ...],
        power: Float[np.ndarray, " members"],
        text: bytes = b"",
    ) -> _Prefix:
        """Where all members stand."""
        logp = np.stack([m.log_masses - m.log_kept for m in members])
        summed = power @ np.where(logp > -np.inf, logp, 0.0)
        summed[(logp == -np.inf).any(axis=0)] = -np.inf
        top = summed.max()
        if top == -np.inf:
            return _Prefix(members, np.zeros(len(summed)), -math.inf, text)
        p = np.exp(summed - top)
        return _Prefix(members, p / p.sum(), float(top + np.log(p.sum())), text)


@dataclass(eq=False)
class _Run:
    """One swarm on its way."""

    views: tuple[ByteView, ...]
    power: Float[np.ndarray, " members"]
    how: Swarm
    rng: np.random.Generator
    prefixes: list[_Prefix] | None = None
    logw: Float[np.ndarray, " particles"] | None = None
    log_z: float = 0.0
    resampled: int = 0

    def drawn(self, first: _Prefix) -> None:
        """All symbols of all particles."""
        count = self.how.count
        now, logw = [first] * count, np.zeros(count)
        for _ in range(self.how.max_bytes):
            open_ = np.array([not one.ended for one in now])
            if not open_.any():
                break
            logw = logw + np.array([0.0 if one.ended else one.log_sum for one in now])
            now, logw = self._selected(now, logw)
            now = self._longer(now, logw)
        top = logw.max()
        if top == -np.inf:
            self.log_z = -math.inf
        else:
            self.log_z += float(top + np.log(np.exp(logw - top).mean()))
        self.prefixes, self.logw = now, logw

    def _selected(
        self, now: list[_Prefix], logw: Float[np.ndarray, " particles"]
    ) -> tuple[list[_Prefix], Float[np.ndarray, " particles"]]:
        """Drawn again by weight, if few carry it."""
        top = logw.max()
        if top == -np.inf:
            return now, logw
        w = np.exp(logw - top)
        if effective(w) >= self.how.threshold * len(w) - 1e-9:
            return now, logw
        self.resampled += 1
        self.log_z += float(top + np.log(w.mean()))
        places = systematic(w, self.rng.random())
        return [now[place] for place in places], np.zeros(len(w))

    def _longer(
        self, now: list[_Prefix], logw: Float[np.ndarray, " particles"]
    ) -> list[_Prefix]:
        """A symbol more for each particle, those of one text read once."""
        chosen: list[tuple[_Prefix, int] | None] = []
        for prefix, weight in zip(now, logw, strict=True):
            goes_on = not prefix.ended and weight > -np.inf
            chosen.append(
                (prefix, int(self.rng.choice(len(prefix.p), p=prefix.p)))
                if goes_on
                else None
            )
        fresh = {(id(one[0]), one[1]): one for one in chosen if one is not None}
        read = dict(zip(fresh, self._read(list(fresh.values())), strict=True))
        return [
            prefix if one is None else read[id(one[0]), one[1]]
            for prefix, one in zip(now, chosen, strict=True)
        ]

    def _read(self, asked: Sequence[tuple[_Prefix, int]]) -> Iterator[_Prefix]:
        open_ = [(prefix, symbol) for prefix, symbol in asked if symbol != END]
        columns = [
            view.extend(
                [prefix.members[number] for prefix, _ in open_],
                [np.array([symbol]) for _, symbol in open_],
            )[0]
            for number, view in enumerate(self.views)
            if open_
        ]
        read = zip(*columns, strict=True)
        for prefix, symbol in asked:
            if symbol == END:
                yield replace(prefix, ended=True)
            else:
                text = prefix.text + bytes([symbol])
                yield _Prefix.of(next(read), self.power, text)


def effective(weights: Float[np.ndarray, " n"]) -> float:
    """The effective sample size (Σ w)² / Σ w², from 1 to n.

    Example:
        >>> effective(np.array([1.0, 1.0, 0.0, 0.0]))
        2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def systematic(
    weights: Float[np.ndarray, " n"], uniform: float
) -> Int[np.ndarray, " n"]:
    """n places, each drawn on average in proportion to its weight.

    Example:
        >>> systematic(np.array([1.0, 3.0]), 0.25).tolist()
        [0, 1]
    """
    count = len(weights)
    reached = np.cumsum(weights) / weights.sum()
    reached[-1] = 1.0
    return np.searchsorted(reached, (np.arange(count) + uniform) / count, side="right")


def _found(
    runs: Sequence[_Run], ensemble: Ensemble, how: Swarm, seed: int
) -> Particles:
    logs = np.array([run.log_z for run in runs])
    top = logs.max()
    if top == -np.inf:
        raise InvalidDistribution(
            f"none of {how.count * how.runs} particles found a text that all members "
            "can write; use more particles, or the rule mean"
        )
    shares = np.exp(logs - top)
    texts: dict[tuple[bytes, bool], float] = {}
    sizes = []
    for run, share in zip(runs, shares, strict=True):
        if run.logw is None or run.prefixes is None or share == 0.0:
            continue
        w = np.exp(run.logw - run.logw.max())
        sizes.append(effective(w))
        for prefix, weight in zip(run.prefixes, share * w / w.sum(), strict=True):
            key = (prefix.text, prefix.ended)
            texts[key] = texts.get(key, 0.0) + float(weight)
    ranked = sorted(texts.items(), key=lambda item: -item[1])
    return Particles(
        tuple(
            Particle(text, weight / shares.sum(), "eos" if ended else "length")
            for (text, ended), weight in ranked
            if weight > 0.0
        ),
        _log_normaliser(logs, ensemble, how, seed),
        logs,
        float(np.mean(sizes)),
        float(np.mean([run.resampled for run in runs])),
    )


def _log_normaliser(
    logs: Float[np.ndarray, " runs"], ensemble: Ensemble, how: Swarm, seed: int
) -> Estimate:
    """log of the mean of the runs' Z, with limits from runs drawn anew."""
    top = float(logs.max())
    shares = np.exp(logs - top)
    value = top + math.log(float(shares.mean()))
    settings: dict[str, Any] = {
        "ensemble": ensemble.name,
        "weights": list(ensemble.weights or ()),
        "power": how.power,
        "particles": how.count,
        "runs": how.runs,
        "max_bytes": how.max_bytes,
        "threshold": how.threshold,
        "seed": seed,
    }
    low = high = level = None
    if len(logs) >= MINIMUM_UNITS:
        interval = bootstrap_rows(shares[:, None], _log_mean, seed=seed)
        level = interval.level
        low = min(value, top + interval.low)
        high = max(value, top + interval.high)
        settings |= {"interval": dict(interval.settings)}
    return Estimate(
        "log_normaliser",
        value,
        "nats",
        len(logs),
        "confidence",
        "independent runs of the sampler",
        Recipe("draw_particles", settings, _SOURCES),
        low,
        high,
        level,
    )


def _log_mean(means: Float[np.ndarray, "resamples columns"]) -> np.ndarray:
    return np.log(np.maximum(means[:, 0], 1e-300))
