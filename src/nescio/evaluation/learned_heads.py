"""Heads that were learned, in NumPy and float64: their weights, and β of rows.

The same heads as those of `nescio.training.temperature_heads` and
`nescio.training.temperature_block`, which train them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput
from nescio.evaluation.answer_texts import TextStates

__all__ = ["block_inverse", "check_weights", "inverse", "is_block", "width_of"]

Weights = Mapping[str, np.ndarray]

_BRANCHED = frozenset(
    {"inner", "inner_bias", "outer", "outer_bias", "last", "last_bias"}
)
_LINEAR = frozenset({"last", "last_bias"})
_LAYERED = frozenset({"inner", "inner_bias", "last", "last_bias"})
_BLOCK = frozenset(
    {
        "enter",
        "enter_bias",
        "query",
        "key",
        "value",
        "joined",
        "wide",
        "wide_bias",
        "narrow",
        "narrow_bias",
        "last",
        "last_bias",
    }
)
_NAMES: Mapping[str, tuple[frozenset[str], ...]] = {
    "thermometer": (_BRANCHED,),
    "adaptive temperature": (_LINEAR, _LAYERED, _BLOCK),
}
_SCALING = frozenset({"centre", "spread"})
_OUTERMOST = ("enter", "inner", "last")
_WIDER = 4
_TURNS = 10_000.0
_LEAST = 1e-6
_QUERIES = 256  # of a text that are reckoned side by side


def is_block(weights: Weights) -> bool:
    """Whether a head is a transformer block, which reads whole texts."""
    return "query" in weights


def width_of(weights: Weights) -> int:
    """Of the hidden states that a head reads."""
    name = next(name for name in _OUTERMOST if name in weights)
    return weights[name].shape[-1]


def inverse(
    kind: str, weights: Weights, states: Float[np.ndarray, "n width"]
) -> Float[np.ndarray, " n"]:
    """β of each row from its own state: a thermometer, one layer or two."""
    w = _wide(weights)
    states = _scaled(w, states.astype(np.float64))
    if kind == "thermometer":
        inner = np.einsum("bhw,rw->rbh", w["inner"], states, optimize=True)
        inner = np.maximum(inner + w["inner_bias"], 0.0)
        branches = (inner * w["outer"]).sum(-1) + w["outer_bias"]
        return np.logaddexp(0.0, branches @ w["last"] + w["last_bias"])
    if "inner" in w:
        states = np.maximum(states @ w["inner"].T + w["inner_bias"], 0.0)
    with np.errstate(over="ignore"):
        return np.exp(states @ w["last"] + w["last_bias"])


def block_inverse(weights: Weights, texts: TextStates) -> Float[np.ndarray, " n"]:
    """β of each row from the states of its text up to its own, text by text."""
    w = _wide(weights)
    found = np.empty(len(texts.rows))
    for number, own in _by_text(texts):
        begin = texts.offsets[number]
        places = texts.rows[own] - begin
        states = texts.states[begin : begin + places.max() + 1].astype(np.float64)
        x = _scaled(w, states) @ w["enter"].T + w["enter_bias"]
        for first in range(0, len(own), _QUERIES):
            some = slice(first, first + _QUERIES)
            found[own[some]] = _raw(w, x, places[some])
    with np.errstate(over="ignore"):
        return np.exp(found)


def _by_text(texts: TextStates) -> Iterator[tuple[int, np.ndarray]]:
    """Each text that is asked for, with the answers that stand in it."""
    text = texts.text
    order = np.argsort(text, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(text[order])) + 1):
        if len(own):
            yield int(text[own[0]]), own


def _raw(
    w: Weights, x: Float[np.ndarray, "tokens hidden"], places: np.ndarray
) -> Float[np.ndarray, " rows"]:
    """What the block says at some places of a text."""
    where, normed = np.arange(len(x)), _normed(x)
    key = _turned(np.einsum("ld,hsd->lhs", normed, w["key"], optimize=True), where)
    value = np.einsum("ld,hsd->lhs", normed, w["value"], optimize=True)
    query = np.einsum("ld,hsd->lhs", normed[places], w["query"], optimize=True)
    query = _turned(query, places) / np.sqrt(query.shape[-1])
    scores = np.einsum("qhs,khs->hqk", query, key, optimize=True)
    scores[:, where > places[:, None]] = -np.inf
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    read = np.einsum("hqk,khs->qhs", scores, value, optimize=True)
    x = x[places] + np.einsum("qhs,dhs->qd", read, w["joined"], optimize=True)
    wide = np.maximum(_normed(x) @ w["wide"].T + w["wide_bias"], 0.0)
    x = x + wide @ w["narrow"].T + w["narrow_bias"]
    return x @ w["last"] + w["last_bias"]


def _turned(
    vectors: Float[np.ndarray, "length heads size"], places: np.ndarray
) -> Float[np.ndarray, "length heads size"]:
    half = vectors.shape[-1] // 2
    angles = places[:, None] * _TURNS ** (-np.arange(half) / half)
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    one, other = vectors[..., :half], vectors[..., half:]
    turned = (one * cosine - other * sine, one * sine + other * cosine)
    return np.concatenate(turned, axis=-1)


def _normed(x: Float[np.ndarray, "*rows hidden"]) -> Float[np.ndarray, "*rows hidden"]:
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + _LEAST)


def _wide(weights: Weights) -> dict[str, np.ndarray]:
    return {name: one.astype(np.float64) for name, one in weights.items()}


def _scaled(w: Weights, states: np.ndarray) -> np.ndarray:
    return (states - w["centre"]) / w["spread"] if "centre" in w else states


def check_weights(kind: str, weights: Weights) -> None:
    """Refuse weights that are missing, unknown, of other shapes, or not finite."""
    given = frozenset(weights)
    if given - _SCALING not in _NAMES[kind] or len(given & _SCALING) == 1:
        raise InvalidInput(f"a {kind} has no weights {sorted(given)}")
    for name, one in weights.items():
        if one.dtype != np.float32 or not np.isfinite(one).all():
            raise InvalidInput(f"weights {name!r} are not finite float32 numbers")
    shapes = {name: one.shape for name, one in weights.items()}
    if shapes != _shapes(kind, weights):
        raise InvalidInput(f"weights of a {kind} have shapes that disagree: {shapes}")
    if "spread" in weights and not (weights["spread"] > 0).all():
        raise InvalidInput("spread holds a number that is not above 0")


def _shapes(kind: str, weights: Weights) -> dict[str, tuple[int, ...]]:
    """The shapes that all weights need to have, given the innermost."""
    name = next(name for name in _OUTERMOST if name in weights)
    if kind == "thermometer":
        branches, hidden, width = (*weights["inner"].shape, 0, 0, 0)[:3]
        found = {
            "inner": (3, hidden, width),
            "inner_bias": (3, hidden),
            "outer": (3, hidden),
            "outer_bias": (3,),
            "last": (branches,),
            "last_bias": (),
        }
    elif name == "enter":
        hidden, width = (*weights["enter"].shape, 0, 0)[:2]
        found = _block_shapes(weights, hidden, width)
    elif name == "inner":
        hidden, width = (*weights["inner"].shape, 0, 0)[:2]
        found = {
            "inner": (hidden, width),
            "inner_bias": (hidden,),
            "last": (hidden,),
            "last_bias": (),
        }
    else:
        width = (*weights["last"].shape, 0)[0]
        found = {"last": (width,), "last_bias": ()}
    if "centre" in weights:
        found |= {"centre": (width,), "spread": (width,)}
    return found


def _block_shapes(
    weights: Weights, hidden: int, width: int
) -> dict[str, tuple[int, ...]]:
    heads = max((*weights["query"].shape, 0)[0], 1)
    size, between = hidden // heads // 2 * 2, _WIDER * hidden
    if heads * size != hidden:
        raise InvalidInput(f"a block of width {hidden} has no {heads} heads")
    return {
        "enter": (hidden, width),
        "enter_bias": (hidden,),
        "query": (heads, size, hidden),
        "key": (heads, size, hidden),
        "value": (heads, size, hidden),
        "joined": (hidden, heads, size),
        "wide": (between, hidden),
        "wide_bias": (between,),
        "narrow": (hidden, between),
        "narrow_bias": (hidden,),
        "last": (hidden,),
        "last_bias": (),
    }
