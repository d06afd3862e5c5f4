"""Comparing two models: the same text read by both in one pass, no file of logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.comparison.estimates import stretch_estimates, token_estimates
from nescio.comparison.intervals import Asked
from nescio.comparison.lockstep import compare_tokens, shared_window
from nescio.comparison.texts import Compared, Stretches
from nescio.decoding import Detail, Window, score_texts
from nescio.errors import InvalidInput, InvalidText
from nescio.models.protocol import Model, Scoring, Tokenized, require
from nescio.outcome import Estimate
from nescio.trace import Origin
from nescio.uncertainty.interval import check_request

__all__ = ["Comparison", "compare"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Args:
        texts: each text by its tokens where the models share a vocabulary, else by
            the stretches between edges that both cuts share.
        estimates: the table, by name; `nescio.comparison.estimates` says which way
            its numbers go.
    """

    texts: tuple[Compared, ...] | tuple[Stretches, ...]
    estimates: Mapping[str, Estimate]

    @property
    def same_vocabulary(self) -> bool:
        """Whether the models cut text alike, so that tokens are compared."""
        return isinstance(self.texts[0], Compared)

    @property
    def reference(self) -> Origin:
        """Where the reference's numbers come from."""
        return self.texts[0].reference

    @property
    def other(self) -> Origin:
        """Where the other model's numbers come from."""
        return self.texts[0].other

    @property
    def counts(self) -> dict[str, int]:
        """Texts, bytes, what was scored of them, and what is infinite."""
        scored = [
            (text, np.diff(text.offsets)[text.scored].sum()) for text in self.texts
        ]
        counts = {
            "texts": len(self.texts),
            "bytes": sum(len(text.buffer) for text in self.texts),
            "scored_bytes": int(sum(size for _, size in scored)),
        }
        return counts | _counted(self.texts)


def compare(  # noqa: PLR0913 - the options of every interval, and of every reading
    reference: Model,
    other: Model,
    texts: str | bytes | Sequence[str | bytes],
    *,
    window: Window | None = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    progress: Progress | None = None,
) -> Comparison:
    """How the other model differs from the reference on a text, or on several.

    Models with the same vocabulary read the text side by side: perplexities and their
    ratio, the correlation of log-probabilities, the divergence KL(reference || other)
    and the change of the token's probability with their percentiles, and how often
    the most probable token agrees. Models with different vocabularies are compared
    by bytes: their surprisals between the edges that both cuts of the text share.

    Args:
        reference: a local model: the original, where the other is made of it.
        other: a local model.
        texts: one text, or several.
        window: how long texts are laid; None: for one vocabulary the smaller context
            of the two, else the context of each, sliding by half.
        level: the coverage that intervals aim at, in (0, 1).
        seed, resamples: of the bootstrap.
        progress: called with (tokens done, tokens in all), text by text.

    Raises:
        CapabilityError: a model that gives no logits, such as a server.
        InvalidText: an empty text, bytes that are not UTF-8.
        InvalidInput: no texts, or texts of which nothing is scored by both.
        ContextOverflow: a text that does not fit where windows do not slide.
        InvalidDistribution: a model gave NaN, +inf or an all -inf row.

    Example:
        >>> import nescio
        >>> coin = nescio.load("table:coin")
        >>> found = compare(coin, coin, "HTHHT")
        >>> found.estimates["kl_divergence_mean"].value
        0.0
    """
    asked = Asked(level, seed, resamples)
    check_request(level, resamples, seed)
    for model in (reference, other):
        require(model, Tokenized, Scoring, purpose="comparing models")
    given = _given(texts)
    models: tuple[Any, Any] = (reference, other)
    ids = _same_tokens(models, given)
    if ids is not None:
        laid = shared_window(models, window or Window())
        tokens = tuple(
            compare_tokens(models, text, cut, window=laid, progress=progress)
            for text, cut in zip(given, ids, strict=True)
        )
        _check_scored(tokens)
        return Comparison(tokens, token_estimates(tokens, asked))
    readings = [
        score_texts(
            model, given, window=window, detail=Detail(top=0), progress=progress
        )
        for model in models
    ]
    cuts = tuple(Stretches.of(*pair) for pair in zip(*readings, strict=True))
    _check_scored(cuts)
    return Comparison(cuts, stretch_estimates(cuts, asked))


def _given(texts: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    several = [texts] if isinstance(texts, str | bytes) else list(texts)
    if not several:
        raise InvalidInput("no texts: there is nothing to compare")
    return [_as_bytes(text) for text in several]


def _as_bytes(text: str | bytes) -> bytes:
    if not isinstance(text, str | bytes):
        raise InvalidInput(f"a text is {type(text).__name__}, not text")
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if not raw:
        raise InvalidText("the text is empty: there is nothing to compare")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidText(
            f"the text is not valid UTF-8 at byte {error.start} "
            f"(0x{raw[error.start]:02x}); convert it to UTF-8 first"
        ) from error
    return raw


def _same_tokens(
    models: tuple[Any, Any], texts: Sequence[bytes]
) -> list[Int[np.ndarray, "_"]] | None:
    """The tokens of each text if ids mean the same to both models and are the same."""
    one, other = (model.vocabulary for model in models)
    alike = one.digest == other.digest or (
        one.buffer == other.buffer and np.array_equal(one.offsets, other.offsets)
    )
    if not alike:
        return None
    cuts = [models[0].encode(text) for text in texts]
    for text, cut in zip(texts, cuts, strict=True):
        if not np.array_equal(cut, models[1].encode(text)):
            return None
    return cuts


def _check_scored(texts: Sequence[Compared] | Sequence[Stretches]) -> None:
    if not any(text.scored.any() for text in texts):
        raise InvalidInput(
            "nothing of the text is scored by both models: a model without a document "
            "start cannot predict the first token; give a longer text"
        )


def _counted(
    texts: tuple[Compared, ...] | tuple[Stretches, ...],
) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        if isinstance(text, Compared):
            own = {
                "tokens": len(text),
                "scored_tokens": text.scored.sum(),
                "impossible_reference": np.isneginf(text.logp_reference).sum(),
                "impossible_other": np.isneginf(text.logp_other).sum(),
                "infinite_kl": np.isposinf(text.kl_forward).sum(),
                "infinite_reverse_kl": np.isposinf(text.kl_backward).sum(),
            }
        else:
            own = {
                "stretches": len(text),
                "scored_stretches": text.scored.sum(),
                "tokens_reference": len(text.traces[0]),
                "tokens_other": len(text.traces[1]),
                "impossible_reference": np.isposinf(text.surprisal_reference).sum(),
                "impossible_other": np.isposinf(text.surprisal_other).sum(),
            }
        for name, number in own.items():
            found[name] = found.get(name, 0) + int(number)
    return found
