"""Models from the cache: where their directories are."""

from pathlib import Path

import pytest


def installed(name: str) -> Path:
    from nescio.models import catalogue

    directory = catalogue.installed_directory(name)
    if directory is None:
        pytest.fail(f"{name} is not in the cache; get it: nescio models get {name}")
    return directory


@pytest.fixture(scope="session")
def smollm2_directory() -> Path:
    """SmolLM2-135M-Instruct, for tests marked ``local_model``."""
    return installed("smollm2")


@pytest.fixture(scope="session")
def gemma_directory() -> Path:
    """Gemma-3-270M, for tests marked ``verify``."""
    return installed("gemma3-270m")
