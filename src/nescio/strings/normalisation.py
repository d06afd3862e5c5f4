"""Texts that differ only in how they are written, made the same."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

__all__ = ["Normalisation", "normalised", "well_formed"]

_SURROGATES = re.compile("[\ud800-\udfff]")
_FRACTION = re.compile("(?<=\\d)(?=[¼-¾⅐-⅞↉])")
_RAISED = re.compile("(?<=\\d)(?=[²³¹⁰⁴-⁹])")
_DASHES = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
_QUOTES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"))
_MARKS = re.compile("[\u0300-\u036f]")
_ARTICLES = re.compile(r"(?<!\S)(?:a|an|the)(?!\S)", re.IGNORECASE)
_KEPT = "%‰&@"
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f]")  # of ASCII, but white space
_OTHER_MARKS = '!"()*,/:;?[\\]_{}`'
_OTHERS = str.maketrans(dict.fromkeys(_OTHER_MARKS, " "))
_OTHER = f"[{re.escape(_OTHER_MARKS)}]"
_ASCII_REMOVALS = tuple(
    (marks, re.compile(beside), re.compile(pattern), instead)
    for marks, beside, pattern, instead in (
        ("'", "[0-9]'[0-9]", "'(?![0-9])|(?<![0-9])'", ""),
        (".", r"\.[0-9]", r"\.(?![0-9])|(?<=[A-Za-z_])\.", ""),
        (
            _OTHER_MARKS,
            f"[0-9]{_OTHER}[0-9]",
            f"{_OTHER}(?![0-9])|(?<![0-9]){_OTHER}",
            " ",
        ),
        ("#", "[A-Za-z]#", "(?<![A-Za-z])#", " "),
        ("-", r"-\.?[0-9]", r"-(?!\.?[0-9])|(?<=[A-Za-z_])-", " "),
    )
)
"""Marks, where some of them may stay, which of them then go, and what stands there."""
_TIMES = 4  # NFKC and case folding settle after two rounds on every known character


@dataclass(frozen=True)
class Normalisation:
    """What does not count when two texts are compared.

    Always: the form of characters (NFKC: full-width and half-width letters, ligatures,
    circled numbers), white space, invisible and control characters, and the kind of
    dash and apostrophe. A superscript and a fraction stay apart from the digits before
    them, which plain NFKC joins: 5² is not 52, and 1½ is not 11⁄2.

    Args:
        case: capitals, by Unicode case folding.
        punctuation: every punctuation mark, the back tick and the underscore, except
            %, ‰, &, @; what stands between two digits (3.5, 2021-05-03); a minus or
            point right before a number (-5, .5); # right after a letter (C#).
            Apostrophes and full stops go without a trace (don't, U.S.), others become
            a space (twenty-one). A text of nothing else keeps them.
        articles: the English words a, an and the. Off by default: in a choice of
            letters "A" is an answer. A text of nothing else keeps them.
        diacritics: accents on Latin, Greek and Cyrillic letters: naïve, but also й,
            which is a letter of its own. No mark of another script goes.

    Source:
        Unicode Standard Annex 15 (NFKC); Unicode Standard 3.13 (case folding).
    """

    case: bool = True
    punctuation: bool = True
    articles: bool = False
    diacritics: bool = False


_DEFAULT = Normalisation()


def normalised(text: str, how: Normalisation = _DEFAULT) -> str:
    """The text as it is compared; normalising it again changes nothing.

    Example:
        >>> normalised("  Ｔｈｅ Ｕ.Ｓ. — “twenty-one”, 3.5 % & -5! ")
        'the us twenty one 3.5 % & -5'
        >>> normalised("The Café", Normalisation(articles=True, diacritics=True))
        'cafe'
        >>> normalised("1½"), normalised("?!")
        ('1 1/2', '?!')
    """
    if text.isascii():
        found = _plain(text.lower() if how.case else text, how)
    else:
        found = _written(text, how)
    return _without_articles(found) if how.articles else found


def well_formed(text: str) -> str:
    r"""The text with U+FFFD for each lone surrogate, so that it has UTF-8 bytes.

    Example:
        >>> well_formed("a\ud800b")
        'a�b'
    """
    if text.isascii():
        return text
    return _SURROGATES.sub("\ufffd", text)


def _plain(text: str, how: Normalisation) -> str:
    """What `_written` does to ASCII, whose few characters are soon looked through."""
    if text.isalnum():
        return text
    found = text if text.isprintable() else _CONTROLS.sub("", text)
    found = _spaced(found)
    if not how.punctuation:
        return found
    kept = found
    for marks, digits, pattern, instead in _ASCII_REMOVALS:
        if len(marks) == 1 and marks not in found:
            continue
        if digits.search(found):
            found = pattern.sub(instead, found)
        elif len(marks) == 1:
            found = found.replace(marks, instead)
        else:
            found = found.translate(_OTHERS)
    return _spaced(found) or kept


def _written(text: str, how: Normalisation) -> str:
    """Any text without what does not count, but for articles."""
    found = _composed(well_formed(text), how.case)
    if how.diacritics:
        plain = _MARKS.sub("", unicodedata.normalize("NFD", found))
        found = _composed(plain, how.case)
    found = _spaced(found)
    return _without_punctuation(found) if how.punctuation else found


def _spaced(text: str) -> str:
    """With one space for each run of white space, and none around it."""
    return " ".join(text.split())


def _composed(text: str, fold: bool) -> str:
    """NFKC, folded, without what is invisible."""
    if text.isascii():
        return _visible(text.lower() if fold else text)
    found = _RAISED.sub("^", _FRACTION.sub(" ", text))
    for _ in range(_TIMES):
        before = found
        found = unicodedata.normalize("NFKC", found.casefold() if fold else found)
        found = _visible(found)
        if found == before:
            break
    return found.translate(_DASHES).translate(_QUOTES).replace("\u2044", "/")


def _visible(text: str) -> str:
    return _invisible().sub("", text)


def _without_punctuation(text: str) -> str:
    found = text
    for pattern, instead in _removals():
        found = pattern.sub(instead, found)
    return _spaced(found) or text


def _without_articles(text: str) -> str:
    return _spaced(_ARTICLES.sub(" ", text)) or text


@cache
def _invisible() -> re.Pattern[str]:
    """Formats, controls that are no white space, and variation selectors."""
    selectors = [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x34F]
    codes = [c for c in range(0x20000) if _is_invisible(chr(c))]
    codes += range(0xE0000, 0xE0080)
    return re.compile(_class(sorted({*codes, *selectors})))


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category == "Cf" or (category == "Cc" and not character.isspace())


@cache
def _removals() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What goes, in this order, and what stands there instead."""
    apart = {ord(c) for c in f".'-#{_KEPT}"}
    codes = [c for c in range(0x20000) if unicodedata.category(chr(c))[0] == "P"]
    others = _class(sorted({*codes, ord("`")} - apart))
    patterns = (
        (r"'(?!\d)|(?<!\d)'", ""),
        (r"\.(?!\d)|(?<=[^\W\d])\.", ""),
        (rf"{others}(?!\d)|(?<!\d){others}", " "),
        (r"(?<![^\W\d_])#", " "),
        (r"-(?!\.?\d)|(?<=[^\W\d])-", " "),
    )
    return tuple((re.compile(pattern), instead) for pattern, instead in patterns)


def _class(codes: list[int]) -> str:
    """A character class of code points, in ranges."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[" + "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in ranges) + "]"
