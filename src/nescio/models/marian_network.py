"""Marian's small translation network: transformer encoder, recurrent decoder.

The decoder has, in place of self-attention, a simpler recurrent unit (SSRU), so that
what it keeps of a text is one row a layer. Everything is computed in the type of the
weights; the encoder runs once a source.

Source: Vaswani et al. (2017), Attention Is All You Need; Kim et al. (2019), From
Research to Production and Back (SSRU).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import CapabilityError, SchemaError
from nescio.models.marian_file import EMBEDDING, MarianFile

__all__ = ["BIAS", "Memory", "Network", "network_of"]

Rows = Float[np.ndarray, "batch time width"]
Heads = Float[np.ndarray, "*batch heads n size"]
Pair = tuple[Heads, Heads]

BIAS = "decoder_ff_logit_out_b"
"""Of the head."""

_EPSILON = 1e-9
_NEEDED = {
    "type": "transformer",
    "dec-cell": "ssru",
    "transformer-decoder-autoreg": "rnn",
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": "2",
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-postprocess-top": "",
    "transformer-preprocess": "",
    "transformer-tied-layers": "[]",
    "transformer-train-position-embeddings": "false",
    "transformer-no-projection": "false",
    "tied-embeddings-all": "true",
    "lemma-dim-emb": "0",
    "right-left": "false",
    "ulr": "false",
}
_ATTENTION = ("Wq", "Wk", "Wv", "Wo")


@dataclass(frozen=True, eq=False)
class Memory:
    """What the encoder made of a source: keys and values for each decoder layer."""

    pairs: tuple[Pair, ...] = field(repr=False)

    @property
    def length(self) -> int:
        """How many pieces the source has, its end included."""
        return self.pairs[0][0].shape[-2]


@dataclass(frozen=True, eq=False)
class Network:
    """The weights, and what is computed with them. Use `network_of`.

    Args:
        arrays: by Marian's names, all of one type.
        heads: of every attention.
        layers: of the encoder and of the decoder.
    """

    arrays: Mapping[str, Float[np.ndarray, "..."]] = field(repr=False)
    heads: int
    layers: tuple[int, int]

    @property
    def width(self) -> int:
        """Of every hidden row."""
        return self.arrays[EMBEDDING].shape[1]

    @property
    def vocabulary(self) -> int:
        """How many pieces the head predicts."""
        return self.arrays[EMBEDDING].shape[0]

    @property
    def parameters(self) -> int:
        """How many weights there are."""
        return sum(array.size for array in self.arrays.values())

    def encoded(self, source: Int[np.ndarray, " n"]) -> Memory:
        """Read a whole source, its end included."""
        x = self._embedded(source[None], np.arange(len(source))[None])
        for layer in range(1, self.layers[0] + 1):
            name = f"encoder_l{layer}"
            x = self._attended(f"{name}_self", x, self._pair(f"{name}_self", x[0]))
            x = self._fed_forward(f"{name}_ffn", x)
        names = (f"decoder_l{n}_context" for n in range(1, self.layers[1] + 1))
        return Memory(tuple(self._pair(name, x[0]) for name in names))

    def fresh(self, contexts: int) -> Float[np.ndarray, "contexts layers width"]:
        """What the decoder keeps before it has read anything."""
        shape = (contexts, self.layers[1], self.width)
        return np.zeros(shape, dtype=self.arrays[EMBEDDING].dtype)

    def decoded(
        self,
        memories: Sequence[Memory],
        kept: Float[np.ndarray, "batch layers width"],
        tokens: Int[np.ndarray, "batch time"],
        places: Int[np.ndarray, "batch time"],
    ) -> tuple[Rows, Float[np.ndarray, "batch time layers width"]]:
        """Read target tokens; nothing looks ahead, so that rows may be padded behind.

        Args:
            memories: the source of each row.
            kept: what the decoder keeps so far.
            tokens: to be read; -1 is the start.
            places: how many were read before each.

        Returns:
            What the head takes after each token, and what is kept after it.
        """
        x = self._embedded(tokens, places)
        pairs, hidden = _together(memories)
        states = []
        for layer in range(1, self.layers[1] + 1):
            name = f"decoder_l{layer}"
            x, state = self._recurred(f"{name}_rnn", x, kept[:, layer - 1])
            x = self._attended(f"{name}_context", x, pairs[layer - 1], hidden)
            x = self._fed_forward(f"{name}_ffn", x)
            states.append(state)
        return x, np.stack(states, axis=2)

    def head(
        self, hidden: Float[np.ndarray, "rows width"]
    ) -> Float[np.ndarray, "rows vocab"]:
        """Hidden rows to logits."""
        return hidden @ self.arrays[EMBEDDING].T + self.arrays[BIAS]

    def _embedded(
        self,
        tokens: Int[np.ndarray, "batch time"],
        places: Int[np.ndarray, "batch time"],
    ) -> Rows:
        table = self.arrays[EMBEDDING]
        found = table[tokens] * table.dtype.type(math.sqrt(self.width))
        found[tokens < 0] = 0.0
        return found + _waves(places, self.width).astype(table.dtype)

    def _recurred(
        self, name: str, x: Rows, before: Float[np.ndarray, "batch width"]
    ) -> tuple[Rows, Rows]:
        a = self.arrays
        fresh = x @ a[f"{name}_W"]
        forget = _sigmoid(x @ a[f"{name}_Wf"] + a[f"{name}_bf"])
        new = (1.0 - forget) * fresh
        states = np.empty_like(x)
        for step in range(x.shape[1]):
            before = forget[:, step] * before + new[:, step]
            states[:, step] = before
        return self._normed(f"{name}_ffn", x + np.maximum(states, 0.0)), states

    def _pair(self, name: str, rows: Float[np.ndarray, "n width"]) -> Pair:
        a = self.arrays
        keys = rows @ a[f"{name}_Wk"] + a[f"{name}_bk"]
        values = rows @ a[f"{name}_Wv"] + a[f"{name}_bv"]
        shape = (len(rows), self.heads, -1)
        return (
            np.ascontiguousarray(keys.reshape(shape).transpose(1, 0, 2)),
            np.ascontiguousarray(values.reshape(shape).transpose(1, 0, 2)),
        )

    def _attended(
        self, name: str, x: Rows, pair: Pair, hidden: np.ndarray | None = None
    ) -> Rows:
        a, (keys, values) = self.arrays, pair
        batch, time, width = x.shape
        query = (x @ a[f"{name}_Wq"] + a[f"{name}_bq"]).reshape(
            batch, time, self.heads, -1
        )
        scale = x.dtype.type(1.0 / math.sqrt(query.shape[-1]))
        scores = query.transpose(0, 2, 1, 3) @ keys.swapaxes(-1, -2) * scale
        if hidden is not None:
            scores[np.broadcast_to(hidden[:, None, None], scores.shape)] = -np.inf
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ values).transpose(0, 2, 1, 3).reshape(batch, time, width)
        out = mixed @ a[f"{name}_Wo"] + a[f"{name}_bo"]
        return self._normed(f"{name}_Wo", x + out)

    def _fed_forward(self, name: str, x: Rows) -> Rows:
        a = self.arrays
        inner = np.maximum(x @ a[f"{name}_W1"] + a[f"{name}_b1"], 0.0)
        return self._normed(
            f"{name}_ffn", x + inner @ a[f"{name}_W2"] + a[f"{name}_b2"]
        )

    def _normed(self, name: str, x: Rows) -> Rows:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
        scale, bias = self.arrays[f"{name}_ln_scale"], self.arrays[f"{name}_ln_bias"]
        return centred / spread * scale[0] + bias[0]


def network_of(file: MarianFile) -> Network:
    """The network of a model file, every weight there and of the right shape.

    Raises:
        CapabilityError: another architecture; says which setting differs.
        SchemaError: a weight is missing or has another shape; says which.
    """
    settings = file.configuration
    for key, value in _NEEDED.items():
        if settings.get(key) != value:
            raise CapabilityError(
                f"this Marian model has {key} {settings.get(key)!r}; only {value!r} "
                "is computed here"
            )
    heads = _number(settings, "transformer-heads")
    layers = _number(settings, "enc-depth"), _number(settings, "dec-depth")
    width, inner = (
        _number(settings, "dim-emb"),
        _number(settings, "transformer-dim-ffn"),
    )
    if width % heads or width % 2 or width < 4:
        raise SchemaError(f"a width of {width} for {heads} heads")
    rows = file.arrays.get(EMBEDDING, np.empty((0, 0))).shape[0]
    wanted = dict(_shapes(layers, width, inner)) | {
        EMBEDDING: (rows, width),
        BIAS: (1, rows),
    }
    for name, shape in wanted.items():
        found = file.arrays.get(name)
        if found is None or found.shape != shape:
            has = "is missing" if found is None else f"has the shape {found.shape}"
            raise SchemaError(f"the weight {name} {has}; it needs {shape}")
    return Network({name: file.arrays[name] for name in wanted}, heads, layers)


def _shapes(
    layers: tuple[int, int], width: int, inner: int
) -> list[tuple[str, tuple[int, int]]]:
    """Every weight but the embedding and the head's bias."""
    row, square = (1, width), (width, width)
    found: list[tuple[str, tuple[int, int]]] = []
    for side, count, attention in (
        ("encoder", layers[0], "self"),
        ("decoder", layers[1], "context"),
    ):
        for layer in range(1, count + 1):
            name = f"{side}_l{layer}"
            found += [(f"{name}_{attention}_{w}", square) for w in _ATTENTION]
            found += [(f"{name}_{attention}_b{w[1]}", row) for w in _ATTENTION]
            normed = [f"{name}_{attention}_Wo", f"{name}_ffn_ffn"]
            found += [
                (f"{name}_ffn_W1", (width, inner)),
                (f"{name}_ffn_b1", (1, inner)),
            ]
            found += [(f"{name}_ffn_W2", (inner, width)), (f"{name}_ffn_b2", row)]
            if side == "decoder":
                normed.append(f"{name}_rnn_ffn")
                found += [(f"{name}_rnn_{w}", square) for w in ("W", "Wf")]
                found.append((f"{name}_rnn_bf", row))
            found += [
                (f"{n}_ln_{part}", row) for n in normed for part in ("scale", "bias")
            ]
    return found


