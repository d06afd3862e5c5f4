"""How samples are surveyed: all that decides the numbers, in one value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from nescio.consistency.adaptive import AdaptiveRule
from nescio.consistency.answers import Answers
from nescio.consistency.choices import check_choice
from nescio.consistency.dataset import Same
from nescio.consistency.judging import Link
from nescio.consistency.similarity import SIMILARITIES, Similarity
from nescio.consistency.votes import Convention, check_convention
from nescio.errors import InvalidInput
from nescio.evaluation.agreement_probability import kind_of
from nescio.uncertainty.interval import check_request

__all__ = ["Asked", "Gold", "similarity_name"]


@dataclass(frozen=True)
class Asked:
    """How samples are surveyed.

    Args:
        convention: of samples without a valid answer, ``safe`` or ``paper``.
        level, resamples, seed: of all intervals.
        similarities: names of `SIMILARITIES`, or functions of two texts; measures of
            pairs are taken with the first, and once more with each other one.
        threshold: from which similarity (the first) two answers are one set; None:
            the sets are those of the answers.
        link: how pairs become sets, where there is a threshold.
        measures: names; None: all that the samples allow.
        reference: the measure that others are compared with, and that is calibrated.
        recalibrator: a name of `nescio.evaluation.agreement_probability.RECALIBRATORS`.
        details: how many questions of a set are found in full, or the ids of them.
        rule: of adaptive sampling, to say what it would have saved; None: not asked.
        vocabulary_size: of the model, for limits of self-certainty; None: not known.
        clusters: by id what questions were drawn together; None: independent.
        groups: by id the group of a question, shown group by group; None: none.
        join: joins sets that say the same, as a judge does, before a threshold does;
            None: nothing does. A joined set is right if one of its answers is.

    Raises:
        InvalidInput: what is none of these.

    Example:
        >>> Asked(similarities=("edit",), threshold=0.8).settings["link"]
        'connected_components'
    """

    convention: Convention = "safe"
    level: float = 0.95
    resamples: int = 1000
    seed: int = 0
    similarities: tuple[str | Similarity, ...] = ("rouge_l",)
    threshold: float | int | None = None
    link: Link = "connected_components"
    measures: tuple[str, ...] | None = None
    reference: str = "agreement"
    recalibrator: str = "beta"
    details: int | tuple[str, ...] = 6
    rule: AdaptiveRule | None = None
    vocabulary_size: int | None = None
    clusters: Mapping[str, str] | None = None
    groups: Mapping[str, str] | None = None
    join: Callable[[Answers], Answers] | None = None

    def __post_init__(self) -> None:
        check_convention(self.convention)
        check_request(self.level, self.resamples, self.seed)
        check_choice("link", self.link, get_args(Link))
        kind_of(self.recalibrator)
        if not self.similarities:
            raise InvalidInput(f"no similarity: one of {', '.join(SIMILARITIES)}")
        for by in self.similarities:
            if isinstance(by, str):
                check_choice("similarity", by, SIMILARITIES)
        names = [similarity_name(by) for by in self.similarities]
        if len(set(names)) < len(names):
            raise InvalidInput(f"a similarity is named twice: {names}")
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise InvalidInput(
                f"threshold is {self.threshold}: a similarity above 0, at most 1"
            )
        if self.measures is not None and not self.measures:
            raise InvalidInput("no measures are asked for: name one, or leave it out")
        if isinstance(self.details, int) and self.details < 0:
            raise InvalidInput(f"details is {self.details}: 0 questions or more")

    @property
    def limits(self) -> dict[str, Any]:
        """Level, resamples and seed, as measures take them."""
        return {"level": self.level, "resamples": self.resamples, "seed": self.seed}

    @property
    def fewest(self) -> dict[str, Any]:
        """The same with no more resamples than the level needs, where each is dear."""
        least = math.ceil(round(10.0 / (1.0 - self.level), 9))
        return {**self.limits, "resamples": min(self.resamples, least)}

    def clusters_of(self, questions: Sequence[Answers]) -> list[str] | None:
        """What each question was drawn together with; None: independent."""
        clusters = self.clusters
        return None if clusters is None else [clusters[one.id] for one in questions]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the numbers, as JSON values."""
        return {
            "convention": self.convention,
            **self.limits,
            "similarities": [similarity_name(by) for by in self.similarities],
            "threshold": None if self.threshold is None else float(self.threshold),
            "link": self.link,
            "reference": self.reference,
            "recalibrator": self.recalibrator,
            "adaptive": None if self.rule is None else self.rule.settings,
            "vocabulary_size": self.vocabulary_size,
        }


@dataclass(frozen=True)
class Gold:
    """The right answers of questions.

    Args:
        answers: by id all answers that are right.
        same: whether an answer (the key of its set) is the same as a gold one; None:
            their normalised texts are equal, for answers that were sorted by that.
    """

    answers: Mapping[str, tuple[str, ...]]
    same: Same | None = None


def similarity_name(by: str | Similarity) -> str:
    """How a similarity is called.

    Example:
        >>> similarity_name("edit"), similarity_name(lambda one, other: 1.0)
        ('edit', '<lambda>')
    """
    return by if isinstance(by, str) else getattr(by, "__qualname__", type(by).__name__)
