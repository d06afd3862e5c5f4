"""SVG as text: elements, numbers, and text that stays text."""

from __future__ import annotations

import unicodedata
from xml.sax.saxutils import escape as _escape_markup

from nescio.visible import visible

__all__ = ["SANS", "SERIF", "document", "element", "escape", "number", "text_width"]

SANS = "ui-sans-serif,system-ui,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif"
SERIF = "'Iowan Old Style','Palatino Linotype',Palatino,'Noto Serif',Georgia,serif"

_NOT_IN_XML = {0xFFFE: "⟨fffe⟩", 0xFFFF: "⟨ffff⟩"}
_ALIKE = {
    28: " \u00a0.,:;'`|!()[]{}/\\",
    30: "ijlI",
    35: "ftJ",
    43: "rs",
    47: "cz",
    51: "aevxy",
    57: "bdghknopqu↵",
    75: "w",
    88: "mMW@%…",
    100: "—",
    0: "\u200c\u200d\ufe0f",
}
"""Characters by width in hundredths of an em, between usual serif and sans faces."""
_WIDTHS = {letter: width / 100 for width, line in _ALIKE.items() for letter in line}


def escape(text: str) -> str:
    r"""Text as XML content or attribute: markup escaped, controls made visible.

    Example:
        >>> escape('a<b "\x00"')
        'a&lt;b &quot;␀&quot;'
    """
    shown = visible(text).translate(_NOT_IN_XML)
    return _escape_markup(shown, {'"': "&quot;", "'": "&#x27;"})


def number(value: float | int) -> str:
    """A coordinate: two decimals at most, no trailing zeros.

    Example:
        >>> number(3.0), number(-0.001), number(12.345)
        ('3', '0', '12.35')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(
    tag: str, content: str | None = None, **attributes: str | float | int
) -> str:
    """One element; ``content`` is markup already, attributes are escaped here.

    An attribute's underscores become hyphens, and ``class_`` is ``class``.

    Example:
        >>> element("path", d="M0 0", stroke_width=1.5, class_="grid")
        '<path d="M0 0" stroke-width="1.5" class="grid"/>'
    """
    written = []
    for name, value in attributes.items():
        text = value if isinstance(value, str) else number(value)
        written.append(f' {name.rstrip("_").replace("_", "-")}="{escape(text)}"')
    opened = f"<{tag}{''.join(written)}"
    return f"{opened}/>" if content is None else f"{opened}>{content}</{tag}>"


def document(
    content: str,
    *,
    width: float | int,
    height: float | int,
    label: str,
    **attributes: str | float | int,
) -> str:
    """A whole picture, which screen readers call ``label``."""
    return element(
        "svg",
        element("title", escape(label)) + content,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        **attributes,
    )


def text_width(text: str, *, size: float | int) -> float:
    """About how wide a text is set, in the unit of ``size``, for layout only.

    Example:
        >>> text_width("日本", size=10)
        20.0
    """
    return size * sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if unicodedata.combining(character):
        return 0.0
    if ord(character) >= 0x1F000:
        return 1.25
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return 0.67 if character.isupper() else 0.55
