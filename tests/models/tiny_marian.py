"""A tiny random translator: its files, and its forward pass done by hand in float64."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

PIECES = [
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -4.0),
    *((letter, -5.0) for letter in "abcé.fi"),
    ("▁a", -3.0),
    ("▁ab", -3.2),
    ("▁cé", -3.4),
    ("ab", -3.6),
    ("bca", -3.8),
    (".▁", -6.0),
]
WIDTH, HEADS, INNER, LAYERS = 8, 2, 12, (2, 2)
SETTINGS = {
    "bert-train-type-embeddings": "true",
    "dec-cell": "ssru",
    "dec-depth": str(LAYERS[1]),
    "dim-emb": str(WIDTH),
    "dim-vocabs": "\n  - 16\n  - 16",
    "enc-depth": str(LAYERS[0]),
    "lemma-dim-emb": "0",
    "right-left": "false",
    "tied-embeddings-all": "true",
    "transformer-decoder-autoreg": "rnn",
    "transformer-dim-ffn": str(INNER),
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": "2",
    "transformer-heads": str(HEADS),
    "transformer-no-projection": "false",
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-postprocess-top": '""',
    "transformer-preprocess": '""',
    "transformer-tied-layers": "[]",
    "transformer-train-position-embeddings": "false",
    "type": "transformer",
    "ulr": "false",
}
MAP = {"ﬁ": "fi", "\u00a0": " ", "\t": " ", "ﬁb": "abc", "\u00ad": ""}

Arrays = dict[str, np.ndarray]


def random_arrays(seed: int = 3, *, pieces: int = len(PIECES)) -> Arrays:
    """Every weight of the tiny network."""
    rng = np.random.default_rng(seed)
    square, row = (WIDTH, WIDTH), (1, WIDTH)
    shapes = {"Wemb": (pieces, WIDTH), "decoder_ff_logit_out_b": (1, pieces)}
    for side, count, attention in (("encoder", 2, "self"), ("decoder", 2, "context")):
        for layer in range(1, count + 1):
            at = f"{side}_l{layer}"
            for one in "qkvo":
                shapes[f"{at}_{attention}_W{one}"] = square
                shapes[f"{at}_{attention}_b{one}"] = row
            shapes[f"{at}_ffn_W1"], shapes[f"{at}_ffn_b1"] = (WIDTH, INNER), (1, INNER)
            shapes[f"{at}_ffn_W2"], shapes[f"{at}_ffn_b2"] = (INNER, WIDTH), row
            normed = [f"{at}_{attention}_Wo", f"{at}_ffn_ffn"]
            if side == "decoder":
                shapes |= {f"{at}_rnn_W": square, f"{at}_rnn_Wf": square}
                shapes[f"{at}_rnn_bf"] = row
                normed.append(f"{at}_rnn_ffn")
            for name in normed:
                shapes |= {f"{name}_ln_scale": row, f"{name}_ln_bias": row}
    arrays = {name: rng.normal(0, 0.6, shape) for name, shape in shapes.items()}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def file_of(arrays: Mapping[str, np.ndarray], settings: Mapping[str, str]) -> bytes:
    """The binary file: matrices in eight bits and transposed, all else float32."""
    text = "".join(f"{key}: {value}\n" for key, value in settings.items()) + "\0"
    items = [("special:model.yml", 0x101, (len(text),), text.encode())]
    for name, array in arrays.items():
        shape = tuple(array.shape)
        if name == "Wemb" or min(shape) > 1:
            turned = array if name == "Wemb" else array.T
            multiplier = 127.0 / np.abs(array).max()
            whole = np.rint(turned * multiplier).astype(np.int8)
            data = whole.tobytes() + struct.pack("<f", multiplier)
            items.append((name, 0x4101, shape, data + b"\0" * (-len(data) % 256)))
        else:
            items.append((name, 0x404, shape, array.astype("<f4").tobytes()))
    heads, names, shapes = b"", b"", b""
    for name, kind, shape, data in items:
        heads += struct.pack("<4Q", len(name) + 1, kind, len(shape), len(data))
        names += name.encode() + b"\0"
        shapes += struct.pack(f"<{len(shape)}i", *shape)
    front = struct.pack("<QQ", 1, len(items)) + heads + names + shapes
    padding = -(len(front) + 8) % 256
    front += struct.pack("<Q", padding) + b"\0" * padding
    return front + b"".join(data for _, _, _, data in items)


def message(*fields: tuple[int, int | float | bytes]) -> bytes:
    """A protocol buffer's message."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        elif isinstance(value, float):
            out += _varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            out += _varint(number << 3 | 2) + _varint(len(value)) + value
    return out


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def vocabulary_of(
    pieces: Sequence[tuple[str, float]] = PIECES, *fields: tuple[int, bytes]
) -> bytes:
    """A SentencePiece model: the first piece ends a sentence, the second is unknown."""
    kinds = {0: 3, 1: 2}
    own = [
        (1, message((1, piece.encode()), (2, score), (3, kinds.get(number, 1))))
        for number, (piece, score) in enumerate(pieces)
    ]
    mapped = (3, message((1, b"tiny"), (2, character_map(MAP))))
    return message(*own, *(fields or (mapped,)))


