"""A scored corpus read back: its documents, its traces, its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nescio.corpus.estimates import Resampling, Units, estimates_of
from nescio.corpus.job import (
    Job,
    read_job,
    shard_path,
)
from nescio.corpus.shards import GROUP, finished_shards, read_sums
from nescio.corpus.sums import Sums
from nescio.errors import InvalidInput
from nescio.jobs import (
    JOB_FILE,
)
from nescio.outcome import Estimate
from nescio.trace import Trace, read_traces

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Corpus", "CorpusSummary", "GroupSummary", "read_corpus"]

_NUMBERS = tuple(column.name for column in fields(Sums))
_SHOWN_REFUSED = 100
_OF_THE_MODEL = (
    "model",
    "model_digest",
    "tokenizer_digest",
    "engine",
    "precision",
    "conditioned_on",
)


@dataclass(frozen=True)
class GroupSummary:
    """Counts and rates of some documents; no rates where no token was scored."""

    counts: Mapping[str, int]
    estimates: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "estimates": {k: found.to_dict() for k, found in self.estimates.items()},
            "counts": dict(self.counts),
        }


@dataclass(frozen=True)
class CorpusSummary:
    """A corpus in numbers: all documents, each group, and what was left out.

    Args:
        whole: counts and rates of all documents.
        groups: field to value to counts and rates.
        refused: number, id and problem of bad documents, the first 100.
        job: model, source and settings.
    """

    whole: GroupSummary
    groups: Mapping[str, Mapping[str, GroupSummary]]
    refused: tuple[Mapping[str, Any], ...]
    job: Job

    def to_dict(self) -> dict[str, Any]:
        """What ``--json`` prints: estimates, counts, items (bad documents), groups."""
        return self.whole.to_dict() | {
            "items": [dict(one) for one in self.refused],
            "groups": {
                name: {value: found.to_dict() for value, found in groups.items()}
                for name, groups in self.groups.items()
            },
            "origin": self.job.origin.to_dict(),
            "source": dict(self.job.source),
        }


@dataclass(frozen=True)
class Corpus:
    """A finished job: see `read_corpus`."""

    directory: Path
    job: Job

    def documents(self) -> pa.Table:
        """One row a document in the order of the corpus, as an Arrow table.

        Columns: ``document`` (its number), ``id``, ``cluster``, ``problem`` (None:
        scored; else its place and why not), ``group:FIELD`` for each group, and the
        sums of :class:`nescio.corpus.Sums` in nats.
        """
        import pyarrow as pa

        return pa.concat_tables(read_sums(self.directory, self.job))

    def traces(self) -> Iterator[tuple[Mapping[str, Any], Trace]]:
        """Each scored document's row, as `documents` has it, and its trace.

        Raises:
            InvalidInput: the job kept sums alone.
        """
        if self.job.asked["keep"] == "summary":
            raise InvalidInput(
                f"{self.directory} keeps sums alone; score it with --keep tokens "
                "(keep='tokens') to have traces"
            )
        for shard, table in enumerate(read_sums(self.directory, self.job)):
            traces = read_traces(shard_path(self.directory, shard))
            for row, trace in zip(table.to_pylist(), traces, strict=True):
                if row["problem"] is None:
                    yield row, trace

    def summary(
        self, *, level: float = 0.95, seed: int = 0, resamples: int = 2000
    ) -> CorpusSummary:
        """Rates of all documents and of each group, with intervals by document.

        Whole documents are resampled, or whole clusters where the job names a field
        for them; 5 at least. A rate is a sum over a sum, never a mean of rates.

        Args:
            level: the coverage the intervals aim at, in (0, 1).
            seed, resamples: of the bootstrap.

        Raises:
            InvalidInput: a level that is none, too few resamples for it.
        """
        how = Resampling(level, seed, resamples)
        found = _Columns.of(self.documents(), self.job)
        groups = {
            name: {
                value: found.summed_up(codes == code, how, {name: value})
                for code, value in enumerate(values)
            }
            for name, (codes, values) in found.groups.items()
        }
        everything = np.ones(len(found.scored), dtype=np.bool_)
        whole = found.summed_up(everything, how, {})
        return CorpusSummary(whole, groups, found.refused, self.job)


@dataclass(frozen=True, eq=False)
class _Columns:
    """The documents of a corpus as arrays; groups and clusters as codes."""

    job: Job
    scored: np.ndarray
    numbers: Mapping[str, np.ndarray]
    clusters: np.ndarray | None
    groups: Mapping[str, tuple[np.ndarray, tuple[str, ...]]]
    refused: tuple[Mapping[str, Any], ...]

    @staticmethod
    def of(table: pa.Table, job: Job) -> _Columns:
        import pyarrow.compute as pc

        bad = table.filter(pc.field("problem").is_valid()).slice(0, _SHOWN_REFUSED)
        cluster = job.asked["fields"]["cluster"]
        return _Columns(
            job,
            table["problem"].is_null().to_numpy(),
            {name: pc.fill_null(table[name], 0).to_numpy() for name in _NUMBERS},
            None if cluster is None else _codes(table["cluster"])[0],
            {
                name: _codes(table[GROUP + name])
                for name in job.asked["fields"]["groups"]
            },
            tuple(bad.select(["document", "id", "problem"]).to_pylist()),
        )

    def summed_up(
        self, chosen: np.ndarray, how: Resampling, group: Mapping[str, str]
    ) -> GroupSummary:
        """The counts and rates of the chosen documents."""
        measured = chosen & (self.numbers["scored_tokens"] > 0)  # 0 where refused
        counts = {
            "documents": int(np.count_nonzero(chosen)),
            "refused_documents": int(np.count_nonzero(chosen & ~self.scored)),
            "documents_without_scored_tokens": int(
                np.count_nonzero(chosen & self.scored & ~measured)
            ),
        }
        for name in ("bytes", "tokens", "scored_bytes", "scored_tokens"):
            counts[name] = int(self.numbers[name][chosen].sum())
        columns = {
            name: values[measured].astype(np.float64)
            for name, values in self.numbers.items()
        }
        settings = self._settings(counts, group)
        units = Units(columns, int(np.count_nonzero(measured)), settings=settings)
        if self.clusters is not None:
            by = self.job.asked["fields"]["cluster"]
            units = units.clustered(self.clusters[measured], by)
        return GroupSummary(counts, estimates_of(units, how))

    def _settings(
        self, counts: Mapping[str, int], group: Mapping[str, str]
    ) -> dict[str, Any]:
        origin = self.job.origin
        settings = {name: getattr(origin, name) for name in _OF_THE_MODEL}
        return settings | {
            "decoding": dict(origin.decoding),
            "source": dict(self.job.source),
            "field": self.job.asked["fields"]["text"],
            "group": dict(group),
            "documents": counts["documents"],
            "refused_documents": counts["refused_documents"],
            "scored_bytes": counts["scored_bytes"],
        }


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The place of each value among the sorted ones, -1 for none."""
    import pyarrow.compute as pc

    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=lambda place: values[place])
    rank = np.full(len(values) + 1, -1, dtype=np.int64)
    rank[order] = np.arange(len(values))
    codes = pc.fill_null(encoded.indices, len(values)).to_numpy(zero_copy_only=False)
    return rank[codes], tuple(values[place] for place in order)


def read_corpus(directory: str | Path) -> Corpus:
    """A corpus that was scored into a directory.

    Raises:
        InvalidInput: there is no job, or it is not finished.
        SchemaError: a file is damaged or of another job.

    Example:
        >>> import tempfile, nescio
        >>> from nescio.corpus import read_corpus, score_corpus
        >>> out = tempfile.mkdtemp()
        >>> _ = score_corpus(nescio.load("table:coin"), ["HTTH", "HH"], out=out)
        >>> read_corpus(out).documents()["tokens"].to_pylist()
        [4, 2]
    """
    directory = Path(directory)
    if not (directory / JOB_FILE).is_file():
        raise InvalidInput(f"{directory} holds no job of nescio")
    job = read_job(directory)
    if job is None:
        raise InvalidInput(f"{directory} holds no job of nescio")
    done = finished_shards(directory, job)
    if not all(done):
        raise InvalidInput(
            f"{directory}: {sum(done)} of {len(done)} shards are done; score it again "
            "with the same settings to finish it"
        )
    return Corpus(directory, job)
