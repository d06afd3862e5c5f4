"""The program that the page on drift shows is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.mark.local_model
def test_the_transformers_program_of_the_page_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (project / "docs" / "drift.md").read_text(encoding="utf-8")
    (program,) = re.findall(
        r"^```python\n(import transformers\n.*?)^```", page, re.MULTILINE | re.DOTALL
    )
    assert len(program.strip().splitlines()) <= 21
    names: dict[str, object] = {}
    exec(compile(program, "docs/drift.md", "exec"), names)
    out = capsys.readouterr().out
    text, said = out.split("\n at most 1 % of texts")
    assert len(text) > 40
    assert "however long" in said
    watch = names["watch"]
    assert watch.tokens == (24,)
    assert 1.0 < watch.entropy_rates[0] < 6.0
    assert float(said.split()[-1]) == watch.entropy_rates[0]
