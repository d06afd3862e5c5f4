"""Reading hidden states from a frozen model, once: files keep them, by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Int

from nescio.errors import InvalidInput
from nescio.evaluation.answer_state_files import read_states, write_states
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.answer_texts import TextStates
from nescio.evaluation.generated import uses_chat
from nescio.evaluation.journal import digest_of
from nescio.evaluation.multiple_choice import choices_by_letter, choices_by_text
from nescio.evaluation.tasks import Task
from nescio.models.delegating import Delegating
from nescio.models.protocol import Layered, Stepping, Tokenized, require
from nescio.outcome import Predictions

__all__ = ["By", "answer_states", "states_key", "token_states"]

By = Literal["letter", "text"]
"""How options are put: `choices_by_letter`, or `choices_by_text` with no length."""

_PURPOSE = "reading hidden states"
_MOST_SCORES = 2**27
_TOKEN_ROWS = 64


def answer_states(  # noqa: PLR0913 - what is asked, how, and what is kept of it
    model: Any,
    task: Task,
    *,
    by: By = "letter",
    chat: bool | None = None,
    before: int | None = 0,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AnswerStates:
    """The probabilities of a task's options, and the hidden states they come from.

    Probabilities are those of `choices_by_letter`, or of `choices_by_text` with length
    ``"none"``; every prompt is read once, and once more for the states before.

    Args:
        model: Tokenized, Stepping and Layered: one of the ``transformers`` engine.
        task: questions with options.
        by: whether letters or the options' texts are compared.
        chat: whether questions go through the chat template; None: if there is one.
        before: of how many of the prompt's tokens before its last the states are kept
            too (`AnswerStates.texts`), for a head that reads them; None: of all.
        cache: a folder of safetensors files; what was read of the same model, task and
            prompts is taken from there.
        progress: called with (questions done, questions in all).

    Raises:
        CapabilityError: the model gives no hidden states (another engine).
        InvalidInput: a question without options, an unknown ``by``, a ``before``
            below 0.
        SchemaError: a file of the cache is damaged.

    Example:
        >>> import nescio
        >>> from nescio.evaluation.tasks import Question
        >>> task = Task("one", (Question("1", "a", ("b",), ("b", "c")),))
        >>> answer_states(nescio.load("table:coin"), task)
        Traceback (most recent call last):
        ...
        nescio.errors.CapabilityError: reading hidden states needs a model that is
        Layered; table:coin is not. Choose another model or engine
    """
    if by not in get_args(By):
        raise InvalidInput(f"by is {by!r:.60}; one of {get_args(By)}")
    if before is not None and before < 0:
        raise InvalidInput(f"before is {before}: at least 0, or None for all")
    require(model, Tokenized, Stepping, Layered, purpose=_PURPOSE)
    through = uses_chat(model, chat)

    def read() -> AnswerStates:
        watched = _Watched(model, before)
        if by == "letter":
            found = choices_by_letter(watched, task, chat=through, progress=progress)
        else:
            found = choices_by_text(
                watched, task, length="none", chat=through, progress=progress
            )
        outcomes = found.outcomes()
        texts = watched.texts(len(task.questions))
        return AnswerStates(
            task.name,
            found.predictions,
            texts.states[texts.rows],
            model.origin.to_dict(),
            ids=tuple(question.id for question in task.questions),
            cluster=outcomes.cluster,
            settings={k: v for k, v in found.settings.items() if k != "model"},
            texts=None if before == 0 else texts,
        )

    asked = {"task": task.digest, "by": by, "chat": through, "before": before}
    return _cached(cache, states_key(model, asked), read)


def token_states(
    model: Any,
    texts: Mapping[str, str],
    *,
    task: str = "next tokens",
    most: int | None = None,
    cache: str | Path | None = None,
) -> AnswerStates:
    """The whole next-token distribution of every token of texts, and its hidden state.

    All logits are held: [tokens, vocabulary] in float32, so texts are to be few.

    Args:
        model: Tokenized and Layered; each text fits into its context.
        texts: by name; the tokens of one are a cluster.
        task: what they are called together.
        most: how many tokens of a text at most; None: all.
        cache: as of `answer_states`.

    Raises:
        CapabilityError: the model gives no hidden states (another engine).
        InvalidInput: no texts, one without a token to predict, or more logits than
            are held.
    """
    require(model, Tokenized, Layered, purpose=_PURPOSE)
    if not texts:
        raise InvalidInput("no texts: give some by name")

    def read() -> AnswerStates:
        ids = {name: _ids(model, text, most) for name, text in texts.items()}
        return _read_tokens(model, task, ids)

    asked = {"texts": dict(texts), "most": most, "tokens of": task}
    return _cached(cache, states_key(model, asked), read)


def states_key(model: Any, asked: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides what is read: its name in the cache."""
    return digest_of({"format": 2, "origin": model.origin.to_dict(), **asked})


