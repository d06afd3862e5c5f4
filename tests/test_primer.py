"""The primer is true: its examples run, its figures are what draws them."""

from __future__ import annotations

import doctest
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from nescio.cli.main import run

PRIMER = Path(__file__).resolve().parent.parent / "docs" / "primer"
PAGES = sorted(PRIMER.glob("*.md"))
ORDER = (
    "index",
    "entropy",
    "cross-entropy",
    "kl",
    "likelihood",
    "perplexity",
    "language-models",
    "calibration",
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(text: str, language: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of one language, with the line each begins on."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for found in fenced.finditer(text):
        yield text.count("\n", 0, found.start(1)), found[1]


def commands(text: str) -> list[str]:
    """Every `nescio explain` with arguments, in blocks and in sentences."""
    lines = [line for _, block in blocks(text, "console") for line in block.split("\n")]
    named = [*lines, *re.findall(r"`(nescio [^`]+)`", text)]
    return [line for line in named if re.match(r"nescio explain \S+ --", line)]


def failures(page: Path) -> tuple[int, str]:
    """How many examples a page has, and what the wrong ones say."""
    text, said = page.read_text("utf-8"), list[str]()
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    names: dict[str, object] = {"__name__": page.stem}
    for line, block in blocks(text, "python"):
        test = parser.get_doctest(block, names, page.name, str(page), line)
        runner.run(test, out=said.append, clear_globs=False)
        names = test.globs
    return runner.summarize(verbose=False).attempted, "".join(said)


def test_there_is_a_page_for_each_concept() -> None:
    assert {page.stem for page in PAGES} == set(ORDER)


@each_page
def test_every_example_of_a_page_gives_what_it_says(page: Path) -> None:
    examples, said = failures(page)
    assert examples >= 5
    assert not said


@each_page
def test_every_block_of_python_is_an_example(page: Path) -> None:
    for _, block in blocks(page.read_text("utf-8"), "python"):
        assert block.startswith(">>> ")


def test_a_wrong_number_on_a_page_is_found(tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text("```python\n>>> 1 + 1\n2\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    examples, said = failures(page)
    assert examples == 2
    assert "Expected:\n    3\nGot:\n    2" in said


@each_page
def test_every_page_has_a_figure_with_a_description(page: Path) -> None:
    shown = re.findall(r"!\[(.+?)\]\(([\w-]+\.svg)\)", page.read_text("utf-8"))
    assert len(shown) == 1
    described, name = shown[0]
    assert len(described) > 20
    picture = (PRIMER / name).read_text("utf-8")
    assert re.search(r"<title>.+?</title><desc>.{40,}?</desc>", picture)


def test_every_figure_is_shown_and_is_what_the_script_draws() -> None:
    figures = runpy.run_path(str(PRIMER / "figures.py"))["FIGURES"]
    stored = {path.stem: path.read_bytes() for path in PRIMER.glob("*.svg")}
    drawn = {name: draw().encode("utf-8") for name, draw in figures.items()}
    assert set(stored) == set(drawn)
    assert [name for name in drawn if stored[name] != drawn[name]] == []
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert all(f"]({name}.svg)" in text for name in stored)


@pytest.mark.parametrize("page", ORDER[1:6])
def test_the_page_of_a_formula_names_the_command_that_explains_it(page: str) -> None:
    named = commands((PRIMER / f"{page}.md").read_text("utf-8"))
    assert any(line.split()[2] == page for line in named)


@each_page
def test_every_explanation_it_names_runs(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in commands(page.read_text("utf-8")):
        assert run(shlex.split(line)[1:]) == 0
        assert capsys.readouterr().out


def test_the_navigation_lists_all_pages_in_the_order_of_a_learner() -> None:
    text = (PRIMER.parent.parent / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"\bprimer/([\w-]+)\.md\b", text)
    assert tuple(listed) == ORDER


@each_page
def test_a_page_is_short(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= 90
