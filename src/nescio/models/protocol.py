"""What a model can do, as small protocols; callers state the ones they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import CapabilityError
from nescio.kernel import Sampling
from nescio.models.vocabulary import Vocabulary
from nescio.responses import Response, Source
from nescio.trace import Origin, Prompt

__all__ = [
    "Answering",
    "Beginning",
    "Context",
    "Drawing",
    "LayerBlock",
    "Layered",
    "LogitBlock",
    "Model",
    "Question",
    "Rendered",
    "Scoring",
    "Stepping",
    "Templated",
    "Tokenized",
    "require",
]


@runtime_checkable
class Model(Protocol):
    """Every model: a name, and where its numbers come from."""

    @property
    def name(self) -> str:
        """The specification it was loaded from."""
        ...

    @property
    def origin(self) -> Origin:
        """Digests, engine and precision, copied into every trace."""
        ...


@runtime_checkable
class Tokenized(Protocol):
    """A model whose vocabulary is known."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every id."""
        ...

    @property
    def context_length(self) -> int | None:
        """How many tokens it can see, document start included; None: no limit."""
        ...

    @property
    def start(self) -> tuple[int, ...]:
        """The document-start tokens a text is conditioned on; empty if none."""
        ...

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """Token ids that spell exactly this text; never a control token.

        Raises:
            InvalidText: not UTF-8, or not writable in this vocabulary.
        """
        ...


@dataclass(frozen=True)
class LogitBlock:
    """Some rows of logits; an engine may reuse the buffer for the next block.

    Row r predicts the token after position ``position[r]`` of sequence
    ``sequence[r]``, i.e. its token ``position[r] + 1``.
    """

    sequence: Int[np.ndarray, " rows"]
    position: Int[np.ndarray, " rows"]
    logits: Float[np.ndarray, "rows vocab"]


@runtime_checkable
class Scoring(Protocol):
    """A model that gives the logits of every position of whole sequences."""

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Logits after each position from ``skip`` on, but the last, in blocks.

        The sequences run as one padded batch. [tokens x vocabulary] never exists:
        the head is applied to ``rows`` hidden rows at a time.
        """
        ...


@runtime_checkable
class Context(Protocol):
    """A value: tokens read so far, with what the engine keeps of them.

    Contexts are immutable: extending one leaves it usable, so a fork is free.
    """

    @property
    def length(self) -> int:
        """How many tokens were read."""
        ...

    def rewind(self, length: int) -> Context:
        """The context as it was after its first ``length`` tokens."""
        ...


@runtime_checkable
class Stepping(Protocol):
    """A model that reads token by token, many contexts in one batched step."""

    def open(self) -> Context:
        """The context before anything was read."""
        ...

    def extend(
        self,
        contexts: Sequence[Context],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[Context, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read at least one token into each context; logits of what comes next.

        Contexts of different lengths and token runs of different lengths go
        together; the result does not depend on what else is in the batch.
        """
        ...


@dataclass(frozen=True)
class LayerBlock:
    """Some positions of some sequences, each with a row a layer.

    The rows are what the head takes: the residual stream before the first block
    (layer 0) and after each, through what stands between the last block and the head.
    Positions are as in a `LogitBlock`.
    """

    sequence: Int[np.ndarray, " rows"]
    position: Int[np.ndarray, " rows"]
    rows: Float[np.ndarray, "layers rows width"]


