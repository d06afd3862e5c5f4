"""Where the samples of a question part: the entropy of what they say next.

All samples start together. At every step those that still agree go on along the unit
(a token, a word) most of them say next; the others leave. The entropy over the next
unit of the samples that are still there stands beside the model's own entropy at that
place, where traces tell it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.answers import Answers
from nescio.consistency.choices import check_choice
from nescio.consistency.redraws import HOW, REDRAWS, SOURCES, redrawn_limits
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.trace import Samples, Trace
from nescio.trace.trace import SEGMENTS
from nescio.uncertainty.interval import check_request
from nescio.visible import visible_bytes

__all__ = ["Divergence", "Parting", "Unit", "divergence"]

Unit = Literal["token", "word", "character"]

_END = ""  # what is said next where a sample ends
_SOURCES = ("Shannon (1948), section 6, of the shares of the samples", *SOURCES)
# Writing without spaces between words: Thai to Burmese, Khmer, kana, Chinese characters
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_LETTER = re.compile(r"[^\W\d_]")
_LOOKED_AT = 2000  # characters of each text that say what script it is in


@dataclass(frozen=True)
class Parting:
    """One step along the path that most samples go.

    Args:
        text: the unit most samples say next; empty: they end here.
        samples: how many are still together before this unit.
        branches: what they say next and how many do, most first; ``""``: the end.
        entropy: of the next unit over these samples, in nats.
        model_entropy: the model's own at this place, in nats; None: not known.
    """

    text: str
    samples: int
    branches: Mapping[str, int]
    entropy: Estimate
    model_entropy: float | None = None


@dataclass(frozen=True)
class Divergence:
    """Where samples part, step by step.

    Args:
        unit: ``token`` where every sample has a trace, else ``word`` or ``character``.
        steps: along the path that most samples go, until one is left or all have ended.
        shown: steps beyond these were cut; the number of all steps.
    """

    unit: Unit
    steps: tuple[Parting, ...]
    shown: int


def divergence(
    samples: Answers | Samples | Sequence[str],
    *,
    unit: Unit | None = None,
    most: int = 200,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Divergence:
    """Where the samples of a question part, and over how many ways.

    Of several next units that equally many samples say the path goes along the first
    in the order of code points, and goes on rather than ends: the order of the samples
    does not matter. A sample that was cut off (its trace stopped by ``length``) leaves
    where it stops and counts as no end.

    Args:
        samples: of one question, at least 2.
        unit: ``token`` (every sample needs a trace), ``word`` (between white space) or
            ``character``; None: tokens where every sample has a trace, else words, and
            characters where most letters are of a script without spaces.
        most: steps that are looked at in full.
        level: the coverage the intervals aim at, in (0, 1).
        resamples, seed: of the intervals, which are over redraws of the samples that
            are still together.

    Returns:
        At most ``most`` steps; ``shown`` says how many there are. The model's entropy
        is the mean of what the traces of the samples still together say of it.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: no samples, tokens of samples without traces, no steps asked for,
            a level that is none.

    Example:
        >>> found = divergence(["it is 12", "it is 12", "it is 13", "twelve"])
        >>> [(step.text, step.samples, dict(step.branches)) for step in found.steps]
        [('it', 4, {'it': 3, 'twelve': 1}), ('is', 3, {'is': 3}),
        ('12', 3, {'12': 2, '13': 1}), ('', 2, {'': 2})]
        >>> round(found.steps[0].entropy.value, 4)     # of shares 3/4 and 1/4
        0.5623

    Source: Shannon (1948), of the plug-in entropy.
    """
    check_request(level, resamples, seed)
    if most < 1:
        raise InvalidInput(f"most is {most}: at least 1 step is looked at")
    if unit is not None:
        check_choice("unit", unit, get_args(Unit))
    if isinstance(samples, str):
        raise InvalidInput("samples are one text; give a list of answers")
    texts = tuple(samples) if isinstance(samples, Sequence) else samples.texts
    if len(texts) < 2:
        how = "no samples" if not texts else "one sample, which parts from nothing"
        raise NotEnoughData(f"{how}: draw at least 2")
    sequences, unit = _sequences(samples, texts, unit)
    interval = _Intervals(level, resamples, seed, unit)
    steps, count = [], 0
    for step in _steps(sequences):
        count += 1
        if count <= most:
            steps.append(interval.parting(step))
    return Divergence(unit, tuple(steps), count)


@dataclass(frozen=True, eq=False)
class _Sequence:
    """One sample.

    Args:
        units: what it says, in order.
        entropies: the model's before each of them and before the end; shorter or empty
            where they are not known.
        cut: whether it did not end by itself.
    """

    units: Sequence[str]
    entropies: Sequence[float] = ()
    cut: bool = False


@dataclass(frozen=True)
class _Step:
    """One step before it is an estimate."""

    branches: Mapping[str, int]
    model_entropy: float | None


def _sequences(
    samples: Answers | Samples | Sequence[str],
    texts: Sequence[str],
    unit: Unit | None,
) -> tuple[list[_Sequence], Unit]:
    traces = _traces(samples)
    if unit == "token" and traces is None:
        raise InvalidInput(
            "unit is token, and not every sample has a trace: take word or character"
        )
    if traces is not None and unit in (None, "token"):
        return [_of_trace(trace) for trace in traces], "token"
    split: Unit = unit or _unit_of(texts)
    if split == "word":
        return [_Sequence(text.split()) for text in texts], split
    return [_Sequence(text.strip()) for text in texts], split


def _traces(samples: Answers | Samples | Sequence[str]) -> list[Trace] | None:
    """The trace of every sample, or None if one has none."""
    if not isinstance(samples, Samples):
        return None
    found = [sample.trace for sample in samples.answers]
    return [one for one in found if one is not None] if None not in found else None


def _of_trace(trace: Trace) -> _Sequence:
    """The tokens of the answer; one that spells nothing and ends it is the end."""
    tokens = np.flatnonzero(trace.segment == SEGMENTS.index("completion")).tolist()
    units: list[str] = []
    entropies: list[float] = []
    for token in tokens:
        last = token == tokens[-1]
        spelled = _spelled(trace, token)
        if trace.entropy is not None:
            entropies.append(float(trace.entropy[token]))
        if last and not trace.token_bytes(token) and trace.stop == "eos":
            break
        units.append(spelled)
    return _Sequence(units, entropies, cut=trace.stop in ("length", "cancelled"))


def _spelled(trace: Trace, token: int) -> str:
    """What a token spells, in characters where they are whole; never empty."""
    label, raw = trace.labels.get(token), trace.token_bytes(token)
    if label:
        return label
    try:
        return raw.decode("utf-8") or "∅"
    except UnicodeDecodeError:
        return visible_bytes(raw)


def _unit_of(texts: Sequence[str]) -> Unit:
    begins = "".join(text[:_LOOKED_AT] for text in texts)
    without = len(_NO_SPACES.findall(begins))
    return "character" if without * 2 > len(_LETTER.findall(begins)) else "word"


def _steps(sequences: Sequence[_Sequence]) -> Iterator[_Step]:
    """Each step while at least two samples that say something are together."""
    together, place = list(sequences), 0
    while True:
        together = [one for one in together if place < len(one.units) or not one.cut]
        if len(together) < 2:
            return
        said = [_said(one, place) for one in together]
        branches = _ordered(Counter(said))
        chosen = next(iter(branches))
        yield _Step(branches, _mean_entropy(together, place))
        if chosen == _END:
            return
        if len(branches) > 1:
            together = [
                one for one, text in zip(together, said, strict=True) if text == chosen
            ]
        place += 1


def _said(one: _Sequence, place: int) -> str:
    return one.units[place] if place < len(one.units) else _END


def _ordered(branches: Mapping[str, int]) -> dict[str, int]:
    """Most first, the end last of equals: the first is where the path goes on."""
    if len(branches) == 1:
        return dict(branches)
    return dict(sorted(branches.items(), key=lambda at: (-at[1], not at[0], at[0])))


def _mean_entropy(together: Sequence[_Sequence], place: int) -> float | None:
    known = [one.entropies[place] for one in together if place < len(one.entropies)]
    known = [entropy for entropy in known if math.isfinite(entropy)]
    return math.fsum(known) / len(known) if known else None


class _Intervals:
    """Estimates of steps; equal counts, which most steps have, are drawn once."""

    def __init__(self, level: float, resamples: int, seed: int, unit: Unit) -> None:
        self.level, self.resamples, self.seed = level, resamples, seed
        self.settings: dict[str, Any] = {
            "unit": unit,
            "estimator": "plug_in",
            "interval": HOW,
            "resamples": resamples,
            "redraws": REDRAWS,
            "seed": seed,
        }
        self.known: dict[tuple[int, ...], tuple[float, float]] = {}

    def parting(self, step: _Step) -> Parting:
        """The step with its entropy as an estimate."""
        counts = np.array(list(step.branches.values()), dtype=np.int64)
        key, size = tuple(counts.tolist()), int(counts.sum())
        if key not in self.known:
            self.known[key] = redrawn_limits(
                _entropies,
                counts,
                level=self.level,
                resamples=self.resamples,
                seed=self.seed,
            )
        value = float(_entropies(np.append(counts, 0)[None])[0])
        low, high = self.known[key]
        estimate = Estimate(
            "divergence",
            value,
            "nats",
            size,
            "confidence",
            f"redraws of {size} samples from this model that begin like these",
            Recipe("divergence", self.settings, _SOURCES),
            low=min(low, value),
            high=max(high, value),
            level=self.level,
        )
        return Parting(
            next(iter(step.branches)),
            size,
            step.branches,
            estimate,
            step.model_entropy,
        )


def _entropies(drawn: Int[np.ndarray, "draws columns"]) -> Float[np.ndarray, " draws"]:
    """The plug-in entropy of each row; what was not seen, the last, is all different.

    H = log n - Σ c log c / n, and a count of 1 adds nothing to the sum.
    """
    size = drawn.sum(axis=1)
    counts = np.maximum(drawn[:, :-1], 1)
    return np.maximum(np.log(size) - (counts * np.log(counts)).sum(axis=1) / size, 0.0)
