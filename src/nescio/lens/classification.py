"""Whether signatures tell kinds of texts apart: nearest neighbours beside a dummy.

Every text is judged by a classifier that has not seen it, nor any text of its group.
The dummy always says the commonest kind of the texts it has seen. The p-value is that
of shuffled kinds: how often a classifier fitted and judged in the same way does as
well where there is nothing to find.

What the interval leaves out: the folds share most of the texts they learn from, so it
speaks of new texts judged by these classifiers, not of learning anew from other texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    bootstrap_clusters,
    bootstrap_rows,
    wilson_interval,
)

__all__ = ["Classification", "Neighbours", "classify_signatures"]

_SOURCES = (
    "Ali et al. (2025), Entropy-Lens",
    "Cover & Hart (1967), nearest neighbour pattern classification",
    "Ojala & Garriga (2010), permutation tests for classifier performance",
)


@dataclass(frozen=True)
class Neighbours:
    """How texts are classified and how that is judged.

    Args:
        k: how many neighbours vote, each alike; Euclidean distance.
        folds: of the cross-validation, with the kinds' shares kept.
        standardised: whether each number of a profile is first centred and divided by
            its standard deviation, both taken from the texts learned from.
        permutations: shuffles of the kinds behind the p-value and the null level; its
            smallest value is 1 / (permutations + 1).
        level, resamples, seed: of the intervals; the seed also of folds and shuffles.

    Raises:
        InvalidInput: a number below what makes sense.
    """

    k: int = 5
    folds: int = 5
    standardised: bool = False
    permutations: int = 200
    level: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("k", 1), ("folds", 2), ("permutations", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)}: at least {least} is needed"
                )


@dataclass(frozen=True, eq=False)
class Classification:
    """How well signatures tell kinds of texts apart.

    Args:
        accuracy: share of texts whose kind is told, with its interval; ``null_level``
            is what shuffled kinds give on average, ``p_value`` how often they give as
            much.
        dummy_accuracy: the same of always saying the commonest kind.
        accuracy_gain: the first less the second, paired text by text.
        recall: by kind, the share of its texts that is told.
        predicted: what each text was taken for.
        labels: what each is.
    """

    accuracy: Estimate
    dummy_accuracy: Estimate
    accuracy_gain: Estimate
    recall: dict[str, Estimate] = field(repr=False)
    predicted: tuple[str, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Every number by name."""
        recall = {f"recall: {kind}": one for kind, one in self.recall.items()}
        return {
            "accuracy": self.accuracy,
            "dummy_accuracy": self.dummy_accuracy,
            "accuracy_gain": self.accuracy_gain,
            **recall,
        }


