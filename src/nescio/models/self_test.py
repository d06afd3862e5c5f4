"""What a network has to do before its numbers are believed.

A few tokens are read in every way the engine reads: at once, in pieces, in a ragged
batch, rewound, and through the tiled head. All have to give the distribution of one
plain forward pass; an architecture that keeps another kind of memory, or does
something unknown after its head, is refused instead of measured wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import CapabilityError, NescioError
from nescio.kernel import pair_statistics

if TYPE_CHECKING:
    from nescio.models.openvino import OpenVinoModel
    from nescio.models.transformers import TransformersModel

__all__ = ["check_export", "check_head", "check_reading"]

_TOKENS = 24
_EXPORT_TOKENS = 104
"""More than three blocks of an export's memory, and a piece of a fourth."""
_BLOCK = 32
_BEYOND = 10
"""At least so many tokens beyond a window show where it ends."""
_LARGEST_KL = {"f32": 1e-5, "bf16": 0.05}
_FOREIGN = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)

Found = tuple[str, Float[np.ndarray, "rows vocab"], Float[np.ndarray, "rows vocab"]]


def check_head(model: TransformersModel) -> None:
    """Check that the tiled head gives the model's own logits.

    Raises:
        CapabilityError: it does not, or the architecture cannot be run here.
    """
    _check(model, _head_only(model), type(model.network).__name__)


def check_reading(model: TransformersModel) -> None:
    """Check every way of reading against one plain forward pass.

    Raises:
        CapabilityError: one differs; names it.
    """
    check_head(model)
    _check(model, _every_way(model, model), type(model.network).__name__)


def check_export(model: OpenVinoModel, reference: TransformersModel) -> None:
    """Check every way an export reads against one plain forward pass on torch.

    Where the architecture looks back only so far, a text longer than that is read too.

    Args:
        model: the export, compiled in float32.
        reference: what it was exported from, in float32.

    Raises:
        CapabilityError: one differs; names it.
    """
    kind = type(reference.network).__name__
    _check(model, _every_way(model, reference), kind)
    _check(model, _across_blocks(model, reference), kind)
    _check(model, _beyond_the_window(model, reference), kind)


def _check(
    model: TransformersModel | OpenVinoModel, ways: Iterator[Found], kind: str
) -> None:
    allowed = _LARGEST_KL[model.origin.precision]
    try:
        for way, found, expected in ways:
            kl = float(pair_statistics(expected, found).kl_forward.max())
            if not kl <= allowed:
                raise CapabilityError(
                    f"{model.name}: {kind} gives other distributions when {way} than "
                    f"in one pass (KL {kl:.2g} nats); it cannot be measured here"
                )
    except NescioError:
        raise
    except _FOREIGN as error:
        raise CapabilityError(
            f"{model.name}: {kind} cannot be run by this engine: {error!r}"
        ) from error


def _head_only(model: TransformersModel) -> Iterator[Found]:
    ids = _ids(model)
    (block,) = model.logit_blocks([ids], skip=[0])
    yield "the head is tiled", block.logits, _plain(model, ids)[: len(ids) - 1]


def _every_way(model: Any, reference: TransformersModel) -> Iterator[Found]:
    ids = _ids(reference)
    plain = _plain(reference, ids)
    (context,), row = model.extend([model.open()], [ids[:9]])
    yield "its beginning is read", row, plain[8:9]
    (longer,), row = model.extend([context], [ids[9:17]])
    yield "read in pieces", row, plain[16:17]
    (longer,), row = model.extend([longer], [ids[17:18]])
    yield "stepped", row, plain[17:18]
    (short, _), rows = model.extend([model.open(), context], [ids[:4], ids[9:12]])
    yield "read in a ragged batch", rows, plain[[3, 11]]
    _, rows = model.extend([longer, short], [ids[18:20], ids[4:7]])
    yield "contexts are joined", rows, plain[[19, 6]]
    _, row = model.extend([longer.rewind(6)], [ids[6:8]])
    yield "rewound", row, plain[7:8]


def _across_blocks(model: Any, reference: TransformersModel) -> Iterator[Found]:
    """Where an export's memory goes from one block to the next, or is shared."""
    ids = _ids(reference, _EXPORT_TOKENS)
    plain, n = _plain(reference, ids), len(ids)
    blocks = model.logit_blocks([ids[: n // 2], ids], skip=[3, 0], rows=n)
    rows = np.concatenate([block.logits.copy() for block in blocks])
    expected = np.concatenate([plain[3 : n // 2 - 1], plain[: n - 1]])
    yield "texts are scored together", rows, expected
    (context,), _ = model.extend([model.open()], [ids[: min(_BLOCK, n) - 3]])
    for at in range(context.length, min(context.length + 6, n - 2)):
        (context,), row = model.extend([context], [ids[at : at + 1]])
        yield f"stepped to token {at + 1}", row, plain[at : at + 1]
    at = context.length
    ends = sorted({at + 1, min(at + 5, n), min(2 * _BLOCK, n), min(at + _BLOCK, n), n})
    forks, rows = model.extend([context] * len(ends), [ids[at:end] for end in ends])
    yield "forked", rows, plain[[end - 1 for end in ends]]
    kept = [fork.rewind(length) for fork in forks for length in (at, at // 2, 1)]
    _, rows = model.extend(kept, [ids[c.length : c.length + 2] for c in kept])
    yield "rewound and joined", rows, plain[[c.length + 1 for c in kept]]


def _beyond_the_window(model: Any, reference: TransformersModel) -> Iterator[Found]:
    window = getattr(reference.network.config.get_text_config(), "sliding_window", None)
    longest = (window or 0) + _EXPORT_TOKENS
    length = min(longest, reference.context_length or longest)
    if not window or length < window + _BEYOND:
        return
    rng = np.random.default_rng(1)
    ids = rng.choice(_ids(reference), size=length).astype(np.int32)
    rows = [length - 9, length - 2, length - 1]
    expected = _plain(reference, ids, rows)
    contexts, first = model.extend([model.open()] * 2, [ids[:-8], ids[:-1]])
    yield "read beyond its window", first, expected[:2]
    _, last = model.extend(contexts, [ids[-8:], ids[-1:]])
    yield "stepped beyond its window", last, expected[[2, 2]]


def _ids(model: TransformersModel, tokens: int = _TOKENS) -> Int[np.ndarray, " n"]:
    texts = np.flatnonzero(~model.vocabulary.control)
    if len(texts) < 2:
        raise CapabilityError(
            f"{model.name}: its tokenizer knows no text; are its files there?"
        )
    limit = min(tokens, model.context_length or tokens)
    return np.random.default_rng(0).choice(texts, size=limit).astype(np.int32)


def _plain(
    model: TransformersModel,
    ids: Int[np.ndarray, " n"],
    places: Sequence[int] | None = None,
) -> Float[np.ndarray, "rows vocab"]:
    """Logits of one plain forward pass, after every token or in some places."""
    import torch

    kept = 0 if places is None else torch.as_tensor(list(places))
    with torch.inference_mode():
        tokens = torch.as_tensor(ids.astype(np.int64))[None]
        logits = model.network(
            input_ids=tokens, use_cache=False, logits_to_keep=kept
        ).logits[0]
    if logits.shape[-1] != model.vocabulary.size:
        raise CapabilityError(
            f"{model.name}: {logits.shape[-1]} logits a position for "
            f"{model.vocabulary.size} tokens"
        )
    rows = logits.float().numpy().copy()
    rows[:, model.padded] = -np.inf
    return rows
