"""The style sheet of our pages: one file, and the shades of the palette."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from nescio.plot.colours import DARK, LEVELS, LIGHT, dark_shade, level_shade

__all__ = ["script", "style_sheet"]


@cache
def style_sheet() -> str:
    """All of the CSS: colours by day and by night, then the rules."""
    return (
        f":root{{{_variables(LIGHT)}{_shades(dark=False)}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}"
        f"{_shades(dark=True)}}}}}\n{_rules()}\n{_asset('page.css')}"
    )


@cache
def script(name: str) -> str:
    """One of our scripts, e.g. ``"page.js"``."""
    return _asset(name)


def _asset(name: str) -> str:
    return files("nescio.report").joinpath(name).read_text(encoding="utf-8").strip()


def _variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


def _shades(*, dark: bool) -> str:
    shade = dark_shade if dark else level_shade
    colours = (shade(k).css.removeprefix("background:") for k in range(LEVELS + 1))
    return "".join(f"--k{k}:{colour};" for k, colour in enumerate(colours))


def _rules() -> str:
    """A mark is shaded by the quantity whose switch is on; the legend always is."""
    return "\n".join(
        f"#by-surprisal:checked~* .s{k},#by-entropy:checked~* .e{k}"
        f"{{background:var(--k{k})}}.k{k}{{fill:var(--k{k})}}"
        for k in range(LEVELS + 1)
    )
