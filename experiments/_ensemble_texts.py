"""The texts of ensemble.py: English, Japanese, Chinese and emoji, and where from."""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from _calibration_telling import data_folder

from nescio.evaluation.articles import wikitext_articles

CATALOGUES = Path("/usr/share/locale")
LANGUAGES = {"Japanese": "ja", "Chinese": "zh_CN"}
_MAGIC = 0x950412DE  # of a compiled gettext catalogue


@dataclass(frozen=True)
class Texts:
    """Documents of one kind: some to learn from, others to judge on.

    Args:
        learn, judge: UTF-8, about equally long.
        source: where they come from, and their digest.
    """

    learn: tuple[bytes, ...]
    judge: tuple[bytes, ...]
    source: Mapping[str, str]


def all_texts(documents: int, english: int, others: int) -> dict[str, Texts]:
    """Every kind: so many documents each way, of so many bytes."""
    kinds = {"English": _wikitext(documents, english)}
    for name, language in LANGUAGES.items():
        kinds[name] = _catalogues(language, documents, others)
    kinds["emoji"] = _emoji(documents, others)
    return kinds


def _wikitext(documents: int, size: int) -> Texts:
    parts = {}
    for part in ("valid", "test"):
        file = data_folder() / "text" / f"wikitext-2.{part}.txt"
        articles = wikitext_articles(file.read_text("utf-8")).values()
        long = [text.strip().encode() for text in articles]
        long = [_cut(text, size) for text in long if len(text) > size]
        parts[part] = tuple(long[:documents])
    what = "the beginnings of articles: wikitext-2, validation to learn, test to judge"
    return _told(parts["valid"], parts["test"], what)


def _catalogues(language: str, documents: int, size: int) -> Texts:
    """One document a program: what it says, long messages first to last."""
    folder = CATALOGUES / language / "LC_MESSAGES"
    found: dict[str, bytes] = {}
    for file in sorted(folder.glob("*.mo")):
        said = [text for text in _messages(file) if _is_own(text)]
        text = _cut("\n".join(said).encode(), size)
        if len(text) >= size - 3:
            found[file.stem] = text
    if len(found) < 2 * documents:
        sys.exit(
            f"{len(found)} programs speak {language} in {folder}, and "
            f"{2 * documents} are needed: install packages with translations"
        )
    names = list(found)[: 2 * documents]
    texts = [found[name] for name in names]
    what = f"messages of programs, {language} catalogues: {', '.join(names)}"
    return _told(tuple(texts[::2]), tuple(texts[1::2]), what)


def _messages(file: Path) -> Iterator[str]:
    """The translations of a compiled gettext catalogue that are UTF-8."""
    raw = file.read_bytes()
    for order in "<>":
        magic, _, count, _, table = struct.unpack_from(f"{order}5I", raw)
        if magic == _MAGIC:
            break
    else:
        return
    for number in range(1, count):  # the first is the header
        length, begin = struct.unpack_from(f"{order}2I", raw, table + 8 * number)
        try:
            yield from raw[begin : begin + length].decode("utf-8").split("\0")
        except UnicodeDecodeError:  # a catalogue of another encoding
            return


def _is_own(text: str) -> bool:
    """A sentence, and mostly in a script of its own."""
    return len(text) >= 12 and sum(ord(c) > 0x2E7F for c in text) > 0.6 * len(text)


def _emoji(documents: int, size: int) -> Texts:
    """Lists of emoji with their names, drawn without coming back."""
    from rich._emoji_codes import EMOJI

    lines = [f"{emoji} {name.replace('_', ' ')}\n" for name, emoji in EMOJI.items()]
    np.random.default_rng(0).shuffle(lines)
    texts, now = [], ""
    for line in lines:
        now += line
        if len(now.encode()) >= size:
            texts.append(_cut(now.encode(), size))
            now = ""
    what = f"lists of emoji with their names: rich {version('rich')}"
    return _told(
        tuple(texts[:documents]), tuple(texts[documents : 2 * documents]), what
    )


def _cut(text: bytes, size: int) -> bytes:
    """So many bytes, or a few less: whole characters."""
    return text[:size].decode("utf-8", "ignore").encode()


def _told(learn: tuple[bytes, ...], judge: tuple[bytes, ...], what: str) -> Texts:
    digest = hashlib.sha256(b"\0".join((*learn, *judge))).hexdigest()
    return Texts(learn, judge, {"source": what, "sha256": digest})