def character_map(replaced: Mapping[str, str]) -> bytes:
    """A double-array trie, its nodes put wherever there is room, and the texts."""
    texts, starts = b"", {}
    for key, value in replaced.items():
        starts[key.encode()] = len(texts)
        texts += value.encode() + b"\0"
    units: dict[int, int] = {}
    pending, base = [(0, b"")], 0
    while pending:
        place, prefix = pending.pop()
        base += 256
        leaf = prefix in starts
        units[place] = (prefix[-1] if prefix else 0) | (place ^ base) << 10 | leaf << 8
        if leaf:
            units[base] = starts[prefix] | 1 << 31
        longer = {key[: len(prefix) + 1] for key in starts if key.startswith(prefix)}
        pending += [(base ^ key[-1], key) for key in sorted(longer - {prefix})]
    size = base + 256
    words = struct.pack(f"<{size}I", *(units.get(place, 0) for place in range(size)))
    return struct.pack("<I", len(words)) + words + texts


def write_translator(folder: Path, arrays: Arrays | None = None) -> Path:
    """A folder that `read_translator` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(file_of(arrays or random_arrays(), SETTINGS))
    (folder / "vocabulary.spm").write_bytes(vocabulary_of())
    return folder


def logits_by_hand(
    arrays: Mapping[str, np.ndarray], source: Sequence[int], target: Sequence[int]
) -> np.ndarray:
    """Logits of what follows the start and some pieces, number by number."""
    memory = [_embedded(arrays, piece, at) for at, piece in enumerate(source)]
    for layer in (1, 2):
        name = f"encoder_l{layer}"
        memory = [_attended(arrays, f"{name}_self", row, memory) for row in memory]
        memory = [_fed(arrays, f"{name}_ffn", row) for row in memory]
    kept = {1: [0.0] * WIDTH, 2: [0.0] * WIDTH}
    row = [0.0] * WIDTH
    for at, piece in enumerate([None, *target]):
        row = _embedded(arrays, piece, at)
        for layer in (1, 2):
            name = f"decoder_l{layer}"
            fresh = _times(arrays, f"{name}_rnn_W", row)
            gate = _times(arrays, f"{name}_rnn_Wf", row, f"{name}_rnn_bf")
            for i, (g, f) in enumerate(zip(gate, fresh, strict=True)):
                share = 1.0 / (1.0 + math.exp(-g))
                kept[layer][i] = share * kept[layer][i] + (1.0 - share) * f
            added = [x + max(0.0, c) for x, c in zip(row, kept[layer], strict=True)]
            row = _normed(arrays, f"{name}_rnn_ffn", added)
            row = _attended(arrays, f"{name}_context", row, memory)
            row = _fed(arrays, f"{name}_ffn", row)
    table = arrays["Wemb"].astype(float)
    bias = arrays["decoder_ff_logit_out_b"][0].astype(float)
    return (
        np.array([sum(x * w for x, w in zip(row, line, strict=True)) for line in table])
        + bias
    )


def _embedded(
    arrays: Mapping[str, np.ndarray], piece: int | None, at: int
) -> list[float]:
    half = WIDTH // 2
    row = [0.0] * WIDTH
    if piece is not None:
        row = [float(x) * math.sqrt(WIDTH) for x in arrays["Wemb"][piece]]
    for i in range(half):
        angle = at / 10_000 ** (i / (half - 1))
        row[i] += math.sin(angle)
        row[half + i] += math.cos(angle)
    return row


def _times(
    arrays: Mapping[str, np.ndarray],
    name: str,
    row: list[float],
    bias: str | None = None,
) -> list[float]:
    matrix = arrays[name].astype(float)
    out = [
        sum(x * float(matrix[i, j]) for i, x in enumerate(row))
        for j in range(matrix.shape[1])
    ]
    if bias is not None:
        out = [x + float(b) for x, b in zip(out, arrays[bias][0], strict=True)]
    return out


def _attended(
    arrays: Mapping[str, np.ndarray],
    name: str,
    row: list[float],
    rows: list[list[float]],
) -> list[float]:
    size, out = WIDTH // HEADS, []
    query = _times(arrays, f"{name}_Wq", row, f"{name}_bq")
    keys = [_times(arrays, f"{name}_Wk", one, f"{name}_bk") for one in rows]
    values = [_times(arrays, f"{name}_Wv", one, f"{name}_bv") for one in rows]
    for head in range(HEADS):
        part = range(head * size, (head + 1) * size)
        weights = [
            math.exp(sum(query[i] * key[i] for i in part) / math.sqrt(size))
            for key in keys
        ]
        for i in part:
            mixed = sum(w * value[i] for w, value in zip(weights, values, strict=True))
            out.append(mixed / sum(weights))
    moved = _times(arrays, f"{name}_Wo", out, f"{name}_bo")
    return _normed(
        arrays, f"{name}_Wo", [x + y for x, y in zip(row, moved, strict=True)]
    )


def _fed(arrays: Mapping[str, np.ndarray], name: str, row: list[float]) -> list[float]:
    inner = [max(0.0, x) for x in _times(arrays, f"{name}_W1", row, f"{name}_b1")]
    moved = _times(arrays, f"{name}_W2", inner, f"{name}_b2")
    return _normed(
        arrays, f"{name}_ffn", [x + y for x, y in zip(row, moved, strict=True)]
    )


def _normed(
    arrays: Mapping[str, np.ndarray], name: str, row: list[float]
) -> list[float]:
    mean = sum(row) / len(row)
    spread = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row) + 1e-9)
    scale, bias = arrays[f"{name}_ln_scale"][0], arrays[f"{name}_ln_bias"][0]
    return [
        (x - mean) / spread * float(s) + float(b)
        for x, s, b in zip(row, scale, bias, strict=True)
    ]
