"""River's drift detectors, at their defaults, on streams of numbers.

    python experiments/_alarm_peers.py STREAMS.npz FOUND.json

runs in an environment that has river, which nescio does not need. STREAMS.npz holds
one array a stream; FOUND.json says for each detector where in each stream it first
went off, or null.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS: dict[str, dict[str, Any]] = {
    "ADWIN": {},
    "KSWIN": {"seed": 0},  # which of the older numbers it compares with
    "PageHinkley": {},
}


def first_alarm(detector: Any, stream: list[float]) -> int | None:
    """Where a detector first goes off."""
    for index, value in enumerate(stream):
        detector.update(value)
        if detector.drift_detected:
            return index
    return None


def main() -> None:
    """Read, run, write."""
    drift = import_module("river.drift")
    with np.load(sys.argv[1]) as kept:
        streams = {name: kept[name].tolist() for name in kept.files}
    found = {
        name: {
            key: first_alarm(getattr(drift, name)(**settings), stream)
            for key, stream in streams.items()
        }
        for name, settings in SETTINGS.items()
    }
    content = {"river": version("river"), "settings": SETTINGS, "found": found}
    Path(sys.argv[2]).write_text(json.dumps(content, allow_nan=False), "utf-8")


if __name__ == "__main__":
    main()
