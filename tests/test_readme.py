"""The README's example and commands are real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nescio.cli.main import run


def blocks(readme: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    text = readme.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.local_model
def test_the_python_example_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks(project / "README.md", "python")
    exec(compile(example, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "bits_per_byte" in out
    assert "estimator" in out
    assert "Paris" in out


PAGES = (
    "README.md",
    "docs/calibration.md",
    "docs/corpus.md",
    "docs/drift.md",
    "docs/endpoints.md",
    "docs/lens.md",
)
NESTED = ("models", "explain", "recalibrate", "drift")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_a_page_names_exists(
    page: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(blocks(project / page, "console")).replace("\\\n", " ")
    commands = [line.split("#")[0].split() for line in text.splitlines()]
    named = [words[1:] for words in commands if words and words[0] == "nescio"]
    assert named
    for words in named:
        depth = 2 if words[0] in NESTED else 1
        assert run([*words[:depth], "--help"]) == 0
        help_text = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in help_text


def test_the_map_names_folders_that_exist(project: Path) -> None:
    text = (project / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:src/nescio/)?(\w+)/`", text)
    assert len(named) > 10
    for name in named:
        homes = (project / name, project / "src" / "nescio" / name)
        assert any(home.is_dir() for home in homes) or name == "results"


def test_the_make_targets_it_names_exist(project: Path) -> None:
    makefile = (project / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(
        blocks(project / "README.md", "console")), re.MULTILINE):  # fmt: skip
        assert f"\n{target}:" in makefile
