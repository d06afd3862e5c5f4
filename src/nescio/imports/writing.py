"""An imported file written as nescio's own files, all of them or none."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput
from nescio.imports.imported import Imported
from nescio.outcome import write_outcomes, write_predictions
from nescio.trace import write_traces

__all__ = ["check_directory", "write_imported"]


def check_directory(directory: Path) -> None:
    """Refuse, before any work, a place where no new directory can be.

    Raises:
        InvalidInput: something is there that is no empty directory, or its parent
            cannot be written to.
    """
    try:
        if directory.is_dir() and not any(directory.iterdir()):
            return
        taken = directory.exists() or directory.is_symlink()
    except OSError as error:
        raise InvalidInput(
            f"{directory} cannot be written: {error.strerror}"
        ) from error
    if taken:
        raise InvalidInput(
            f"{directory} is there and is no empty directory: name a new one"
        )
    if not directory.resolve().parent.is_dir():
        raise InvalidInput(f"{directory.resolve().parent} is no directory")


def write_imported(
    directory: str | Path, found: Imported, *, told: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Write what was imported into a new directory, which appears when it is whole.

    ``samples.jsonl`` (as `Samples.read` reads it, with an ``id`` a line),
    ``traces.parquet`` in the same order, ``outcomes.parquet``, ``predictions.parquet``,
    each if there is something to write, and ``import.json``: format, notes, what was
    skipped, verdicts and scored texts.

    Args:
        directory: new, or empty.
        found: what `import_file` gave.
        told: what else goes into ``import.json``; JSON values.

    Returns:
        The names of the files.

    Raises:
        InvalidInput: the directory is there and not empty, or cannot be made.

    Example:
        >>> import pathlib, tempfile
        >>> from nescio.trace import Samples
        >>> found = Imported("vllm", (("a", Samples.of("7 + 5 =", ["12"])),))
        >>> out = pathlib.Path(tempfile.mkdtemp()) / "out"
        >>> write_imported(out, found)
        ('samples.jsonl', 'import.json')
        >>> Samples.read(out / "samples.jsonl") == (found.samples[0][1],)
        True
    """
    directory = Path(directory)
    check_directory(directory)
    real = directory.resolve()
    partial = None
    try:
        partial = Path(tempfile.mkdtemp(dir=real.parent, prefix=".nescio-"))
        names = _fill(partial, found, told or {})
        partial.chmod(0o755)
        if real.is_dir():  # Windows does not replace a directory, even an empty one
            real.rmdir()
        partial.replace(real)
    except OSError as error:
        raise InvalidInput(
            f"{directory} cannot be written: {error.strerror}"
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return names


def _fill(place: Path, found: Imported, told: Mapping[str, Any]) -> tuple[str, ...]:
    names = []
    if found.samples:
        names.append("samples.jsonl")
        with (place / names[-1]).open("w", encoding="utf-8") as file:
            for item, samples in found.samples:
                file.write(json.dumps({"id": item, **samples.to_dict()}) + "\n")
    if found.traces:
        names.append("traces.parquet")
        write_traces(place / names[-1], found.traces)
    if found.outcomes is not None:
        names.append("outcomes.parquet")
        write_outcomes(place / names[-1], found.outcomes)
    if found.predictions is not None:
        names.append("predictions.parquet")
        write_predictions(place / names[-1], found.predictions)
    names.append("import.json")
    text = json.dumps(_described(found) | dict(told), allow_nan=False)
    (place / names[-1]).write_text(text + "\n", encoding="utf-8")
    return tuple(names)


def _described(found: Imported) -> dict[str, Any]:
    """What no other file holds, as JSON values."""
    return {
        "format": found.format,
        "notes": list(found.notes),
        "skipped": [{"where": w, "reason": r} for w, r in found.skipped],
        "marks": [dict(vars(mark)) for mark in found.marks],
        "scored": [
            {**vars(one), "logp": one.logp if one.logp > float("-inf") else "-Infinity"}
            for one in found.scored
        ],
        "without_prompt": list(found.without_prompt),
    }
