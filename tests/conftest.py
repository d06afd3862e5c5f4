"""Fixtures of the tests alone; what doctests share stands in the top conftest.py."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of pyproject.toml."""
    return Path(__file__).resolve().parent.parent
