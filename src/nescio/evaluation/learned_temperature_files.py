"""Learned temperatures as safetensors files: weights, recipe and report in one."""

from __future__ import annotations

from pathlib import Path

from nescio.errors import InvalidInput, SchemaError
from nescio.evaluation.answer_state_files import read_tensors, write_tensors
from nescio.evaluation.learned_temperature import LearnedTemperature, LearningReport

__all__ = ["read_learned_temperature", "write_learned_temperature"]

_KIND = "learned temperature"
_FIELDS = ("kind", "origin", "settings", "report")


def write_learned_temperature(path: str | Path, fitted: LearnedTemperature) -> None:
    """Write a fitted head; the file is replaced only when it is whole.

    Weights are tensors, the recipe and the report JSON in the file's header.

    Raises:
        OSError: the file cannot be written.
    """
    fields = {
        "kind": fitted.kind,
        "origin": dict(fitted.origin),
        "settings": dict(fitted.settings),
        "report": fitted.report.to_dict(),
    }
    write_tensors(path, _KIND, fields, fitted.weights)


def read_learned_temperature(path: str | Path) -> LearnedTemperature:
    """The fitted head that was written, the same to the last bit.

    Raises:
        InvalidInput: there is no such file.
        SchemaError: it is damaged, changed, or something else.
    """
    fields, weights = read_tensors(path, _KIND, _FIELDS, None)
    try:
        report = LearningReport.from_dict(fields["report"])
        return LearnedTemperature(
            fields["kind"], weights, fields["origin"], fields["settings"], report
        )
    except (InvalidInput, KeyError, TypeError, ValueError) as error:
        name = Path(path).name
        raise SchemaError(f"{name}: no learned temperature: {error}") from error
