"""What tests and doctests share: checked annotations and a plain environment."""

import os

import hypothesis

from tests.annotations import check_annotations

# Before anything imports nescio: from here on every annotated function of nescio
# checks its arguments, its result, and the shapes they share.
check_annotations("nescio")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

# Colour, width and credentials come from whoever runs the tests; output must not.
FOREIGN = (
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "PY_COLORS",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
)
for name in FOREIGN:
    os.environ.pop(name, None)
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "88"
# Models come from the cache alone: a test that would ask a hub fails at once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace["np"] = np
