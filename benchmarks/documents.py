"""The documents that are scored: real English, of many lengths, always the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PLAYS = _ROOT.parent / "shared" / "data" / "text" / "tinyshakespeare.txt"
_PASSAGE = _ROOT / "src" / "nescio" / "cli" / "passage.txt"
_SHORTEST, _STEP, _SIZES = 250, 85, 16  # bytes
_LONG = 2_600
_FAR = 5_000  # bytes between the beginnings of two documents


@dataclass(frozen=True)
class Corpus:
    """Documents, where they come from, and a digest of all of them."""

    source: str
    documents: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the documents, each closed by a zero byte."""
        digest = hashlib.sha256()
        for document in self.documents:
            digest.update(document.encode("utf-8") + b"\0")
        return digest.hexdigest()


def corpus(*, quick: bool = False) -> Corpus:
    """Sixteen documents of 250 to 1,525 bytes and one of 2,600, in a mixed order.

    From the plays beside the checkout; where they are absent, from the passage that
    comes with the program, begun anew at another word for each document.
    """
    sizes = [_SHORTEST + _STEP * (7 * number % _SIZES) for number in range(_SIZES)]
    sizes.insert(_SIZES // 2, _LONG)
    if quick:
        sizes = sizes[:5]
    if _PLAYS.exists():
        text = _PLAYS.read_text("utf-8")
        cut = (_cut(text[_FAR * n :], size) for n, size in enumerate(sizes))
        return Corpus("tinyshakespeare", tuple(cut))
    words = _PASSAGE.read_text("utf-8").split()
    turned = (" ".join(words[7 * n :] + 9 * words) for n in range(len(sizes)))
    cut = (_cut(text, size) for text, size in zip(turned, sizes, strict=True))
    return Corpus("the packaged passage", tuple(cut))


def _cut(text: str, size: int) -> str:
    """About ``size`` bytes of whole words, from the first whole word on."""
    begin = text.index(" ") + 1
    return text[begin : text.index(" ", begin + size)]
