"""Reading what others have already stored, into samples, traces and outcomes."""

from __future__ import annotations

from nescio.imports.estimates import accuracy, estimates_of
from nescio.imports.imported import Imported, Mark, OutcomesFrom, Scored
from nescio.imports.reading import FORMATS, import_file
from nescio.imports.writing import write_imported

__all__ = [
    "FORMATS",
    "Imported",
    "Mark",
    "OutcomesFrom",
    "Scored",
    "accuracy",
    "estimates_of",
    "import_file",
    "write_imported",
]
