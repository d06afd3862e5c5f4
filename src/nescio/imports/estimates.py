"""What can be said in numbers of an imported file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nescio.errors import InvalidInput, NotEnoughData
from nescio.imports.imported import Imported, Mark, Scored
from nescio.information import summary
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    bootstrap_rows,
    ratio_of_means,
    share_interval,
)

__all__ = ["accuracy", "estimates_of"]

_PROMPT = SEGMENTS.index("prompt")
Estimates = Mapping[str, Estimate]
Groups = dict[str, dict[str, dict[str, Estimate]]]


@dataclass(frozen=True)
class _How:
    """The interval that was asked for."""

    level: float
    seed: int
    resamples: int = 2000


def estimates_of(
    found: Imported, *, level: float = 0.95, seed: int = 0
) -> tuple[dict[str, Estimate], Groups]:
    """Every estimate that an imported file allows, and those of its parts.

    Surprisal and entropy of the answers that have traces, of one model; else of the
    prompts, where only those are scored. Several answers to an item are resampled
    together, for they depend on one another; where there is one item, its answers are.
    Bits per byte of documents of which totals are stored. Accuracy, if one metric or
    scorer says what is right.

    Args:
        found: what `import_file` gave.
        level: the coverage that intervals aim at, in (0, 1).
        seed: of the bootstrap.

    Returns:
        Estimates by name; and groups, ``{"model" | "segment" | "scorer": {value:
        estimates}}``, where there are several models, scored prompts beside answers,
        or several scorers.

    Example:
        >>> marks = [Mark(str(i), None, "match", i > 1) for i in range(10)]
        >>> whole, groups = estimates_of(Imported("inspect", marks=tuple(marks)))
        >>> round(whole["accuracy"].value, 2), groups
        (0.8, {})
    """
    how, groups = _How(level, seed), {}
    whole = _of_traces(found, how, groups)
    documents = [one for one in found.scored if one.context is None and one.text]
    if documents and "bits_per_byte" not in whole:
        whole["bits_per_byte"] = _documents(documents, how)
    names = list(dict.fromkeys(mark.name for mark in found.marks))
    by_name = {
        name: accuracy([m for m in found.marks if m.name == name], level=level)
        for name in names
    }
    if len(names) == 1:
        whole["accuracy"] = by_name[names[0]]
    elif names:
        groups["scorer"] = {name: {"accuracy": by_name[name]} for name in names}
    return whole, groups


def _of_traces(found: Imported, how: _How, groups: Groups) -> dict[str, Estimate]:
    """Measures of the traces; several models and scored prompts go to the groups."""
    by_model: dict[str, dict[str, list[Trace]]] = {}
    for item, samples in found.samples:
        for trace in (a.trace for a in samples.answers if a.trace is not None):
            by_item = by_model.setdefault(trace.origin.model, {})
            by_item.setdefault(item, []).append(trace)
    several = {}
    for model, by_item in by_model.items():
        answers = _summary(_units(list(by_item.values())), how)
        each = [trace for traces in by_item.values() for trace in traces]
        prompts = _summary(_scored_prompts(each), how)
        if answers and prompts:
            groups.setdefault("segment", {})[_named("prompt", model, by_model)] = (
                prompts
            )
        several[model] = answers or prompts
    if len(several) == 1:
        return next(iter(several.values()))
    if several:
        groups["model"] = several
    return {}


def _units(by_item: Sequence[Sequence[Trace]]) -> list[Trace]:
    """What is drawn independently: items, with all their draws; of one item, draws."""
    if len(by_item) == 1:
        return list(by_item[0])
    return [joined(traces) for traces in by_item]


def _named(segment: str, model: str, models: Mapping[str, object]) -> str:
    return segment if len(models) == 1 else f"{segment}, {model}"


def joined(traces: Sequence[Trace]) -> Trace:
    """Traces one after the other as one, with what sums over tokens need alone."""
    first = traces[0]
    if len(traces) == 1:
        return first
    starts = np.cumsum([0, *(len(trace.buffer) for trace in traces)])
    ends = [t.offsets[1:] + s for t, s in zip(traces, starts[:-1], strict=True)]

    def row(name: str) -> Any:
        return np.concatenate([getattr(trace, name) for trace in traces])

    return Trace(
        buffer=b"".join(trace.buffer for trace in traces),
        offsets=np.concatenate([[0], *ends]).astype(np.int64),
        token_ids=None,
        segment=row("segment"),
        scored=row("scored"),
        context_used=row("context_used"),
        logp=row("logp"),
        origin=first.origin,
        entropy_low=row("entropy_low"),
        entropy_high=row("entropy_high"),
    )


def _scored_prompts(traces: Sequence[Trace]) -> list[Trace]:
    """The scored prompts, each once, however many answers it has."""
    found: list[Trace] = []
    texts: set[tuple[bytes, ...]] = set()
    for trace in traces:
        mine = np.flatnonzero(trace.scored & (trace.segment == _PROMPT))
        spelled = tuple(trace.token_bytes(token) for token in mine)
        if spelled and spelled not in texts:
            texts.add(spelled)
            found.append(_prompt_alone(trace))
    return found


def _prompt_alone(trace: Trace) -> Trace:
    """A trace of which only the prompt counts, as the text that was scored."""
    counts = trace.scored & (trace.segment == _PROMPT)
    segment = np.where(counts, SEGMENTS.index("completion"), SEGMENTS.index("template"))
    return replace(trace, segment=segment.astype(np.int8))


def _summary(traces: Sequence[Trace], how: _How) -> dict[str, Estimate]:
    """Measures of what counts in the traces; empty where nothing does."""
    completion = SEGMENTS.index("completion")
    if not any((t.scored & (t.segment == completion)).any() for t in traces):
        return {}
    return summary(list(traces), level=how.level, seed=how.seed)


def _documents(documents: Sequence[Scored], how: _How) -> Estimate:
    """Bits per byte of documents scored as a whole: sum over sum."""
    rows = np.array(
        [[-d.logp / math.log(2.0), len(d.text.encode())] for d in documents]
    )
    bits, size = math.fsum(rows[:, 0]), math.fsum(rows[:, 1])
    estimate = Estimate(
        "bits_per_byte",
        bits / size,
        "bits/byte",
        len(rows),
        "confidence",
        "documents like these",
        Recipe("bits_per_byte", {"documents": len(rows), "bytes": int(size)}),
        n_clusters=len(rows),
    )
    if math.isinf(bits):
        return _without(estimate, "a document was impossible under the model")
    if len(rows) < MINIMUM_UNITS:
        return _without(estimate, f"{len(rows)} documents are too few")
    options = {"level": how.level, "resamples": how.resamples, "seed": how.seed}
    try:
        interval = bootstrap_rows(rows, ratio_of_means, **options)
    except NotEnoughData as error:
        return _without(estimate, str(error))
    return _with(replace(estimate), interval, low=0.0)


def accuracy(marks: Sequence[Mark], *, level: float = 0.95) -> Estimate:
    """The share of right answers, as one metric or scorer has it.

    Args:
        marks: of one metric or scorer; an item may have several draws, which belong
            together.
        level: the coverage the interval aims at, in (0, 1).

    Returns:
        In [0, 1]. Wilson's interval; where items have several marks, for the number of
        independent ones that would know the share as well, of 5 items at least.

    Raises:
        InvalidInput: no marks, or those of several scorers.

    Example:
        >>> print(accuracy([Mark(str(i), 0, "match", i < 8) for i in range(10)]))
        accuracy 0.80 [0.49, 0.94] (95 % for questions like these)

    Source: Wilson (1927); Korn & Graubard (1998) for the effective number.
    """
    names = {mark.name for mark in marks}
    if len(names) != 1:
        raise InvalidInput(f"accuracy is that of one metric or scorer, not {names}")
    right = np.array([float(mark.correct) for mark in marks])
    items = [mark.item for mark in marks]
    estimate = Estimate(
        "accuracy",
        float(right.mean()),
        "1",
        len(right),
        "confidence",
        "questions like these",
        Recipe("accuracy", {"scorer": marks[0].name}, ("Wilson (1927)",)),
        n_clusters=len(set(items)) if len(set(items)) < len(items) else None,
    )
    if estimate.n_clusters is None:
        return _with(estimate, share_interval(right, level=level))
    if estimate.n_clusters < MINIMUM_UNITS:
        return _without(estimate, f"{estimate.n_clusters} questions are too few")
    return _with(estimate, share_interval(right, clusters=items, level=level))


def _with(
    estimate: Estimate,
    interval: Interval,
    *,
    low: float = -math.inf,
    high: float = math.inf,
) -> Estimate:
    recipe = estimate.recipe
    settings = {**recipe.settings, **interval.settings}
    return replace(
        estimate,
        low=max(low, interval.low),
        high=min(high, interval.high),
        level=interval.level,
        recipe=replace(recipe, settings=settings),
    )


def _without(estimate: Estimate, reason: str) -> Estimate:
    population = f"{estimate.population}; no interval: {reason}"
    return replace(estimate, population=population)
