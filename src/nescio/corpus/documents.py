"""One document of a corpus: its text, what names it, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import Any

from nescio.errors import InvalidInput

__all__ = ["Document", "CorpusFields", "document_of"]

_LONGEST_LABEL = 1000
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MISSING = object()


@dataclass(frozen=True)
class CorpusFields:
    """Which fields of a row are read.

    A name that is no field itself is followed by its dots: ``"meta.source"``.

    Args:
        text: the field that holds the text.
        id: the field that names a document; None where documents have no names.
        groups: fields whose values divide the documents for the summary.
        cluster: the field that says which documents were drawn together, such as
            their source; None if each document stands alone.

    Raises:
        InvalidInput: an empty name, or a field named twice as a group.

    Example:
        >>> CorpusFields("body", groups=("language",)).names
        ('body', 'language')
    """

    text: str = "text"
    id: str | None = None
    groups: tuple[str, ...] = ()
    cluster: str | None = None

    def __post_init__(self) -> None:
        if "" in self.names:
            raise InvalidInput("a field has a name; one that was given is empty")
        if len(set(self.groups)) < len(self.groups):
            raise InvalidInput(f"groups {list(self.groups)} name a field twice")

    @property
    def names(self) -> tuple[str, ...]:
        """Every field that is read, each once."""
        others = [name for name in (self.id, self.cluster) if name is not None]
        return tuple(dict.fromkeys([self.text, *others, *self.groups]))

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**self.__dict__, "groups": list(self.groups)}


@dataclass(frozen=True)
class Document:
    """One document; where there is a problem, only what could be read of it.

    Args:
        number: how many documents stand before it.
        place: where it stands, e.g. ``"line 3"``.
        text: in UTF-8; empty where there is a problem.
        id, groups, cluster: as `CorpusFields` names them.
        problem: why it cannot be scored, or None.
    """

    number: int
    place: str
    text: bytes = b""
    id: str | None = None
    groups: tuple[str | None, ...] = ()
    cluster: str | None = None
    problem: str | None = None

    def refused(self, problem: str) -> Document:
        """The same document with a problem and without its text."""
        return replace(self, text=b"", problem=problem)


def document_of(
    number: int, place: str, row: Mapping[str, Any] | str, fields: CorpusFields
) -> Document:
    """The document of a row, or of what is wrong with the row.

    Example:
        >>> document_of(0, "line 1", {"text": 7}, CorpusFields()).problem
        "the field 'text' is a number (7), not text"
    """
    if isinstance(row, str):
        nothing = (None,) * len(fields.groups)
        return Document(number, place, groups=nothing, problem=row)
    text, problem = _text(row, fields.text)
    problems = [problem] if problem else []
    id_, cluster, *groups = [
        None if name is None else _label(row, name, problems)
        for name in (fields.id, fields.cluster, *fields.groups)
    ]
    if id_ == "":
        problems.append(f"the field {fields.id!r} is empty")
    first = problems[0] if problems else None
    kept = b"" if problems else text
    return Document(number, place, kept, id_, tuple(groups), cluster, first)


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """The value of a field, by its name or else by its path."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _text(row: Mapping[str, Any], name: str) -> tuple[bytes, str]:
    value = _cell(row, name)
    if not isinstance(value, str):
        return b"", _not_text(row, name, value)
    if not value:
        return b"", f"the field {name!r} is empty: there is nothing to read"
    try:
        return value.encode("utf-8"), ""
    except UnicodeEncodeError as error:
        return b"", (
            f"the field {name!r} holds a lone surrogate at character {error.start}: "
            "it has no UTF-8 bytes"
        )


def _label(row: Mapping[str, Any], name: str, problems: list[str]) -> str | None:
    """An id, group or cluster: one short line of text; or a problem more."""
    value = _cell(row, name)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        problems.append(_not_text(row, name, value))
        return None
    unfit = _UNFIT.search(value)
    if unfit:
        problems.append(
            f"the field {name!r} is {short(value)}, with the control character "
            f"U+{ord(unfit[0]):04X}: names and groups are plain text"
        )
        return None
    if len(value) > _LONGEST_LABEL:
        problems.append(
            f"the field {name!r} has {len(value)} characters: names and groups have "
            f"at most {_LONGEST_LABEL}"
        )
        return None
    return value


def _not_text(row: Mapping[str, Any], name: str, value: Any) -> str:
    if value is _MISSING:
        there = ", ".join(map(repr, list(row)[:8])) or "none"
        return f"there is no field {name!r}; there are: {there}"
    if value is None:
        return f"the field {name!r} is null, not text"
    kinds = {bool: "true or false", int: "a number", float: "a number"}
    kinds |= {list: "a list", dict: "an object", bytes: "bytes"}
    kind = kinds.get(type(value), type(value).__name__)
    return f"the field {name!r} is {kind} ({short(value)}), not text"
