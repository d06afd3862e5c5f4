"""The pieces of a tokenizers backend as bytes, so that every id has a spelling.

Two families are known exactly. In *byte-level* vocabularies a piece is written in an
alphabet of 256 printable characters, one a byte. In *SentencePiece-like* ones a mark
(``▁``) stands for the space and, with byte fallback, ``<0x0A>`` for one byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nescio.errors import CapabilityError
from nescio.models.vocabulary import Vocabulary

__all__ = ["BYTE_ALPHABET", "vocabulary_of"]

_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHER = tuple(byte for byte in range(256) if byte not in _PRINTABLE)

BYTE_ALPHABET: Mapping[str, int] = {
    **{chr(byte): byte for byte in _PRINTABLE},
    **{chr(256 + place): byte for place, byte in enumerate(_OTHER)},
}
"""The byte each character of a byte-level piece stands for: ``Ġ`` is the space."""

_FALLBACK = re.compile("<0x([0-9A-Fa-f]{2})>")
_HARMLESS_DECODERS = frozenset({"Fuse", "Strip"})


def vocabulary_of(
    backend: Any,
    size: int,
    *,
    end: Iterable[int] = (),
) -> Vocabulary:
    r"""What every row of a model's head spells, from its ``tokenizers`` backend.

    Control tokens are the special added tokens, the unknown token, the end tokens,
    and the rows that the tokenizer does not use, which are called ``<pad:ID>``.
    Other added tokens are text.

    Args:
        backend: a ``tokenizers.Tokenizer``.
        size: how many rows the head has, the padding rows included.
        end: ids that end a generation.

    Raises:
        CapabilityError: the head is smaller than the tokenizer, or the pieces are of
            a family whose bytes are not known exactly (WordPiece, for one).

    Example:
        >>> from tokenizers import Tokenizer, decoders, models
        >>> backend = Tokenizer(models.BPE({"Ġa": 0, "Ċ": 1}, []))
        >>> backend.decoder = decoders.ByteLevel()
        >>> vocabulary = vocabulary_of(backend, 3)
        >>> vocabulary.token(0), vocabulary.token(1), vocabulary.label(2)
        (b' a', b'\n', '<pad:2>')
    """
    piece_bytes, added_bytes = _family(backend)
    pieces = {i: p for p, i in backend.get_vocab(with_added_tokens=False).items()}
    added = backend.get_added_tokens_decoder()
    known = pieces | {token: added[token].content for token in added}
    if known and max(known) >= size:
        raise CapabilityError(
            f"the tokenizer knows ids up to {max(known)}, but the model's head has "
            f"only {size} rows: the two do not belong together"
        )
    ends = tuple(end)
    control = {token: f"<pad:{token}>" for token in range(size) if token not in known}
    control |= {token: added[token].content for token in added if added[token].special}
    control |= {token: known[token] for token in _unknown(backend, known)}
    control |= {token: known[token] for token in ends if token in known}
    tokens = [b""] * size
    for token, piece in known.items():
        if token not in control:
            tokens[token] = (added_bytes if token in added else piece_bytes)(piece)
    return Vocabulary.of(tokens, control=control, end=ends)


def _unknown(backend: Any, known: Mapping[int, str]) -> list[int]:
    piece = getattr(backend.model, "unk_token", None)
    return [token for token, content in known.items() if content == piece]


def _family(backend: Any) -> tuple[Callable[[str], bytes], Callable[[str], bytes]]:
    """How a piece, and how an added token, becomes bytes."""
    model = backend.model
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if getattr(model, name, None):
            raise _unreadable(f"marks its pieces with {getattr(model, name)!r}")
    steps = _steps(backend.decoder)
    kinds = [step["type"] for step in steps]
    if "ByteLevel" in kinds:
        _refuse_others(kinds, {"ByteLevel"})
        return _byte_level, str.encode
    mark = _space_mark(steps)
    _refuse_others(kinds, {"Metaspace", "Replace", "ByteFallback"})
    fallback = "ByteFallback" in kinds
    if mark is None and not fallback:
        raise _unreadable(f"has no known decoder ({' + '.join(kinds) or 'none'})")

    def spelled(piece: str) -> bytes:
        byte = _FALLBACK.fullmatch(piece) if fallback else None
        if byte:
            return bytes([int(byte[1], 16)])
        return (piece.replace(mark, " ") if mark else piece).encode()

    return spelled, spelled


def _byte_level(piece: str) -> bytes:
    """As the decoder does: a piece with a foreign character stands for itself."""
    found = [BYTE_ALPHABET.get(character) for character in piece]
    return piece.encode() if None in found else bytes(b for b in found if b is not None)


def _steps(decoder: Any) -> list[dict[str, Any]]:
    """The steps of a decoder, as the backend itself would save them."""
    if decoder is None:
        return []
    saved = json.loads(decoder.__getstate__())
    return saved["decoders"] if saved["type"] == "Sequence" else [saved]


def _space_mark(steps: list[dict[str, Any]]) -> str | None:
    """The character that stands for a space, if there is one."""
    mark = None
    for step in steps:
        if step["type"] == "Metaspace":
            mark = step["replacement"]
        elif step["type"] == "Replace":
            if step["content"] != " " or "String" not in step["pattern"] or mark:
                raise _unreadable(f"replaces {step['pattern']} by {step['content']!r}")
            mark = step["pattern"]["String"]
    return mark


def _refuse_others(kinds: list[str], known: set[str]) -> None:
    others = [kind for kind in kinds if kind not in known | _HARMLESS_DECODERS]
    if others:
        raise _unreadable(f"decodes by {' + '.join(others)}")


def _unreadable(reason: str) -> CapabilityError:
    return CapabilityError(
        f"this tokenizer {reason}: what its tokens spell is not known exactly. "
        "Choose a model with a byte-level or SentencePiece-like BPE vocabulary"
    )
