"""Sentences with human translations, out of installed programs' message catalogues.

Programs of a Debian system carry their messages in English with translations by people
(gettext, ``/usr/share/locale/pt_BR/LC_MESSAGES/*.mo``). Whole sentences without
placeholders, markup or options are taken, each once, and split by package: what weights
are chosen on and what is judged never come from one program. Texts stay where they
are; results carry packages, versions, licences and a digest.
"""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCALES = Path("/usr/share/locale")
LANGUAGE = "pt_BR"
SHORTEST, LONGEST, FEWEST_WORDS, MOST_OF_A_FAMILY = 20, 200, 5, 40
_LISTS = ("iso", "xkeyboard")
"""Catalogues of names, which are no sentences."""
_MAGIC = b"\xde\x12\x04\x95"
_STRANGE = re.compile(r"[%\\\n\r\t<>{}|=@$_&`~^*#\[\]/+]|--|\.\.\.|…|  ")
_SENTENCE = re.compile(r"[A-Z][^.?!:]*[a-z][^.?!:]*[.?!]?")
_CLOSED = re.compile(r"[A-ZÀ-Ý].*[^:;,(]")


@dataclass(frozen=True)
class Pair:
    """One sentence in both languages, and the package it is of."""

    english: str
    portuguese: str
    package: str


@dataclass(frozen=True)
class Pairs:
    """Sentences to choose on and sentences to judge on, with where they are from."""

    choosing: tuple[Pair, ...]
    judging: tuple[Pair, ...]
    provenance: dict[str, Any]


def pairs(count: int, choosing: int, *, locales: Path = LOCALES) -> Pairs:
    """Sentences of the catalogues, the same ones for the same packages installed.

    Catalogues are sorted into families by the first letters of their names (all of
    GTK's are one); families go to one side or the other by the hash of their names,
    and sentences are ordered by the hash of their texts, at most 40 a family.
    """
    found: dict[str, list[Pair]] = {}
    for path in sorted((locales / LANGUAGE / "LC_MESSAGES").glob("*.mo")):
        family = re.split(r"[^A-Za-z]", path.stem)[0].lower()
        if family not in _LISTS:
            found.setdefault(family, []).extend(sentences(path))
    seen: set[str] = set()
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    names = sorted((n for n in found if found[n]), key=_order)
    for number, name in enumerate(names):
        fresh = []
        for pair in sorted(found[name], key=lambda one: _order(one.english)):
            keys = {pair.english.lower(), pair.portuguese.lower()}
            if not keys & seen:
                seen |= keys
                fresh.append(pair)
        sides[number % 2].extend(fresh[:MOST_OF_A_FAMILY])
    first, second = (
        sorted(side, key=lambda one: _order(one.english)) for side in sides
    )
    chosen, judged = tuple(first[:choosing]), tuple(second[:count])
    used = sorted({pair.package for pair in (*chosen, *judged)})
    return Pairs(chosen, judged, _provenance(chosen, judged, used, locales))


def sentences(path: Path) -> list[Pair]:
    """The sentences of one catalogue that nothing is put into."""
    found = []
    for key, value in messages(path.read_bytes()):
        if "\0" in key or "\x04" in key:  # plurals, and words told apart by contexts
            continue
        english, portuguese = key.strip(), value.strip()
        if _is_sentence(english, portuguese):
            found.append(Pair(english, portuguese, path.stem))
    return found


def messages(raw: bytes) -> Iterator[tuple[str, str]]:
    """The pairs of a compiled catalogue in UTF-8, without its header."""
    if raw[:4] != _MAGIC:
        return
    count, keys, values = struct.unpack_from("<3I", raw, 8)
    for number in range(count):
        both = []
        for table in (keys, values):
            length, place = struct.unpack_from("<2I", raw, table + 8 * number)
            both.append(raw[place : place + length])
        try:
            key, value = (one.decode("utf-8") for one in both)
        except UnicodeDecodeError:
            continue
        if key:
            yield key, value


def _is_sentence(english: str, portuguese: str) -> bool:
    if not all(SHORTEST <= len(one) <= LONGEST for one in (english, portuguese)):
        return False
    if any(_STRANGE.search(one) for one in (english, portuguese)):
        return False
    if not _SENTENCE.fullmatch(english) or not _CLOSED.fullmatch(portuguese):
        return False
    words = english.split()
    plain = sum(word.strip(".,?!'\"()").isalpha() for word in words)
    return (
        len(words) >= FEWEST_WORDS
        and plain >= 0.8 * len(words)
        and (english.lower() != portuguese.lower())
    )


def _provenance(
    chosen: tuple[Pair, ...], judged: tuple[Pair, ...], used: list[str], locales: Path
) -> dict[str, Any]:
    catalogues = [
        {
            "catalogue": f"{name}.mo",
            "sentences": sum(p.package == name for p in (*chosen, *judged)),
            "side": "choosing" if any(p.package == name for p in chosen) else "judging",
            **_owner(locales / LANGUAGE / "LC_MESSAGES" / f"{name}.mo"),
        }
        for name in used
    ]
    texts = "\n".join(f"{p.english}\t{p.portuguese}" for p in (*chosen, *judged))
    return {
        "language": LANGUAGE,
        "catalogues": catalogues,
        "sentences": {"choosing": len(chosen), "judging": len(judged)},
        "sha256_of_texts": hashlib.sha256(texts.encode()).hexdigest(),
    }


def _owner(path: Path) -> dict[str, Any]:
    """The Debian package of a file, its version and the licences it names."""
    said = _asked("dpkg-query", "--search", str(path))
    package = said.partition(":")[0].split(",")[0] if said else ""
    if not package:
        return {"package": None, "version": None, "licences": []}
    version = _asked("dpkg-query", "--show", "--showformat=${Version}", package)
    notice = Path("/usr/share/doc") / package / "copyright"
    text = notice.read_text("utf-8", errors="replace") if notice.is_file() else ""
    named = re.findall(r"^License: *(\S.*)$", text, flags=re.MULTILINE)
    licences = sorted(set(named))[:8] or (["see its copyright file"] if text else [])
    return {"package": package, "version": version or None, "licences": licences}


def _asked(*command: str) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def _order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
