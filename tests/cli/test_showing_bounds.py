"""What the command shows of entropies that are known by their bounds only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from nescio.cli import showing
from nescio.cli.options import Quantity, Unit
from nescio.cli.showing import Shown, paint, paint_stream, show
from nescio.palette import shade
from nescio.trace import Trace, read_traces
from tests.report.test_terminal import OURS, console
from tests.traces import make_candidates, make_trace

BIT = math.log(2)


@dataclass(frozen=True)
class Event:
    """A token as an endpoint streams it."""

    buffer: bytes
    logp: float = -BIT
    entropy: float | None = None
    entropy_low: float | None = None
    entropy_high: float | None = None
    label: str | None = None


@dataclass(frozen=True)
class Tokens:
    events: Sequence[Event]
    trace: Trace

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)


def bounded(**fields: object) -> Trace:
    """Three tokens of an answer without ids or ranks, the first not scored."""
    given = {
        "unscored": [0],
        "token_ids": None,
        "entropy_low": [1.0, BIT, 2 * BIT],
        "entropy_high": [1.0, 3 * BIT, math.inf],
        "stop": "length",
        **fields,
    }
    return make_trace(["<b>", " rain", "\x1b[31m</script>"], -BIT, **given)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch):
    made = console(highlight=False, markup=False)
    made.width = 88
    monkeypatch.setattr(showing, "console", lambda **_: made)
    return made


def printed(screen) -> str:
    return OURS.sub("", screen.file.getvalue())


def items(capsys: pytest.CaptureFixture[str], trace: Trace, unit: Unit) -> list[dict]:
    show(trace, Shown(unit, as_json=True))
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["items"]


@pytest.mark.parametrize(("unit", "one"), [(Unit.bits, 1.0), (Unit.nats, BIT)])
def test_items_of_bounds_have_both_and_null_where_there_is_no_upper_one(
    capsys: pytest.CaptureFixture[str], unit: Unit, one: float
) -> None:
    found = items(capsys, bounded(), unit)
    low, high = (f"entropy_{end}_{unit.value}" for end in ("low", "high"))
    assert [item[f"entropy_{unit.value}"] for item in found] == [None] * 3
    assert found[0][low] is None
    assert [item[low] for item in found[1:]] == pytest.approx([one, 2 * one])
    assert found[1][high] == pytest.approx(3 * one)
    assert (found[0][high], found[2][high]) == (None, None)
    assert {item["rank"] for item in found} == {item["token_id"] for item in found}


def test_items_of_known_entropies_have_no_bounds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = make_trace(["a", "b"], -BIT, entropy=BIT)
    for item in items(capsys, known, Unit.bits):
        assert item["entropy_bits"] == pytest.approx(1.0)
        assert not [name for name in item if "low" in name or "high" in name]


def test_the_json_bounds_the_entropy_rate(capsys: pytest.CaptureFixture[str]) -> None:
    show(bounded(), Shown(Unit.nats, as_json=True))
    rate = json.loads(capsys.readouterr().out)["estimates"]["entropy_rate"]
    assert (rate["kind"], rate["value"], rate["high"]) == ("bound", None, None)
    assert rate["low"] == pytest.approx(1.5 * BIT)
    assert rate["unit"] == "nats/token"


def test_a_text_is_shaded_by_lower_bounds_and_its_legend_says_so(screen) -> None:
    paint(bounded(), Shown(by=Quantity.entropy))
    colour = shade(BIT)
    code = f"48;2;{colour.red};{colour.green};{colour.blue}m rain"
    assert code in screen.file.getvalue()
    text, legend = printed(screen).splitlines()
    assert text == "<b> rain␛[31m</script>"
    assert legend.startswith("entropy, at least  0  2 ")


def test_a_text_of_unknown_entropies_is_not_shaded_and_says_why(screen) -> None:
    bare = replace(bounded(), entropy_low=None, entropy_high=None)
    paint(bare, Shown(by=Quantity.entropy))
    assert "not shaded: nothing is known of the entropies" in printed(screen)
    paint_stream(Tokens([Event(b"a")], bare), Shown(by=Quantity.entropy))
    assert printed(screen).count("nothing is known of the entropies") == 2


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([Event(b"a", entropy=BIT)], "entropy rate 1.00 bits/token over 1 token"),
        (
            [Event(b"a", entropy_low=BIT, entropy_high=2 * BIT),
             Event(b"b", entropy_low=2 * BIT, entropy_high=3 * BIT)],
            "entropy rate between 1.50 and 2.50 bits/token over 2 tokens",
        ),
        (
            [Event(b"a", entropy=BIT), Event(b"b", entropy_low=0.0, entropy_high=BIT)],
            "entropy rate between 0.50 and 1.00 bits/token over 2 tokens",
        ),
        (
            [Event(b"a", entropy_low=BIT, entropy_high=math.inf)],
            "entropy rate at least 1.00 bits/token over 1 token",
        ),
        (
            [Event(b"a", entropy_low=BIT)],
            "entropy rate at least 1.00 bits/token over 1 token",
        ),
        (
            [Event(b"a", math.nan), Event(b"b", entropy=BIT)],
            "entropy rate 1.00 bits/token over 1 token",
        ),
        ([Event(b"a", math.nan)], "entropy rate – bits/token over 0 tokens"),
        ([], "entropy rate – bits/token over 0 tokens"),
    ],
)  # fmt: skip
def test_an_answer_as_it_comes_says_what_is_known_of_its_entropy_rate(
    screen, events: list[Event], status: str
) -> None:
    trace = bounded()
    assert paint_stream(Tokens(events, trace), Shown()) is trace
    assert printed(screen).splitlines()[-1] == status


def test_an_answer_is_shaded_by_lower_bounds_as_it_comes(screen) -> None:
    events = [
        Event(b"sure", entropy_low=0.0, entropy_high=9.0),
        Event(b" unsure\x1b[2J", entropy_low=4 * BIT, entropy_high=math.inf),
    ]
    paint_stream(Tokens(events, bounded()), Shown(by=Quantity.entropy))
    raw = screen.file.getvalue()
    for text, value in (("sure", 0.0), (" unsure␛[2J", 4 * BIT)):
        colour = shade(value)
        assert f"48;2;{colour.red};{colour.green};{colour.blue}m{text}" in raw
    assert "\nentropy, at least  0 " in printed(screen)


def test_files_of_a_trace_with_bounds_are_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = Shown(
        by=Quantity.entropy,
        out=tmp_path / "t.parquet",
        html=tmp_path / "t.html",
        svg=tmp_path / "t.svg",
    )
    rows = [[], [(b" rain", -0.5), (b"</script>", -1.0)], [(b"", -math.inf)]]
    trace = bounded(candidates=make_candidates(rows))
    show(trace, shown)
    (back,) = read_traces(tmp_path / "t.parquet")
    assert back == trace
    assert np.isposinf(back.entropy_high[2])
    page = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert "1.000–3.000" in page
    assert "≥ 2.000" in page
    assert page.count("<script") == 2
    picture = (tmp_path / "t.svg").read_text(encoding="utf-8")
    assert "entropy\u00a0at\u00a0least" in picture
    table = capsys.readouterr().out
    assert "1.5000 to ∞ bits/token (bound)" in table


def test_a_trace_is_kept_though_its_picture_is_refused(tmp_path: Path) -> None:
    bare = replace(bounded(), entropy_low=None, entropy_high=None)
    shown = Shown(by=Quantity.entropy, out=tmp_path / "t.parquet", svg=tmp_path / "s")
    with pytest.raises(ValueError, match="no entropies"):
        show(bare, shown)
    assert list(read_traces(tmp_path / "t.parquet")) == [bare]