@runtime_checkable
class Layered(Protocol):
    """A model whose layers can be read as if it ended there: the layer lens.

    Each method refuses an architecture whose last layer, read so, is not the model.
    """

    def layer_count(self) -> int:
        """How many rows a position has: one for the embedding and one a block.

        Raises:
            CapabilityError: this architecture has no lens; names it.
        """
        ...

    def layer_settings(self) -> dict[str, Any]:
        """What goes into the recipe: the architecture, and what stands at its end."""
        ...

    def layer_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LayerBlock]:
        """What `Scoring.logit_blocks` gives, before the head and of every layer."""
        ...

    def extend_layers(
        self,
        contexts: Sequence[Any],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[
        tuple[Any, ...],
        Float[np.ndarray, "contexts vocab"],
        Float[np.ndarray, "layers contexts width"],
    ]:
        """What `Stepping.extend` gives, and the rows its logits came from."""
        ...

    def head(
        self, rows: Float[np.ndarray, "rows width"]
    ) -> Float[np.ndarray, "rows vocab"]:
        """Rows of any layer to logits, with all that comes behind the head."""
        ...


@dataclass(frozen=True)
class Rendered:
    """A chat as tokens: ids, the message each belongs to (-1: template), its digest."""

    token_ids: Int[np.ndarray, " n"]
    message: Int[np.ndarray, " n"]
    template_digest: str


@runtime_checkable
class Templated(Protocol):
    """A model that may have a chat template."""

    @property
    def has_template(self) -> bool:
        """Whether it does."""
        ...

    def render(self, prompt: Prompt) -> Rendered:
        """The conversation as the model was taught to read it, answer opened.

        Text inside messages never becomes a control token.
        """
        ...


@runtime_checkable
class Beginning(Protocol):
    """A model that reads prompts itself: one that is read byte by byte."""

    def begin(
        self, text: Any, *, chat: bool | None = None, system: str | None = None
    ) -> Context:
        """The context at the end of a prompt.

        Args:
            text: a text, messages, or a Prompt.
            chat: through the chat template; None: if there is one. Each member of an
                ensemble has its own.
            system: a system message before a text.

        Raises:
            CapabilityError: a chat without a template.
            ContextOverflow: no room to go on.
        """
        ...


@dataclass(frozen=True)
class Question:
    """A prompt for a model that answers by itself.

    Args:
        prompt: what is asked.
        seed: of the draw, where the model takes one; None: none is sent.
        chat: whether it goes through the chat template; None: if there is one.
    """

    prompt: Prompt
    seed: int | None = None
    chat: bool | None = None


@dataclass(frozen=True)
class Drawing:
    """How a model that answers by itself is to draw.

    Args:
        max_tokens: the longest answer.
        sampling: temperature and truncations.
        stop: texts that end it.
        top: how many candidates a token are asked for; fewer where there are fewer.
    """

    max_tokens: int
    sampling: Sampling
    stop: tuple[str, ...] = ()
    top: int = 0


@runtime_checkable
class Answering(Model, Protocol):
    """A model that draws answers itself and reveals what it likes: an endpoint."""

    @property
    def answers_at_once(self) -> int:
        """How many questions are under way at most."""
        ...

    def check(self, question: Question, drawing: Drawing) -> None:
        """Refuse a question or a way of drawing before anything is sent.

        Raises:
            CapabilityError: naming what the model lacks.
        """
        ...

    def answers(
        self, questions: Iterable[Question], drawing: Drawing
    ) -> Iterator[tuple[int, Response, Source]]:
        """Answers as they come: which question, the answer, where it comes from.

        Questions are read as there is room. After a failure nothing more is asked;
        what is under way is finished and given before the failure is raised.
        """
        ...

    def streamed(
        self, question: Question, drawing: Drawing
    ) -> tuple[Source, Iterator[Response]]:
        """One answer piece by piece, and where it comes from."""
        ...

    def scored(self, text: str, top: int) -> tuple[Response, Source]:
        """A text with the log-probabilities of its own tokens, as ``prompt_tokens``.

        Raises:
            CapabilityError: the model does not give them.
        """
        ...


def require(model: object, *capabilities: type[Any], purpose: str) -> None:
    """Refuse, by name, a model that lacks a capability.

    Raises:
        CapabilityError: naming what is missing and what needs it.
    """
    missing = [c.__name__ for c in capabilities if not isinstance(model, c)]
    if missing:
        name = getattr(model, "name", type(model).__name__)
        raise CapabilityError(
            f"{purpose} needs a model that is {' and '.join(missing)}; "
            f"{name} is not. Choose another model or engine"
        )
