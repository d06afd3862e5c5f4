"""Log-probabilities and lengths of one question's samples, refused where they lack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.answers import Answers, answers_of
from nescio.errors import InvalidInput, NotEnoughData
from nescio.trace import Samples

__all__ = ["Likelihoods", "WithLogp", "improbable", "likelihoods_of"]

_POSITIVE = 1e-4  # above 0 by less it is 0 that was rounded
_LEAST = -1e12  # below, no text on earth is long enough

WithLogp = Answers | Samples
"""One question's samples with their log-probabilities."""


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """Log-probabilities and numbers of tokens of the samples of one question.

    Args:
        texts: of the samples, [n].
        logp: of each whole sample, nats, at most 0, [n].
        tokens: of each, at least 1; or all 0: not asked for, [n].
    """

    texts: tuple[str, ...]
    logp: Float[np.ndarray, " n"]
    tokens: Int[np.ndarray, " n"]

    @property
    def per_token(self) -> Float[np.ndarray, " n"]:
        """Mean log-probability of the tokens of each sample."""
        return self.logp / self.tokens

    @property
    def best(self) -> int:
        """The most probable sample; of equal ones the first by text and tokens."""
        first = np.flatnonzero(self.logp == self.logp.max()).tolist()
        return min(
            first, key=lambda place: (self.texts[place], int(self.tokens[place]))
        )

    def place(self, sample: int | None) -> int:
        """The sample that is asked for; None: the best.

        Raises:
            InvalidInput: there is no such sample.
        """
        if sample is None:
            return self.best
        if not 0 <= sample < len(self.texts):
            raise InvalidInput(
                f"there is no sample {sample}: they count from 0 to "
                f"{len(self.texts) - 1}"
            )
        return sample


def likelihoods_of(
    samples: WithLogp, *, needed_by: str, tokens: bool = False, least: int = 2
) -> tuple[Answers, Likelihoods]:
    """The samples, sorted, and their log-probabilities.

    Args:
        samples: of one question.
        needed_by: the measure that asks, for messages.
        tokens: whether the numbers of tokens are needed too.
        least: how many samples are needed.

    Raises:
        NotEnoughData: fewer samples.
        InvalidInput: naming the first sample without a log-probability, with one that
            is not finite or above 0, or without tokens where they are needed.
    """
    answers = samples if isinstance(samples, Answers) else answers_of(samples)
    who = answers.id or "these samples"
    if len(answers) < least:
        raise NotEnoughData(
            f"{who}: {needed_by} needs at least {least} samples, not {len(answers)}"
        )
    if answers.total_logp is None:
        raise InvalidInput(
            f"{who}: {needed_by} needs the log-probability of every sample, but "
            f"{_lacking(samples, 'total_logp')}; use a source that gives it, or a "
            "measure of the texts alone"
        )
    given = answers.total_logp
    wrong = improbable(given)
    if len(wrong):
        raise InvalidInput(
            f"{who}: sample {wrong[0]} has the log-probability {given[wrong[0]]}, "
            "which no text that was drawn can have: it is finite and at most 0"
        )
    logp = np.minimum(given.astype(np.float64), 0.0)
    counts = np.zeros(len(answers), dtype=np.int64)
    if tokens:
        counts = _tokens(samples, answers, needed_by)
    return answers, Likelihoods(answers.texts, logp, counts)


def improbable(logp: Float[np.ndarray, " n"]) -> Int[np.ndarray, " wrong"]:
    """Which numbers are no log-probabilities of texts that were drawn.

    Example:
        >>> improbable(np.array([-1.0, 0.5, np.nan, -np.inf, 1e-6])).tolist()
        [1, 2, 3]
    """
    return np.flatnonzero(~((logp > _LEAST) & (logp < _POSITIVE)))


def _tokens(
    samples: WithLogp, answers: Answers, needed_by: str
) -> Int[np.ndarray, " n"]:
    who = answers.id or "these samples"
    if answers.token_count is None:
        raise InvalidInput(
            f"{who}: {needed_by} divides by the number of tokens, but "
            f"{_lacking(samples, 'token_count')}"
        )
    empty = np.flatnonzero(answers.token_count < 1)
    if len(empty):
        raise InvalidInput(
            f"{who}: sample {empty[0]} has no tokens; {needed_by} divides by their "
            "number"
        )
    return answers.token_count


def _lacking(samples: WithLogp, name: str) -> str:
    if isinstance(samples, Samples):
        for place, sample in enumerate(samples.answers):
            if getattr(sample, name) is None:
                return f"sample {place} (draw {sample.draw}) has no {name}"
    return f"not all have a {name}"