def classify_signatures(
    profiles: Float[np.ndarray, "texts windows layers"],
    labels: Sequence[str],
    *,
    groups: Sequence[Any] | None = None,
    how: Neighbours | None = None,
    described: str = "nats",
) -> Classification:
    """Tell the kind of each text from its signature, by texts that are not it.

    Args:
        profiles: as `signatures` gives them.
        labels: the kind of each text; at least two kinds, each of as many texts (or
            groups) as there are folds.
        groups: texts that belong together (of one document, one question) and so are
            never learned from and judged at once; None: each by itself.
        how: neighbours, folds, shuffles, intervals.
        described: how the profiles were normalised, for the recipe.

    Raises:
        InvalidInput: lengths that disagree, one kind only, numbers that are not
            finite.
        NotEnoughData: a kind with fewer texts than folds, or more neighbours than
            texts to learn from.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> kinds = ["calm", "wild"] * 20
        >>> level = np.array([[1.0, 2.0][kind == "wild"] for kind in kinds])
        >>> profiles = level[:, None, None] + rng.normal(0, 0.1, (40, 1, 6))
        >>> found = classify_signatures(profiles, kinds)
        >>> found.accuracy.value, found.dummy_accuracy.value
        (1.0, 0.5)

    Source: Ali et al. (2025), Entropy-Lens, section 4; Ojala & Garriga (2010), test 1.
    """
    chosen = how or Neighbours()
    kinds, truth = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    owner = None
    if groups is not None:
        _, owner = np.unique(np.array(groups), return_inverse=True)
    flat = profiles.reshape(len(profiles), -1).astype(np.float64)
    _check(flat, truth, owner, chosen=chosen, kinds=kinds)
    found = _judged(flat, truth, owner, how=chosen)
    hits, dummy_hits = found.told == truth, found.dummy == truth
    chance = _by_chance(flat, truth, owner, how=chosen)
    p_value = (1 + int((chance >= hits.mean()).sum())) / (1 + len(chance))
    by_chance = (float(chance.mean()), p_value)
    make = partial(
        _estimate,
        owner=owner,
        how=chosen,
        settings=_settings(profiles, kinds, truth, owner, how=chosen)
        | {"normalised": described},
    )
    return Classification(
        make("accuracy", hits.astype(np.float64), chance=by_chance),
        make("dummy_accuracy", dummy_hits.astype(np.float64)),
        make("accuracy_gain", hits.astype(np.float64) - dummy_hits),
        {
            kind: _recall(kind, hits[truth == number], owner is not None, how=chosen)
            for number, kind in enumerate(kinds.tolist())
        },
        tuple(kinds[found.told].tolist()),
        tuple(kinds[truth].tolist()),
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """The kind each text was taken for, by its neighbours and by the dummy."""

    told: Int[np.ndarray, " texts"]
    dummy: Int[np.ndarray, " texts"]


def _judged(
    flat: Float[np.ndarray, "texts numbers"],
    truth: Int[np.ndarray, " texts"],
    owner: Int[np.ndarray, " texts"] | None,
    *,
    how: Neighbours,
) -> _Judged:
    """Each text by a classifier fitted on the other folds."""
    from sklearn.neighbors import KNeighborsClassifier

    told, dummy = np.full(len(truth), -1), np.full(len(truth), -1)
    for learned, judged in _folds(truth, owner, how=how):
        if not len(judged):
            continue
        if how.k > len(learned):
            raise NotEnoughData(
                f"{how.k} neighbours of {len(learned)} texts to learn from: take fewer"
            )
        known, asked = flat[learned], flat[judged]
        if how.standardised:
            centre, spread = known.mean(axis=0), known.std(axis=0)
            spread[spread == 0.0] = 1.0
            known, asked = (known - centre) / spread, (asked - centre) / spread
        classifier = KNeighborsClassifier(n_neighbors=how.k, algorithm="brute")
        told[judged] = classifier.fit(known, truth[learned]).predict(asked)
        dummy[judged] = int(np.bincount(truth[learned]).argmax())
    return _Judged(told, dummy)


def _folds(
    truth: Int[np.ndarray, " texts"],
    owner: Int[np.ndarray, " texts"] | None,
    *,
    how: Neighbours,
) -> Any:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if owner is None else StratifiedGroupKFold
    cut = kind(n_splits=how.folds, shuffle=True, random_state=how.seed)
    return cut.split(np.zeros(len(truth)), truth, owner)


def _by_chance(
    flat: Float[np.ndarray, "texts numbers"],
    truth: Int[np.ndarray, " texts"],
    owner: Int[np.ndarray, " texts"] | None,
    *,
    how: Neighbours,
) -> Float[np.ndarray, " permutations"]:
    """The accuracy on shuffled kinds, fitted and judged in the same way."""
    from sklearn import config_context

    rng = np.random.default_rng([how.seed, len(truth)])
    found = np.empty(how.permutations)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for number in range(how.permutations):
            shuffled = _shuffled(truth, owner, rng)
            judged = _judged(flat, shuffled, owner, how=how)
            found[number] = (judged.told == shuffled).mean()
    return found


def _shuffled(
    truth: Int[np.ndarray, " texts"],
    owner: Int[np.ndarray, " texts"] | None,
    rng: np.random.Generator,
) -> Int[np.ndarray, " texts"]:
    """Kinds dealt anew: to whole groups where each is of one kind, else within them."""
    if owner is None:
        return rng.permutation(truth)
    first = np.array([truth[owner == group][0] for group in range(owner.max() + 1)])
    if (first[owner] == truth).all():
        return rng.permutation(first)[owner]
    shuffled = truth.copy()
    for group in range(owner.max() + 1):
        mine = np.flatnonzero(owner == group)
        shuffled[mine] = rng.permutation(truth[mine])
    return shuffled


def _estimate(
    name: str,
    values: Float[np.ndarray, " texts"],
    *,
    owner: Int[np.ndarray, " texts"] | None,
    how: Neighbours,
    settings: dict[str, Any],
    chance: tuple[float | None, float | None] = (None, None),
) -> Estimate:
    found = _interval(values, owner, how=how)
    population = "new texts of these kinds in these shares, judged by these classifiers"
    if isinstance(found, str):
        population, found = f"{population}; no interval: {found}", None
    return Estimate(
        name,
        float(values.mean()),
        "1",
        len(values),
        "confidence",
        population,
        Recipe(name, settings | dict(found.settings if found else {}), _SOURCES),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        level=None if found is None else found.level,
        n_clusters=None if owner is None else int(owner.max()) + 1,
        null_level=chance[0],
        p_value=chance[1],
    )


def _interval(
    values: Float[np.ndarray, " texts"],
    owner: Int[np.ndarray, " texts"] | None,
    *,
    how: Neighbours,
) -> Interval | str:
    options = {"level": how.level, "resamples": how.resamples, "seed": how.seed}
    units = len(values) if owner is None else int(owner.max()) + 1
    if units < MINIMUM_UNITS:
        return f"{units} independent texts are too few: at least {MINIMUM_UNITS}"
    if owner is not None:
        return bootstrap_clusters(values[:, None], clusters=owner, **options)
    if set(np.unique(values)) <= {0.0, 1.0}:
        return wilson_interval(int(values.sum()), len(values), level=how.level)
    return bootstrap_rows(values[:, None], **options)


def _recall(
    kind: str,
    hits: Bool[np.ndarray, " texts"],
    grouped: bool,
    *,
    how: Neighbours,
) -> Estimate:
    """The share of one kind that is told; groups get no interval here."""
    share = float(hits.mean())
    recipe = Recipe("recall", {"kind": kind}, _SOURCES)
    population = f"new texts of the kind {kind!r}"
    if grouped:
        population += "; no interval: texts come in groups"
        return Estimate(
            "recall", share, "1", len(hits), "confidence", population, recipe
        )
    found = wilson_interval(int(hits.sum()), len(hits), level=how.level)
    return Estimate(
        "recall",
        share,
        "1",
        len(hits),
        "confidence",
        population,
        Recipe("recall", {"kind": kind} | dict(found.settings), _SOURCES),
        found.low,
        found.high,
        found.level,
    )


def _settings(
    profiles: Float[np.ndarray, "texts windows layers"],
    kinds: np.ndarray,
    truth: Int[np.ndarray, " texts"],
    owner: Int[np.ndarray, " texts"] | None,
    *,
    how: Neighbours,
) -> dict[str, Any]:
    counts = np.bincount(truth).tolist()
    return {
        "classifier": "k nearest neighbours, Euclidean, equal votes",
        "k": how.k,
        "folds": how.folds,
        "folds_by": "texts" if owner is None else "groups",
        "standardised": how.standardised,
        "permutations": how.permutations,
        "dummy": "the commonest kind of the texts learned from",
        "windows": profiles.shape[1],
        "layers": profiles.shape[2],
        "kinds": dict(zip(kinds.tolist(), counts, strict=True)),
        "seed": how.seed,
    }


def _check(
    flat: Float[np.ndarray, "texts numbers"],
    truth: Int[np.ndarray, " kinds"],
    owner: Int[np.ndarray, " groups"] | None,
    *,
    chosen: Neighbours,
    kinds: np.ndarray,
) -> None:
    if not len(flat) == len(truth) or (owner is not None and len(owner) != len(flat)):
        raise InvalidInput(
            f"{len(flat)} profiles, {len(truth)} kinds"
            + ("" if owner is None else f", {len(owner)} groups")
            + ": one each is needed"
        )
    if len(kinds) < 2:
        raise InvalidInput(f"all {len(truth)} texts are of one kind: nothing to tell")
    if not np.isfinite(flat).all():
        raise InvalidInput("a profile holds numbers that are not finite")
    for number, kind in enumerate(kinds.tolist()):
        mine = truth == number
        units = int(mine.sum()) if owner is None else len(np.unique(owner[mine]))
        if units < chosen.folds:
            raise NotEnoughData(
                f"{units} independent texts of kind {kind!r} for {chosen.folds} folds: "
                "one for each fold is needed; take more texts or fewer folds"
            )
