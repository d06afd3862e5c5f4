"""``nescio compare`` as a person uses it, and as a person misuses it."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from nescio.cli import compare as command
from nescio.cli.main import app, run
from tests.comparison.making import ONE, TWO, make_table

TEXT = "abacabbcaabcbabaacab" * 12


@pytest.fixture(autouse=True, scope="module")
def registered() -> None:
    """The command stands in the program, or is put there."""
    if "compare" not in {one.name for one in app.registered_commands}:
        app.command(name="compare")(command.compare)


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Two tables of one vocabulary, and the options that name them."""
    made = tmp_path / "tables"
    made.mkdir()
    for name, rows in (("one", ONE), ("two", TWO)):
        make_table(made, name, rows)
    return ["-m", f"table:{made}/one.json", "--model", f"table:{made}/two.json"]


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What the command prints with --json: exactly one object."""
    assert run(["compare", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def test_the_json_holds_the_tables_own_numbers(
    capsys: pytest.CaptureFixture[str], models: list[str]
) -> None:
    found = as_json(capsys, "ab", *models)
    assert set(found) == {
        "estimates",
        "counts",
        "items",
        "groups",
        "reference",
        "other",
    }
    first, second = found["items"]
    assert first["text"] == "a"
    assert first["surprisal_reference_bits"] == pytest.approx(1.0)
    assert first["surprisal_other_bits"] == pytest.approx(-math.log2(0.4))
    assert first["delta_p"] == pytest.approx(-0.1)
    kl = 0.5 * math.log2(0.5 / 0.4) + 0.3 * math.log2(0.3 / 0.4)
    assert first["kl_divergence_bits"] == pytest.approx(kl)
    assert second["surprisal_difference_bits"] == pytest.approx(math.log2(0.1 / 0.3))
    assert second["same_top"] is True
    ratio = found["estimates"]["perplexity_ratio"]
    assert ratio["value"] == pytest.approx(math.sqrt(0.5 * 0.1 / (0.4 * 0.3)))
    assert ratio["unit"] == "1"
    assert found["estimates"]["kl_divergence_mean"]["unit"] == "bits/token"
    assert found["counts"]["tokens"] == 2
    assert found["reference"]["model"].endswith("one.json")


def test_nats_are_bits_times_log_two(
    capsys: pytest.CaptureFixture[str], models: list[str]
) -> None:
    nats = as_json(capsys, TEXT, *models, "--unit", "nats")
    bits = as_json(capsys, TEXT, *models)
    for name, estimate in bits["estimates"].items():
        factor = math.log(2) if "bits" in estimate["unit"] else 1.0
        for field in ("value", "low", "high"):
            if estimate[field] is not None:
                expected = estimate[field] * factor
                assert nats["estimates"][name][field] == pytest.approx(expected), name
    assert "js_divergence_nats" in nats["items"][0]


def test_a_person_reads_a_table(
    capsys: pytest.CaptureFixture[str], models: list[str], tmp_path: Path
) -> None:
    path, page = tmp_path / "text.txt", tmp_path / "page.html"
    path.write_text(TEXT)
    assert run(["compare", *models, "--file", str(path), "--html", str(page)]) == 0
    out, err = capsys.readouterr()
    for words in (
        "reference: table:one.json",
        "other: table:two.json",
        "240 tokens",
        "perplexity_ratio",
        "logp_correlation",
        "same_top_share",
        "kl_divergence, bits",
        "99.9 %",
        "median",
    ):
        assert words in out
    assert str(page) in err.replace("\n", "")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_different_vocabularies_are_compared_by_bytes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    letters = make_table(tmp_path, "letters", {(): (0.5, 0.5)}, ("a", "b"))
    wide = make_table(tmp_path, "wide", {(): (0.25, 0.25, 0.5)}, ("a", "b", "ab"))
    assert letters.vocabulary.digest != wide.vocabulary.digest
    names = [f"-mtable:{tmp_path}/{name}.json" for name in ("letters", "wide")]
    found = as_json(capsys, "abb" * 50, *names)
    assert found["estimates"]["bits_per_byte_difference"]["value"] == pytest.approx(0.0)
    assert [item["text"] for item in found["items"][:2]] == ["ab", "b"]
    assert found["items"][0]["surprisal_other_bits"] == pytest.approx(1.0)
    assert run(["compare", "abb" * 50, *names]) == 0
    out = capsys.readouterr().out
    assert "100 stretches between edges that both" in out
    assert "kl_divergence" not in out


def test_infinities_are_named_and_stay_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, p in (("one", (0.5, 0.25, 0.25)), ("none", (0.5, 0.5, 0.0))):
        make_table(tmp_path, name, {(): p})
    names = [f"-mtable:{tmp_path}/{name}.json" for name in ("one", "none")]
    found = as_json(capsys, TEXT, *names)
    assert found["estimates"]["kl_divergence_mean"]["value"] == "Infinity"
    assert found["items"][0]["kl_divergence_bits"] == "Infinity"
    assert found["counts"]["infinite_kl"] == 240
    assert run(["compare", TEXT, *names]) == 0
    assert "infinite KL divergence at 240" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ab"], "Missing option"),
        (["ab", "-m", "table:coin"], "1 model given: name two"),
        (["ab", *["-m", "table:coin"] * 3], "3 models given"),
        (["ab", "-mtable:coin", "-mhttp://127.0.0.1:1/v1#x"], "127.0.0.1:1/v1#x"),
        (["", "-mtable:coin", "-mtable:coin"], "empty"),
        (["xyz", "-mtable:coin", "-mtable:coin"], "cannot write"),
        (["H", "--file", "x", "-mtable:coin", "-mtable:coin"], "give one of"),
        (["--file", "no-such", "-mtable:coin", "-mtable:coin"], "No such file"),
        (["H", "-mtable:coin", "-mno-such-model"], "no-such-model"),
        (["H", "--level", "95", "-mtable:coin", "-mtable:coin"], "level 95"),
        (["H", "--window", "1", "-mtable:coin", "-mtable:coin"], "predicts nothing"),
        (["H", "--engine", "warp", "-mtable:coin", "-mtable:coin"], "unknown engine"),
        (["H", *["--engine", "table"] * 3, *["-mtable:coin"] * 2], "3 engines"),
        (["H", "--html", "/no/folder/x", *["-mtable:coin"] * 2], "no directory"),
    ],
)
def test_a_mistake_is_refused_with_its_reason(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_the_text_is_never_overwritten_by_the_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("HTHT")
    files = ["--file", str(path), "--html", str(path)]
    assert run(["compare", *files, "-mtable:coin", "-mtable:coin"]) == 2
    assert "named twice" in capsys.readouterr().err
    assert path.read_text() == "HTHT"


def test_nothing_given_at_a_terminal_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert run(["compare", "-mtable:coin", "-mtable:coin"]) == 2
    assert "nothing to compare on" in capsys.readouterr().err
