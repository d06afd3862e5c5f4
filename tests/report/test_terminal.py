"""What reaches the terminal, byte by byte: shades, whole characters, no controls."""

import io
import math
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.palette import shade
from nescio.report.terminal import Painter, running, scale, summary_table
from nescio.trace import units
from tests.report.handmade import handmade

OURS = re.compile(r"\x1b\[(?:38;2;\d+;\d+;\d+;48;2;\d+;\d+;\d+|0)m")
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
HOSTILE = (
    b"\x1b[31mred",
    b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    b"\x1b]52;c;aGk=\x07",
    b"\x07\x08\x0c\r\x7f",
    b"\x9b31m",
    "\x9b31m\x85\x90".encode(),
    "\u202eright\u2066to\u2069left\u200f".encode(),
    b"\x00\xff\xfe",
    "\u2028\u2029\ufeff".encode(),
)


def console(*, colour: bool = True, terminal: bool = True, **fields: object) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        color_system="truecolor" if colour else None,
        no_color=not colour,
        width=40,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color"},
        **fields,
    )


def painted(tokens: Sequence[tuple[bytes, float | None]], **options: object) -> str:
    screen = options.pop("screen", None) or console()
    painter = Painter(screen, **options)
    for text, value in tokens:
        painter.token(text, value)
    painter.close()
    return screen.file.getvalue()


def code(nats: float) -> str:
    colour = shade(nats)
    return f"\x1b[38;2;28;36;41;48;2;{colour.red};{colour.green};{colour.blue}m"


def test_a_token_is_its_text_on_its_shade_to_the_byte():
    assert painted([(b" the", 1.5)]) == f"{code(1.5)} the\x1b[0m\n"


def test_an_unscored_token_is_plain():
    assert painted([(b"a", None), (b"b", math.nan)]) == "ab\n"


def test_half_a_character_waits_for_the_other_half_and_their_surprisals_add():
    screen = console()
    painter = Painter(screen)
    painter.token("雨".encode()[:1], 1.0)
    painter.token("雨".encode()[1:2], 2.0)
    assert screen.file.getvalue() == ""
    painter.token("雨".encode()[2:], 0.5)
    assert screen.file.getvalue() == f"{code(3.5)}雨\x1b[0m"


def test_of_entropies_the_mean_is_painted():
    raw = "雨".encode()
    tokens = [(raw[:1], 1.0), (raw[1:], 2.0)]
    assert painted(tokens, by="entropy") == f"{code(1.5)}雨\x1b[0m\n"


def test_a_character_of_which_one_token_is_unscored_has_no_shade():
    raw = "雨".encode()
    assert painted([(raw[:1], None), (raw[1:], 2.0)]) == "雨\n"


def test_a_half_that_never_gets_its_other_half_is_shown_in_hexadecimal():
    assert OURS.sub("", painted([("雨".encode()[:2], 1.0)])) == "⟨e9⟩⟨9b⟩\n"


def test_a_half_followed_by_something_else_keeps_its_own_shade():
    text = painted([(b"\xe9\x9b", 1.0), (b"x", 2.0)])
    assert text == f"{code(1.0)}⟨e9⟩⟨9b⟩\x1b[0m{code(2.0)}x\x1b[0m\n"


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from([b"\xe9", b"\x9b", b"\xa8", b"\xf0\x9f", b"a", b"\n"]),
                st.binary(min_size=1, max_size=4),
                st.text(min_size=1, max_size=3).map(lambda t: t.encode()[:3]),
            ),
            st.floats(0, 9, width=32),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_stream_is_painted_in_the_units_in_which_its_trace_is_shown(tokens):
    pieces = [text for text, _ in tokens]
    trace = handmade(pieces)
    stream = []
    painter = Painter(console())
    painter._paint = lambda lines, value: stream.append(("\n".join(lines), value))
    for text, value in zip(pieces, trace.surprisal.tolist(), strict=True):
        painter.token(text, value)
    painter.close()
    shown = units(trace)
    assert len(stream) == len(shown)
    for (_, value), unit in zip(stream, shown, strict=True):
        assert value == pytest.approx(unit.surprisal)


@pytest.mark.parametrize("raw", HOSTILE)
@pytest.mark.parametrize("colour", [True, False])
def test_no_control_reaches_the_terminal(raw, colour):
    for split in range(len(raw) + 1):
        tokens = [(raw[:split], 1.0), (raw[split:], 2.0)]
        text = painted(tokens, screen=console(colour=colour))
        left = OURS.sub("", text) if colour else text
        assert not CONTROL.search(left)


@given(st.lists(st.binary(max_size=6), max_size=8), st.booleans())
def test_no_control_of_any_bytes_reaches_the_terminal(pieces, colour):
    text = painted([(p, 1.0) for p in pieces], screen=console(colour=colour))
    left = OURS.sub("", text) if colour else text
    assert not CONTROL.search(left)


def test_a_hostile_label_is_shown():
    screen = console()
    painter = Painter(screen)
    painter.token(b"", 1.0, label="<|\x1b[2J|>")
    painter.close()
    assert OURS.sub("", screen.file.getvalue()) == "<|␛[2J|>\n"


def test_a_line_break_is_shown_and_breaks_outside_the_shade():
    text = painted([(b"a\n\nb", 1.0)])
    shaded = code(1.0)
    assert text == (f"{shaded}a↵\x1b[0m\n{shaded}↵\x1b[0m\n{shaded}b\x1b[0m\n")


