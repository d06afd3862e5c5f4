"""Samples of one question, sorted into sets of the same answer.

Which part of a sample is its answer and when two answers are the same are the caller's:
``extract`` gives the answer or None (no valid answer), ``key`` its canonical form, and
answers with equal keys are one set. Without either, the answer is the whole text and
two are the same after normalisation (`nescio.strings.normalised`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput
from nescio.strings import normalised
from nescio.trace import Samples

__all__ = ["INVALID", "Answers", "Extract", "Key", "Sorting", "answers_of"]

_MOST_TOKENS = 2**53

INVALID = -1
"""The label of a sample without a valid answer."""

Extract = Callable[[str], str | None]
"""From a whole text to its answer; None: there is none."""
Key = Callable[[str], str]
"""From an answer to its canonical form."""


@dataclass(frozen=True)
class Sorting:
    """How samples are sorted into sets.

    Args:
        extract: the answer of a text; None: the whole text. An empty whole text, or one
            of invisible characters alone, is no valid answer.
        key: the canonical form of an answer; None: normalised text.
        recipe: what the two are, JSON values, for whoever wants the same sets.
    """

    extract: Extract | None = None
    key: Key | None = None
    recipe: Mapping[str, Any] = field(
        default_factory=lambda: {"answer": "whole text", "equivalence": "normalised"}
    )


@dataclass(frozen=True, eq=False)
class Answers:
    """The samples of one question as consistency sees them. Frozen.

    Args:
        texts: the whole texts, in the order they were drawn, [n].
        labels: the number of the set of each, counted from 0 in the order of first
            appearance; `INVALID` for no valid answer, [n].
        keys: the canonical form of each set, [sets].
        recipe: how they were sorted.
        question: the prompt's text, or empty.
        id: of the question, or empty.
        total_logp: log-probability of each whole text in nats, or None if any lacks it.
        token_count: of each text, or None.

    Raises:
        InvalidInput: no samples, or columns that do not go together.

    Example:
        >>> found = answers_of(["12", " 12.", "13", ""])
        >>> found.labels.tolist(), found.keys, found.votes.tolist(), found.invalid
        ([0, 0, 1, -1], ('12', '13'), [2, 1], 1)
    """

    texts: tuple[str, ...]
    labels: Int[np.ndarray, " n"]
    keys: tuple[str, ...]
    recipe: Mapping[str, Any]
    question: str = ""
    id: str = ""
    total_logp: Float[np.ndarray, " n"] | None = None
    token_count: Int[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        if not self.texts:
            raise InvalidInput("no samples: at least one answer is needed")
        for name in ("labels", "total_logp", "token_count"):
            column = getattr(self, name)
            if column is None:
                continue
            if len(column) != len(self.texts):
                raise InvalidInput(f"{len(column)} {name} for {len(self)} samples")
            frozen = np.array(column)
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)
        if self.labels.min() < INVALID or self.labels.max() >= len(self.keys):
            raise InvalidInput(f"labels are from {INVALID} to {len(self.keys) - 1}")

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def votes(self) -> Int[np.ndarray, " sets"]:
        """How many samples each set has, in the order of first appearance."""
        valid = self.labels[self.labels != INVALID]
        return np.bincount(valid, minlength=len(self.keys)).astype(np.int64)

    @property
    def invalid(self) -> int:
        """How many samples have no valid answer."""
        return int(np.count_nonzero(self.labels == INVALID))

    @property
    def leader(self) -> int | None:
        """The set with most votes; of equal ones that which appeared first. Or None."""
        return int(self.votes.argmax()) if len(self.keys) else None


def answers_of(
    samples: Samples | Sequence[str], sorting: Sorting | None = None, *, id: str = ""
) -> Answers:
    """The samples of one question sorted into sets.

    Args:
        samples: of one question, or bare texts.
        sorting: what an answer is and when two are the same.
        id: of the question.

    Raises:
        InvalidInput: no samples; one text where a list of texts belongs; a number of
            tokens that no text has.
    """
    how = sorting or Sorting()
    if isinstance(samples, str):
        raise InvalidInput("samples are one text; give a list of answers")
    texts = tuple(samples.texts if isinstance(samples, Samples) else samples)
    number: dict[str, int] = {}
    known = {text: _key_of(text, how) for text in dict.fromkeys(texts)}
    found = [known[text] for text in texts]
    labels = [
        INVALID if key is None else number.setdefault(key, len(number)) for key in found
    ]
    logp, tokens, question = _numbers_of(samples)
    return Answers(
        texts,
        np.array(labels, dtype=np.int64),
        tuple(number),
        how.recipe,
        question,
        id,
        logp,
        tokens,
    )


def _key_of(text: str, how: Sorting) -> str | None:
    answer = text if how.extract is None else how.extract(text)
    if answer is None:
        return None
    if how.key is None:
        return normalised(answer) or None
    # What is seen of a text is nothing, too, where its characters are invisible.
    seen = answer.strip() if answer.isascii() else normalised(answer)
    return how.key(answer) if seen else None


def _numbers_of(
    samples: Samples | Sequence[str],
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    if not isinstance(samples, Samples):
        return None, None, ""
    logp = [answer.total_logp for answer in samples.answers]
    tokens = [answer.token_count for answer in samples.answers]
    wrong = [n for n in tokens if n is not None and not 0 <= n < _MOST_TOKENS]
    if wrong:
        raise InvalidInput(f"a sample has {wrong[0]:.4g} tokens, which no text has")
    question = samples.prompt.text or ""
    return (
        None if None in logp else np.array(logp, dtype=np.float64),
        None if None in tokens else np.array(tokens, dtype=np.int64),
        question,
    )