def _together(
    memories: Sequence[Memory],
) -> tuple[tuple[Pair, ...], np.ndarray | None]:
    """Keys and values of every row, and which columns are none of its source's.

    Where all rows have one source it is not repeated.
    """
    first = memories[0]
    if all(memory is first for memory in memories):
        return first.pairs, None
    longest = max(memory.length for memory in memories)
    lengths = np.array([memory.length for memory in memories])
    pairs = []
    for layer in range(len(first.pairs)):
        keys, values = (
            np.stack([_padded(m.pairs[layer][part], longest) for m in memories])
            for part in (0, 1)
        )
        pairs.append((keys, values))
    return tuple(pairs), np.arange(longest) >= lengths[:, None]


def _padded(
    rows: Float[np.ndarray, "heads n size"], length: int
) -> Float[np.ndarray, "heads length size"]:
    missing = length - rows.shape[-2]
    return np.pad(rows, ((0, 0), (0, missing), (0, 0))) if missing else rows


def _number(settings: Mapping[str, str], key: str) -> int:
    value = settings.get(key, "")
    if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) < 100_000):
        raise SchemaError(f"the model's {key} is {value[:40]!r}: a number from 1 on")
    return int(value)


def _waves(places: Int[np.ndarray, "batch time"], width: int) -> Rows:
    """Sinusoids of places, the sines first; wavelengths from 2π to 20,000π."""
    half = width // 2
    rates = np.exp(-math.log(10_000.0) / (half - 1) * np.arange(half))
    angles = places[..., None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def _sigmoid(x: Rows) -> Rows:
    tail = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, tail) / (1.0 + tail)
