"""What a network has to do before its numbers are believed.

A few tokens are read in every way the engine reads: at once, in pieces, in a ragged
batch, rewound, and through the tiled head. All have to give the distribution of one
plain forward pass; an architecture that keeps another kind of memory, or does
something unknown after its head, is refused instead of measured wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import CapabilityError, NescioError
from nescio.kernel import pair_statistics

if TYPE_CHECKING:
    from nescio.models.transformers import TransformersModel

__all__ = ["check_head", "check_reading"]

_TOKENS = 24
_LARGEST_KL = {"f32": 1e-5, "bf16": 0.05}
_FOREIGN = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)

Found = tuple[str, Float[np.ndarray, "rows vocab"], Float[np.ndarray, "rows vocab"]]


def check_head(model: TransformersModel) -> None:
    """Check that the tiled head gives the model's own logits.

    Raises:
        CapabilityError: it does not, or the architecture cannot be run here.
    """
    _check(model, _head_only(model))


def check_reading(model: TransformersModel) -> None:
    """Check every way of reading against one plain forward pass.

    Raises:
        CapabilityError: one differs; names it.
    """
    check_head(model)
    _check(model, _every_way(model))


def _check(model: TransformersModel, ways: Iterator[Found]) -> None:
    kind = type(model.network).__name__
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


def _every_way(model: TransformersModel) -> Iterator[Found]:
    ids = _ids(model)
    plain = _plain(model, ids)
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


def _ids(model: TransformersModel) -> Int[np.ndarray, " n"]:
    texts = np.flatnonzero(~model.vocabulary.control)
    if len(texts) < 2:
        raise CapabilityError(
            f"{model.name}: its tokenizer knows no text; are its files there?"
        )
    limit = min(_TOKENS, model.context_length or _TOKENS)
    return np.random.default_rng(0).choice(texts, size=limit).astype(np.int32)


def _plain(
    model: TransformersModel, ids: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n vocab"]:
    import torch

    with torch.inference_mode():
        tokens = torch.as_tensor(ids.astype(np.int64))[None]
        logits = model.network(input_ids=tokens, use_cache=False).logits[0].float()
    if logits.shape[-1] != model.vocabulary.size:
        raise CapabilityError(
            f"{model.name}: {logits.shape[-1]} logits a position for "
            f"{model.vocabulary.size} tokens"
        )
    rows = logits.numpy().copy()
    rows[:, model.padded] = -np.inf
    return rows
