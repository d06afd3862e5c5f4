"""Every test of the kernel runs on every path that this machine has."""

import os
from collections.abc import Iterator

import pytest

from nescio.kernel.native import available_paths


@pytest.fixture(scope="module", params=available_paths(), autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    """The path that answers, forced for a whole module of tests."""
    before = os.environ.get("NESCIO_KERNEL")
    os.environ["NESCIO_KERNEL"] = request.param
    yield request.param
    if before is None:
        del os.environ["NESCIO_KERNEL"]
    else:
        os.environ["NESCIO_KERNEL"] = before
