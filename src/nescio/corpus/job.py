"""The job in its directory: what was asked, what was found, who works on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from nescio.corpus.documents import CorpusFields
from nescio.corpus.survey import Plan, ShardSize
from nescio.decoding import Window
from nescio.errors import InvalidInput, SchemaError
from nescio.jobs import JOB_FILE, unwritable, write_file
from nescio.jobs import check_empty as check_empty_but_for
from nescio.jobs import remove_partial as remove_partial_in
from nescio.outcome.estimate import nescio_version
from nescio.trace import Origin

__all__ = [
    "SUMMARY_FILE",
    "Asked",
    "CorpusSettings",
    "Job",
    "Keep",
    "check_empty",
    "make_room",
    "read_job",
    "remove_partial",
    "shard_path",
    "write_job",
]

Keep = Literal["summary", "tokens", "candidates"]
"""What stays of every document: sums, also every token, also what else it could be."""

SUMMARY_FILE, _SHARDS = "summary.json", "shards"
_SCHEMA = 1


@dataclass(frozen=True)
class CorpusSettings:
    """How a corpus is scored, and what is kept.

    Args:
        window: how texts are laid and batched.
        keep: ``"summary"`` (sums, some 100 bytes a document), ``"tokens"`` (also the
            text and every token) or ``"candidates"`` (also the most probable ones).
        top: how many candidates a token keeps, with ``keep="candidates"``.
        skip_bad: record bad documents and count them instead of refusing them.
        shard: how large a shard is.

    Raises:
        InvalidInput: another ``keep``, or a ``top`` below 1.
    """

    window: Window = field(default_factory=Window)
    keep: Keep = "summary"
    top: int = 10
    skip_bad: bool = False
    shard: ShardSize = field(default_factory=ShardSize)

    def __post_init__(self) -> None:
        if self.keep not in get_args(Keep):
            raise InvalidInput(f"keep is {self.keep!r}: choose one of {get_args(Keep)}")
        if self.top < 1:
            raise InvalidInput(f"top is {self.top}: at least 1, or keep less")


@dataclass(frozen=True)
class Asked:
    """All that decides the result of a job, beside its documents.

    Args:
        model: the specification the model is loaded from.
        fields: which fields are read.
        settings: how they are scored.
        engine: the backend that was named; None: the one the model implies.
    """

    model: str
    fields: CorpusFields = field(default_factory=CorpusFields)
    settings: CorpusSettings = field(default_factory=CorpusSettings)
    engine: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        chosen = self.settings
        return {
            "model": self.model,
            "engine": self.engine,
            "fields": self.fields.to_dict(),
            "window": dict(vars(chosen.window)),
            "keep": chosen.keep,
            "top": chosen.top if chosen.keep == "candidates" else None,
            "skip_bad": chosen.skip_bad,
            "shard": dict(vars(chosen.shard)),
        }


@dataclass(frozen=True)
class Job:
    """A job as ``job.json`` holds it.

    Args:
        asked: `Asked` as JSON values.
        source: the documents: name, format, SHA-256.
        origin: the model's, with how texts were laid.
        plan: how the documents are divided.
        version: of nescio that began it.
    """

    asked: Mapping[str, Any]
    source: Mapping[str, Any]
    origin: Origin
    plan: Plan
    version: str = field(default_factory=nescio_version)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "schema": _SCHEMA,
            "nescio": self.version,
            "asked": dict(self.asked),
            "source": dict(self.source),
            "origin": self.origin.to_dict(),
            "plan": self.plan.to_dict(),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is in it."""
        raw = json.dumps(self.to_dict(), sort_keys=True).encode("ascii")
        return hashlib.sha256(raw).hexdigest()


def shard_path(directory: Path, shard: int) -> Path:
    """Where a shard lies."""
    return directory / _SHARDS / f"{shard:05d}.parquet"


def make_room(directory: Path) -> None:
    """Make the directory of the shards, if it is not there or not any more."""
    try:
        (directory / _SHARDS).mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(directory / _SHARDS, error) from error


def write_job(directory: Path, job: Job) -> None:
    """Write ``job.json``."""
    text = json.dumps(job.to_dict(), indent=1, allow_nan=False) + "\n"
    write_file(directory / JOB_FILE, text.encode("ascii"))


def read_job(directory: Path) -> Job | None:
    """The job of a directory, or None where there is none yet.

    Raises:
        SchemaError: damaged, or of a newer nescio.
        InvalidInput: the directory holds something else.
    """
    try:
        raw = (directory / JOB_FILE).read_bytes()
    except FileNotFoundError:
        check_empty(directory)
        return None
    except OSError as error:
        raise InvalidInput(f"{directory / JOB_FILE}: {error.strerror}") from error
    try:
        found = json.loads(raw.decode("utf-8"))
        if found["schema"] > _SCHEMA:
            raise SchemaError(
                f"{directory}: job schema {found['schema']} is newer than {_SCHEMA}; "
                "use a newer nescio"
            )
        origin, plan = Origin(**found["origin"]), Plan.from_dict(found["plan"])
        return Job(found["asked"], found["source"], origin, plan, found["nescio"])
    except (
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(
            f"{directory / JOB_FILE} is not a job of nescio, or damaged: {error!r}"
        ) from error


def check_empty(directory: Path) -> None:
    """Refuse a directory with anything but what a job leaves that has not begun.

    Raises:
        InvalidInput: naming one of the files that are there.
    """
    check_empty_but_for(directory, empty=(_SHARDS,))


def remove_partial(directory: Path) -> None:
    """Remove what a process that was killed had not finished; of a job's directory."""
    for folder in (directory, directory / _SHARDS):
        remove_partial_in(folder)
