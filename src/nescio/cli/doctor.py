"""``nescio doctor``: what is installed, what runs, and where things lie."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nescio.cli.options import AsJson, console, print_json
from nescio.visible import visible

__all__ = ["doctor"]

_LIBRARIES = (
    "numpy",
    "scipy",
    "pyarrow",
    "torch",
    "transformers",
    "tokenizers",
    "openvino",
    "openai",
)
_NEEDED = {
    "table": (),
    "openvino": ("openvino", "torch", "transformers"),
    "transformers": ("torch", "transformers"),
    "endpoint": ("openai",),
}


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
    usable = [engine for engine in ENGINES if _can_run(engine)]
    return {
        "nescio": nescio_version(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {_cores()} cores",
        "kernel": kernel_path(),
        "native": _native(),
        "engines": ", ".join(usable),
        "precision": "f32 (default, reference), bf16" + _bfloat16(),
        "threads": _threads(),
        "libraries": libraries,
        "cache": str(catalogue.cache_directory()),
        "models": {
            name: "installed"
            if catalogue.installed_directory(name)
            else "not installed"
            for name in catalogue.CATALOGUE
        },
        "exports": _exports(),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _can_run(engine: str) -> bool:
    return all(_version(name) != "not installed" for name in _NEEDED[engine])


def _bfloat16() -> str:
    """What is to be said of bf16 on this processor."""
    if not _can_run("openvino"):
        return ""
    from nescio.errors import CapabilityError
    from nescio.models.openvino_runtime import check_precision

    try:
        check_precision("bf16")
    except CapabilityError:
        return " (openvino: not on this processor)"
    return ""


def _threads() -> int:
    from nescio.models.openvino_runtime import thread_count

    return thread_count()


def _exports() -> str:
    """What openvino keeps of exported models."""
    from nescio.models.openvino_cache import kept

    places = kept()
    size = sum(file.stat().st_size for place in places for file in place.iterdir())
    return f"{len(places)}, {size / 1e6:.0f} MB" if places else "none"


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
