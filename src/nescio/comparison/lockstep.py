"""Two models of one vocabulary read a text side by side, window by window.

Rows of logits are compared as they come and forgotten: at most one block of each model
is held, and no file of logits is written. Engines cut their blocks where they like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.comparison.texts import Compared
from nescio.decoding import Window
from nescio.decoding.windows import jobs
from nescio.errors import CapabilityError
from nescio.kernel import pair_statistics, row_statistics
from nescio.models.protocol import LogitBlock
from nescio.trace import Origin

__all__ = ["Rows", "aligned", "compare_tokens", "laid_windows", "shared_window"]

Progress = Callable[[int, int], None]
_BLOCK_ELEMENTS = 2**25


@dataclass(frozen=True)
class Span:
    """One window: tokens ``first`` to ``end`` are read, those from ``begin`` scored."""

    first: int
    begin: int
    end: int


@dataclass(eq=False)
class Rows:
    """The logits of one model that are still to come, some of them at hand.

    Args:
        name: of the model, for refusals.
        blocks: its blocks; each is valid until the next is asked for.
        shift: what is added to a row's position to have the token it predicts.
    """

    name: str
    blocks: Iterator[LogitBlock]
    shift: int
    _block: LogitBlock | None = field(default=None, repr=False)
    _used: int = 0

    def ready(self) -> int:
        """How many rows are at hand, at least one."""
        while self._block is None or self._used == len(self._block.position):
            self._block, self._used = next(self.blocks, None), 0
            if self._block is None:
                raise CapabilityError(
                    f"{self.name} gave fewer rows of logits than the text has tokens; "
                    "choose another engine"
                )
        return len(self._block.position) - self._used

    def take(self, tokens: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows vocab"]:
        """The rows that predict these tokens, which are the next ones."""
        if self._block is None:
            raise AssertionError("rows are taken when they are ready")
        some = slice(self._used, self._used + len(tokens))
        given = self._block.position[some] + self.shift
        if not np.array_equal(given, tokens):
            raise CapabilityError(
                f"{self.name} gave the logits for token {given[0]} where those for "
                f"{tokens[0]} come next; choose another engine"
            )
        self._used = some.stop
        return self._block.logits[some]


def aligned(
    one: Rows, other: Rows, *, begin: int, end: int
) -> Iterator[
    tuple[
        Int[np.ndarray, " rows"],
        Float[np.ndarray, "rows vocab"],
        Float[np.ndarray, "rows vocab"],
    ]
]:
    """Tokens with both models' logits, as many as both have at hand.

    Raises:
        CapabilityError: rows that are missing or in another order.
    """
    while begin < end:
        count = min(one.ready(), other.ready(), end - begin)
        tokens = np.arange(begin, begin + count)
        yield tokens, one.take(tokens), other.take(tokens)
        begin += count


def shared_window(models: Sequence[Any], window: Window) -> Window:
    """The window that both models can read: by default the smaller context.

    Raises:
        InvalidInput: a window larger than a context, or no wider than its stride.
    """
    limits = [m.context_length for m in models if m.context_length is not None]
    size = window.size if window.size is not None else min(limits, default=None)
    shared = replace(window, size=size)
    for model in models:
        shared.within(model)
    return shared


def laid_windows(
    models: Sequence[Any], ids: Int[np.ndarray, " n"], window: Window
) -> list[Span]:
    """The windows of a text, the same for both models.

    A token that one of them cannot predict (the first, where nothing stands before
    the text) is scored for neither.

    Raises:
        ContextOverflow: the text does not fit and the window does not slide.
    """
    laying = max(models, key=lambda model: len(model.start))
    bare = any(not model.start for model in models)
    found = []
    for job in jobs(laying, 0, ids, window=window):
        begin = job.first + job.skip + 1 - job.start
        end = job.first + len(job.ids) - job.start
        begin = max(begin, job.first + bare)
        if begin < end:
            found.append(Span(job.first, begin, end))
    return found


def compare_tokens(
    models: Sequence[Any],
    text: bytes,
    ids: Int[np.ndarray, " n"],
    *,
    window: Window,
    progress: Progress | None = None,
) -> Compared:
    """Both models' predictions of every token of a text, compared.

    Args:
        models: the reference and the other one, with one vocabulary.
        text: what the ids spell.
        ids: its tokens.
        window: as `shared_window` gives it.
        progress: called with (tokens done, tokens in all).
    """
    found = _Found.blank(len(ids))
    for span in laid_windows(models, ids, window):
        for tokens, one, other in _window_rows(models, ids, span):
            found.put(tokens, one, other, ids[tokens])
            if progress is not None:
                progress(int(tokens[-1]) + 1, len(ids))
        seen = np.arange(span.begin, span.end) - span.first
        fewest = min(len(model.start) for model in models)
        found.context_used[span.begin : span.end] = seen + fewest
    vocabulary = models[0].vocabulary
    reference, other = (_origin(model, window) for model in models)
    logp_reference, logp_other, forward, backward, js = found.columns
    return Compared(
        buffer=text,
        offsets=vocabulary.edges(ids),
        token_ids=ids,
        scored=~np.isnan(js),
        context_used=found.context_used,
        logp_reference=logp_reference,
        logp_other=logp_other,
        kl_forward=forward,
        kl_backward=backward,
        js=js,
        same_top=found.same_top,
        first_ids=found.first_ids,
        first_logp=found.first_logp,
        reference=reference,
        other=other,
    )


def _window_rows(
    models: Sequence[Any], ids: Int[np.ndarray, " n"], span: Span
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The rows of one window, from engines that are closed in reverse order.

    An engine may set a state of its thread while it is read (torch does), which has to
    be put back by the one that set it last.
    """
    with ExitStack() as opened:
        sides = []
        for model in models:
            start = np.array(model.start, dtype=np.int32)
            part = np.concatenate([start, ids[span.first : span.end]])
            shift = span.first + 1 - len(start)
            rows = max(8, min(128, _BLOCK_ELEMENTS // model.vocabulary.size))
            blocks = model.logit_blocks([part], skip=[span.begin - shift], rows=rows)
            if hasattr(blocks, "close"):
                opened.callback(blocks.close)
            side = Rows(model.name, blocks, shift)
            side.ready()
            sides.append(side)
        yield from aligned(*sides, begin=span.begin, end=span.end)


@dataclass(eq=False)
class _Found:
    """Numbers of n tokens, NaN until both models predicted them."""

    columns: Float[np.ndarray, "five n"]
    same_top: np.ndarray
    first_ids: np.ndarray
    first_logp: np.ndarray
    context_used: np.ndarray

    @staticmethod
    def blank(n: int) -> _Found:
        return _Found(
            np.full((5, n), np.nan),
            np.zeros(n, dtype=np.bool_),
            np.full((2, n), -1, dtype=np.int32),
            np.full((2, n), np.nan),
            np.zeros(n, dtype=np.int32),
        )

    def put(
        self,
        tokens: Int[np.ndarray, " rows"],
        reference: Float[np.ndarray, "rows vocab"],
        other: Float[np.ndarray, "rows vocab"],
        targets: Int[np.ndarray, " rows"],
    ) -> None:
        pair = pair_statistics(reference, other)
        for side, logits in enumerate((reference, other)):
            own = row_statistics(logits, targets, top=1)
            self.columns[side, tokens] = own.logp
            self.first_ids[side, tokens] = own.top_ids[:, 0]
            self.first_logp[side, tokens] = own.top_logp[:, 0]
        self.columns[2:, tokens] = pair.kl_forward, pair.kl_backward, pair.js
        self.same_top[tokens] = pair.same_top


def _origin(model: Any, window: Window) -> Origin:
    labels = (model.vocabulary.label(token) or "" for token in model.start)
    return replace(
        model.origin,
        conditioned_on="".join(labels) or None,
        decoding={"kind": "compare", "chat": False, **window.settings(model)},
    )
