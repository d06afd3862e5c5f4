"""A long run in parts: what is finished is kept, and not made again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Parts:
    """A folder of what is finished: the same command goes on from there.

    It is named by the settings, so that other settings begin anew.
    """

    def __init__(self, work: Path, name: str, settings: dict[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        self.folder = work / f"{name}-{digest.hexdigest()[:10]}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def made(self, name: str, make: Callable[[], Any]) -> Any:
        """JSON values that are made once."""
        path = self.folder / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text("utf-8"))
        begin = time.perf_counter()
        found = make()
        text = json.dumps(found, ensure_ascii=False, allow_nan=False)
        beside = path.with_name(f".{path.name}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
        print(f"  {name}: {time.perf_counter() - begin:.0f} s", flush=True)
        return found
