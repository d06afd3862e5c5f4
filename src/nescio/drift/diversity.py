"""How much the answers of a set differ from each other: beams, samples, groups.

Every measure takes the answers to one prompt as sequences of units (words, characters
or tokens). Longer texts have more different n-grams and repeat more: so all answers of
a set are cut to the length of the shortest unless asked otherwise. Beams begin alike
and part late: measured over what follows their common beginning they differ more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from nescio.drift.diversity_measures import DIVERSITY_MEASURES, AnswerSet, Kernel
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.strings import words_of
from nescio.trace import Sample, Samples
from nescio.trace.trace import SEGMENTS
from nescio.uncertainty import MINIMUM_UNITS, bootstrap_rows

__all__ = ["Cut", "answer_set", "diversity"]

Unit = Literal["words", "characters", "tokens"]


@dataclass(frozen=True)
class Cut:
    """What of each answer counts, and in which units.

    Args:
        unit: ``words`` as `nescio.strings.words_of` finds them, ``characters``, or the
            model's ``tokens`` (answers with traces; control tokens are left out).
        truncate: cut all answers of a set to the length of its shortest.
        suffix: leave out the beginning that all answers of a set share.
        n: the length of n-grams; of Self-BLEU the longest.
        kernel: of the Vendi score.

    Raises:
        InvalidInput: an unknown unit or kernel, an n below 1.
    """

    unit: Unit = "words"
    truncate: bool = True
    suffix: bool = False
    n: int = 2
    kernel: Kernel = "cosine"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("unit", self.unit, get_args(Unit)),
            ("kernel", self.kernel, get_args(Kernel)),
        ):
            if value not in known:
                raise InvalidInput(f"{name} is {value!r}; one of {list(known)}")
        if self.n < 1:
            raise InvalidInput(f"n-grams have an n of at least 1, not {self.n}")


def diversity(
    sets: Sequence[Samples] | Sequence[Sequence[str]],
    *,
    measures: Sequence[str] | None = None,
    cut: Cut | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every measure of diversity, averaged over prompts.

    Args:
        sets: the answers to each prompt, at least two to each.
        measures: names of `DIVERSITY_MEASURES`; None: all that can be had (the
            entropy of a set needs log-probabilities).
        cut: what of each answer counts.
        level, resamples, seed: of intervals over prompts; none below 5 of them. One
            prompt alone is exact for its answers.

    Returns:
        By name. Sets in which a measure is not defined (answers too short for an
        n-gram) are left out of its mean; ``n`` and the recipe say how many.

    Raises:
        InvalidInput: no sets, an unknown measure, answers without what it needs.
        NotEnoughData: a set of one answer; a measure that no set has.

    Example:
        >>> found = diversity([["a b c", "a b d"]], cut=Cut(n=1))
        >>> round(found["distinct_n"].value, 4), found["compression_ratio"].unit
        (0.6667, '1')
        >>> round(found["pairwise_edit_distance"].value, 4)
        0.3333

    Source: see the measures.
    """
    how = cut or Cut()
    if isinstance(sets, Samples | str) or not sets:
        raise InvalidInput("give a list of the answers to each prompt, at least one")
    prepared = [answer_set(one, how, number) for number, one in enumerate(sets)]
    names = list(DIVERSITY_MEASURES) if measures is None else list(measures)
    if unknown := [name for name in names if name not in DIVERSITY_MEASURES]:
        raise InvalidInput(f"unknown {unknown}: of {list(DIVERSITY_MEASURES)}")
    if all(one.logp is None for one in prepared) and measures is None:
        names.remove("set_entropy")
    settings = asdict(how) | {"resamples": resamples, "seed": seed}
    return {
        name: _estimate(name, prepared, how, settings, level=level) for name in names
    }


def answer_set(
    answers: Samples | Sequence[str], cut: Cut, number: int = 0
) -> AnswerSet:
    """The answers to one prompt as sequences, cut as asked.

    Raises:
        InvalidInput: tokens of answers without traces.
        NotEnoughData: one answer.

    Example:
        >>> answer_set(["a b c", "a d"], Cut(suffix=True)).sequences
        ((b'b',), (b'd',))
    """
    given = answers if isinstance(answers, Samples) else Samples.of("", list(answers))
    if len(given) < 2:
        raise NotEnoughData(f"prompt {number} has one answer: it differs from nothing")
    sequences = [_units(sample, cut.unit, number) for sample in given.answers]
    if cut.suffix:
        begin = _common(sequences)
        sequences = [sequence[begin:] for sequence in sequences]
    if cut.truncate:
        shortest = min(map(len, sequences))
        sequences = [sequence[:shortest] for sequence in sequences]
    return AnswerSet(
        tuple(sequences), b" " if cut.unit == "words" else b"", *_weights(given)
    )


def _units(sample: Sample, unit: Unit, number: int) -> tuple[bytes, ...]:
    if unit == "words":
        return tuple(w.encode("utf-8", "surrogatepass") for w in words_of(sample.text))
    if unit == "characters":
        return tuple(c.encode("utf-8", "surrogatepass") for c in sample.text)
    trace = sample.trace
    if trace is None:
        raise InvalidInput(
            f"an answer to prompt {number} has no trace: choose words or characters"
        )
    mine = np.flatnonzero(trace.segment == SEGMENTS.index("completion")).tolist()
    return tuple(trace.token_bytes(i) for i in mine if i not in trace.labels)


def _common(sequences: Sequence[Sequence[bytes]]) -> int:
    """How many units all sequences begin with alike."""
    length = 0
    for column in zip(*sequences, strict=False):
        if len(set(column)) > 1:
            break
        length += 1
    return length


def _weights(
    given: Samples,
) -> tuple[tuple[object, ...], tuple[float, ...] | None]:
    """What tells answers apart, and their log-probabilities, if all have one."""
    keys: list[object] = []
    for sample in given.answers:
        trace = sample.trace
        if trace is None or trace.token_ids is None:
            keys.append(sample.text)
        else:
            mine = trace.segment == SEGMENTS.index("completion")
            keys.append(tuple(trace.token_ids[mine].tolist()))
    logp = [sample.total_logp for sample in given.answers]
    known = [one for one in logp if one is not None]
    return tuple(keys), tuple(known) if len(known) == len(logp) else None


def _estimate(
    name: str,
    prepared: Sequence[AnswerSet],
    cut: Cut,
    settings: Mapping[str, Any],
    *,
    level: float,
) -> Estimate:
    measure = DIVERSITY_MEASURES[name]
    single = [measure.of_set(one, cut.n, cut.kernel) for one in prepared]
    kept = np.array([value for value in single if value is not None])
    if not len(kept):
        raise NotEnoughData(
            f"{name}: in no set are the answers long enough; cut them otherwise"
        )
    recipe = Recipe(
        "diversity", {**settings, "left_out": len(single) - len(kept)}, measure.sources
    )
    value, low, high = float(kept.mean()), None, None
    if len(prepared) == 1:
        return Estimate(name, value, measure.unit, 1, "exact", "these answers", recipe)
    population = "prompts like these"
    if len(kept) < MINIMUM_UNITS:
        population += f"; no interval below {MINIMUM_UNITS} of them"
    else:
        found = bootstrap_rows(
            kept[:, None],
            level=level,
            resamples=settings["resamples"],
            seed=settings["seed"],
        )
        low, high = found.low, found.high
    return Estimate(
        name,
        value,
        measure.unit,
        len(kept),
        "confidence",
        population,
        recipe,
        low,
        high,
        None if low is None else level,
    )
