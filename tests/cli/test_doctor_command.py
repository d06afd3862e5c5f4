"""What ``nescio doctor`` says of an installation."""

from __future__ import annotations

import json

import pytest

from nescio.cli.main import run
from nescio.kernel import kernel_path
from nescio.specification import ENGINES


def test_every_engine_that_is_installed_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["engines"] == ", ".join(ENGINES)
    assert found["kernel"] == kernel_path()


def test_it_is_also_written_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("engines", "kernel", "cache", "smollm2", "openai"):
        assert word in said
