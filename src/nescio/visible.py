"""Hostile text made visible: nothing a model or a file says is ever executed.

Control characters, terminal escapes and bidirectional overrides are replaced by
characters one can see. HTML needs escaping on top of this; see the report.
"""

from __future__ import annotations

import unicodedata

__all__ = ["visible", "visible_bytes"]

_KEEP_CATEGORIES = frozenset({"Cn", "Co"})
_JOINERS = frozenset("\u200c\u200d")


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with every control and direction character replaced by a picture.

    Args:
        text: anything.
        keep: characters left as they are, e.g. ``"\n"``.

    Example:
        >>> visible("a\x1b[31mb\n")
        'a␛[31mb␊'
        >>> visible("\u202egnp.exe")
        '⟨202e⟩gnp.exe'
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep else _picture(c) for c in text)


def visible_bytes(raw: bytes) -> str:
    r"""Bytes that may be half a character: what is not UTF-8 is shown in hexadecimal.

    Example:
        >>> visible_bytes(b"\xe6\x97 ok")
        '⟨e6⟩⟨97⟩ ok'
    """
    text = raw.decode("utf-8", errors="surrogateescape")
    if text.isprintable():
        return text
    return "".join(
        f"⟨{ord(c) - 0xDC00:02x}⟩" if 0xDC80 <= ord(c) <= 0xDCFF else _picture(c)
        for c in text
    )


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if character in _JOINERS or character == " ":
        return character
    category = unicodedata.category(character)
    if category[0] == "C" and category not in _KEEP_CATEGORIES:
        return f"⟨{code:x}⟩"
    return f"⟨{code:x}⟩" if category in ("Zl", "Zp") else character