def _cached(
    cache: str | Path | None, key: str, read: Callable[[], AnswerStates]
) -> AnswerStates:
    if cache is None:
        return read()
    path = Path(cache) / f"{key}.safetensors"
    if path.is_file():
        return read_states(path)
    found = read()
    write_states(path, found)
    return found


def _ids(model: Any, text: str, most: int | None) -> Int[np.ndarray, " n"]:
    """Document start and tokens; without a start the first token is not predicted."""
    own = model.encode(text.encode("utf-8"))[:most]
    ids = np.concatenate([np.array(model.start, dtype=np.int32), own])
    if len(ids) < 2:
        raise InvalidInput(f"the text {text!r:.60} has no token to predict")
    return ids


def _read_tokens(
    model: Any, task: str, ids: Mapping[str, Int[np.ndarray, " _"]]
) -> AnswerStates:
    skip = max(len(model.start) - 1, 0)
    rows, size = sum(len(one) - 1 - skip for one in ids.values()), model.vocabulary.size
    if rows * size > _MOST_SCORES:
        raise InvalidInput(
            f"{rows} tokens over {size} are more logits than are held; give fewer, or "
            "set most="
        )
    states, logits, targets, names, clusters, ends = [], [], [], [], [], [0]
    for name, one in ids.items():
        for block in model.layer_blocks([one], skip=[skip], rows=_TOKEN_ROWS):
            states.append(np.array(block.rows[-1], dtype=np.float32))
            logits.append(np.array(model.head(block.rows[-1]), dtype=np.float32))
            targets.append(one[block.position + 1])
            names += [f"{name}, token {place}" for place in block.position + 1 - skip]
            clusters += [name] * len(block.position)
        ends.append(len(names))
    scores = np.concatenate(logits)
    predictions = Predictions(
        scores.ravel(),
        np.arange(0, scores.size + 1, size),
        np.concatenate(targets).astype(np.int64),
        "logit",
    )
    found = np.concatenate(states)
    return AnswerStates(
        task,
        predictions,
        found,
        model.origin.to_dict(),
        ids=tuple(names),
        cluster=tuple(clusters),
        settings={"protocol": "next tokens", "texts": list(ids)},
        texts=TextStates(found, np.array(ends), np.arange(len(found))),
    )


@dataclass(eq=False)
class _Watched(Delegating):
    """A model that keeps the hidden states at the end of every prompt it is given."""

    model: Any
    before: int | None
    found: list[Float32[np.ndarray, "_ width"]] = field(default_factory=list)

    def extend(
        self, contexts: Sequence[Any], tokens: Sequence[Int[np.ndarray, " _"]]
    ) -> tuple[tuple[Any, ...], Float[np.ndarray, "contexts vocab"]]:
        """The model's; where nothing was read before, the tokens are a prompt."""
        if any(context.length for context in contexts):
            return self.model.extend(contexts, tokens)
        longer, logits, layers = self.model.extend_layers(contexts, tokens)
        own = np.array(layers[-1], dtype=np.float32)
        earlier = [[] for _ in tokens] if self.before == 0 else self._earlier(tokens)
        self.found += [
            np.concatenate([*parts, last[None]])
            for parts, last in zip(earlier, own, strict=True)
        ]
        return longer, logits

    def _earlier(
        self, tokens: Sequence[Int[np.ndarray, " _"]]
    ) -> list[list[Float32[np.ndarray, "_ width"]]]:
        """The states before the last of each prompt, in order."""
        most = max(map(len, tokens)) if self.before is None else self.before
        skip = [max(0, len(ids) - 1 - most) for ids in tokens]
        parts: list[list[np.ndarray]] = [[] for _ in tokens]
        for block in self.model.layer_blocks(tokens, skip=skip, rows=_TOKEN_ROWS):
            rows = np.array(block.rows[-1], dtype=np.float32)
            for number in np.unique(block.sequence):
                parts[number].append(rows[block.sequence == number])
        return parts

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[Any]:
        """The model's."""
        return self.model.logit_blocks(sequences, skip=skip, rows=rows)

    def texts(self, prompts: int) -> TextStates:
        """All of them, a text a prompt, in the order they were given."""
        if len(self.found) != prompts:
            raise AssertionError(f"{len(self.found)} texts of {prompts} prompts")
        ends = np.cumsum([len(one) for one in self.found])
        offsets = np.concatenate([[0], ends])
        return TextStates(np.concatenate(self.found), offsets, ends - 1, self.before)
