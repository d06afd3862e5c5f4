"""``nescio doctor``: what is installed, what runs, and where things lie."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nescio.cli.options import AsJson, console, print_json
from nescio.visible import visible

__all__ = ["doctor"]

_LIBRARIES = ("numpy", "scipy", "pyarrow", "torch", "transformers", "tokenizers")


def doctor(as_json: AsJson = False) -> None:
    """Print engines, precision, kernel, libraries, the cache and what is in it."""
    found = _found()
    if as_json:
        print_json(found)
        return
    out = console()
    for name, value in found.items():
        if isinstance(value, dict):
            out.print(name)
            for key, inner in value.items():
                out.print(visible(f"  {key:<14} {inner}"))
        else:
            out.print(visible(f"{name:<16} {value}"))


def _found() -> dict[str, Any]:
    from nescio.kernel import kernel_path
    from nescio.models import catalogue
    from nescio.outcome.estimate import nescio_version
    from nescio.specification import ENGINES

    libraries = {name: _version(name) for name in _LIBRARIES}
    usable = [e for e in ENGINES if e != "transformers" or _can_run_transformers()]
    return {
        "nescio": nescio_version(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {_cores()} cores",
        "kernel": kernel_path(),
        "native": _native(),
        "engines": ", ".join(usable),
        "precision": "f32 (default, reference), bf16",
        "libraries": libraries,
        "cache": str(catalogue.cache_directory()),
        "models": {
            name: "installed"
            if catalogue.installed_directory(name)
            else "not installed"
            for name in catalogue.CATALOGUE
        },
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _can_run_transformers() -> bool:
    return all(_version(name) != "not installed" for name in ("torch", "transformers"))


def _cores() -> int:
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else (os.cpu_count() or 1)
    )


def _native() -> str:
    try:
        from nescio import _native
    except ImportError:
        return "not built (no compiler at installation); NumPy is used"
    return _native.build_info()
