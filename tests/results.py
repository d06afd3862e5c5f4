"""Results of the long checks: one JSON file each, with what is needed to repeat it."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
LIBRARIES = ("nescio", "numpy", "openvino", "torch", "transformers")


def write_result(name: str, found: dict[str, Any], **recipe: Any) -> None:
    """Write ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    versions = {library: version(library) for library in LIBRARIES}
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    content = {"result": found, "recipe": recipe | {"versions": versions} | machine}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
