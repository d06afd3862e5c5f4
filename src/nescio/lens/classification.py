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
from jaxtyping import Float, Int

from nescio.errors import InvalidInput, NotEnoughData
from nescio.lens.accuracy import Judged, recall_told, share_told
from nescio.outcome import Estimate

__all__ = ["Classification", "Neighbours", "accuracy_gain", "classify_signatures"]


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

    @property
    def limits(self) -> dict[str, Any]:
        """What intervals are asked for."""
        return {"level": self.level, "resamples": self.resamples, "seed": self.seed}

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
        accuracy_gain: the first less the second, paired text by text; over another
            classifier than the dummy, see the function of this name.
        recall: by kind, the share of its texts that is told.
        predicted: what each text was taken for.
        labels: what each is.
        groups: the number of each text's group, or None where each stands alone.
        how: neighbours, folds, shuffles, intervals.
    """

    accuracy: Estimate
    dummy_accuracy: Estimate
    accuracy_gain: Estimate
    recall: dict[str, Estimate] = field(repr=False)
    predicted: tuple[str, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    groups: tuple[int, ...] | None = field(default=None, repr=False)
    how: Neighbours = field(default_factory=Neighbours, repr=False)

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
    told = _settings(profiles, kinds, truth, owner, how=chosen)
    make = partial(
        share_told,
        judged=Judged(owner, chosen.limits, told | {"normalised": described}),
    )
    return Classification(
        make("accuracy", hits.astype(np.float64), chance=by_chance),
        make("dummy_accuracy", dummy_hits.astype(np.float64)),
        make("accuracy_gain", hits.astype(np.float64) - dummy_hits, paired=True),
        {
            kind: recall_told(
                kind, hits[truth == number], owner is not None, level=chosen.level
            )
            for number, kind in enumerate(kinds.tolist())
        },
        tuple(kinds[found.told].tolist()),
        tuple(kinds[truth].tolist()),
        None if owner is None else tuple(owner.tolist()),
        chosen,
    )


def accuracy_gain(one: Classification, other: Classification) -> Estimate:
    """How much oftener one classifier tells the kind than another, text by text.

    Two intervals that overlap do not answer this: the texts are the same, and most are
    easy or hard for both.

    Args:
        one, other: of the same texts in the same order. The limits are those that
            `one` was asked for.

    Returns:
        A difference of shares, in [-1, 1], above 0 where `one` does better.

    Raises:
        InvalidInput: other texts: kinds or groups that differ.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> kinds = ["calm", "wild"] * 20
        >>> level = np.array([[1.0, 2.0][kind == "wild"] for kind in kinds])
        >>> profiles = level[:, None, None] + rng.normal(0, 0.1, (40, 1, 6))
        >>> noise = rng.normal(0, 0.1, (40, 1, 6))
        >>> told, guessed = (classify_signatures(p, kinds) for p in (profiles, noise))
        >>> accuracy_gain(told, guessed).low > 0.2
        True

    Source: Tango (1998); for groups, Davison & Hinkley (1997), section 3.8.
    """
    if one.labels != other.labels or one.groups != other.groups:
        raise InvalidInput(
            f"{len(one.labels)} and {len(other.labels)} texts of other kinds or groups:"
            " both classifiers have to judge the same texts in the same order"
        )
    truth = np.array(one.labels)
    hits, others = (np.array(found.predicted) == truth for found in (one, other))
    settings = {
        "one": dict(one.accuracy.recipe.settings),
        "other": dict(other.accuracy.recipe.settings),
    }
    groups = None if one.groups is None else np.array(one.groups)
    return share_told(
        "accuracy_gain",
        hits.astype(np.float64) - others,
        judged=Judged(groups, one.how.limits, settings),
        paired=True,
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