def test_a_text_that_ends_its_line_gets_no_second_line_break():
    assert painted([(b"a\n", None)], screen=console(colour=False)) == "a\n"
    assert painted([]) == ""


@pytest.mark.parametrize(
    "screen",
    [
        lambda: console(colour=False),
        lambda: console(terminal=False),
        lambda: Console(file=io.StringIO(), width=40, _environ={"NO_COLOR": "1"}),
        lambda: Console(file=io.StringIO(), force_terminal=True, width=40,
                        _environ={"TERM": "dumb"}),
        lambda: Console(file=io.StringIO(), force_terminal=True, width=40,
                        _environ={"TERM": "xterm", "NO_COLOR": "1"}),
    ],
    ids=["no colour", "a file", "NO_COLOR file", "dumb", "NO_COLOR terminal"],
)  # fmt: skip
def test_without_colour_the_text_is_all_there_is(screen):
    text = "Rain, 雨 🌧\n  indented [bold]no markup[/bold] :smile: " + "long " * 30
    made = screen()
    tokens = [(bytes([byte]), 1.0) for byte in text.encode()]
    assert painted(tokens, screen=made) == text + "\n"
    empty = screen()
    scale(empty)
    assert empty.file.getvalue() == ""


def test_a_long_line_is_left_to_the_terminal_to_wrap():
    text = painted([(b"word ", 1.0)] * 30)
    assert OURS.sub("", text) == "word " * 30 + "\n"


@pytest.mark.parametrize(
    ("unit", "numbers"),
    [("bits", "0 2 4 6 8 10 12+"), ("nats", "0 1 2 3 4 5 6 7 8")],
)
def test_the_scale_is_one_line_of_numbers_on_their_shades(unit, numbers):
    screen = console()
    scale(screen, unit)
    text = screen.file.getvalue()
    assert OURS.sub("", text).split() == ["surprisal", *numbers.split(), unit]
    assert text.count("\n") == 1
    nats = math.log(2) if unit == "bits" else 1.0
    for number in numbers.split():
        assert f"{code(float(number.rstrip('+')) * nats)} {number} \x1b[0m" in text


def test_a_painter_prints_the_scale_of_its_own_quantity():
    screen = console()
    Painter(screen, unit="nats", by="entropy").legend()
    words = OURS.sub("", screen.file.getvalue()).split()
    assert (words[0], words[-1]) == ("entropy", "nats")


def test_the_status_says_the_mean_its_unit_and_over_how_much():
    assert running(math.log(2), tokens=1) == "entropy rate 1.00 bits/token over 1 token"
    assert running(1.0, tokens=2, unit="nats") == (
        "entropy rate 1.00 nats/token over 2 tokens"
    )
    assert running(None, tokens=0) == "entropy rate – bits/token over 0 tokens"


def test_a_status_of_bounds_says_both_and_rounds_them_outwards():
    bits = math.log(2)
    assert running(1.239 * bits, high=3.411 * bits, tokens=12) == (
        "entropy rate between 1.23 and 3.42 bits/token over 12 tokens"
    )
    assert running(1.239, high=math.inf, tokens=1, unit="nats") == (
        "entropy rate at least 1.23 nats/token over 1 token"
    )


def test_the_scale_of_lower_bounds_says_so():
    screen = console()
    Painter(screen, by="entropy").legend(least=True)
    words = OURS.sub("", screen.file.getvalue()).split()
    assert words[:4] == ["entropy,", "at", "least", "0"]
    surprised = console()
    Painter(surprised).legend(least=True)
    assert OURS.sub("", surprised.file.getvalue()).startswith("surprisal  0")


def test_another_unit_or_quantity_is_refused():
    with pytest.raises(InvalidInput, match="'bytes'"):
        Painter(console(), unit="bytes")
    with pytest.raises(InvalidInput, match="'rank'"):
        Painter(console(), by="rank")
    with pytest.raises(InvalidInput, match="'bytes'"):
        scale(console(), "bytes")
    with pytest.raises(InvalidInput, match="'bytes'"):
        running(1.0, tokens=1, unit="bytes")


def test_the_table_says_quantity_value_interval_and_population_without_markup():
    recipe = Recipe("perplexity")
    estimates = {
        "perplexity": Estimate(
            "perplexity", 8.7123, "1", 9, "confidence", "its [red]source\x1b[2J",
            recipe, 7.31, 10.48, 0.9,
        ),
        "bits_per_byte": Estimate(
            "bits_per_byte", 0.9, "bits/byte", 9, "exact", "this text", recipe
        ),
        "entropy_rate": Estimate(
            "entropy_rate", None, "bits/token", 9, "bound", "this text", recipe,
            high=2.0,
        ),
        "total_surprisal": Estimate(
            "total_surprisal", 1385.23841, "bits", 9, "exact", "this text", recipe
        ),
    }  # fmt: skip
    screen = Console(file=io.StringIO(), width=100, _environ={})
    screen.print(summary_table(estimates))
    lines = [line.strip() for line in screen.file.getvalue().splitlines()]
    cells = [re.split(r"\s{2,}", line) for line in lines]
    assert cells == [
        ["quantity", "value", "interval", "about"],
        ["perplexity", "8.7", "7.3 to 10.5 (90 % confidence)", "a"],
        ["bits_per_byte", "0.9000 bits/byte", "exact", "b"],
        ["entropy_rate", "–", "−∞ to 2.0000 bits/token (bound)", "b"],
        ["total_surprisal", "1385.2 bits", "exact", "b"],
        ["a: its [red]source␛[2J"],
        ["b: this text"],
    ]
