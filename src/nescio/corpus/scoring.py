"""A corpus scored by a model, shard by shard, resumed after anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nescio.corpus.documents import CorpusFields, Document
from nescio.corpus.estimates import Resampling
from nescio.corpus.job import (
    SUMMARY_FILE,
    Asked,
    CorpusSettings,
    Job,
    make_room,
    read_job,
    remove_partial,
    write_job,
)
from nescio.corpus.reading import Corpus, CorpusSummary, read_corpus
from nescio.corpus.shards import Scored, finished_shards, write_shard
from nescio.corpus.source import Source, documents_of, source_of
from nescio.corpus.survey import survey
from nescio.decoding import Detail, Window, score_texts
from nescio.errors import InvalidInput, SchemaError
from nescio.jobs import check_same, held, write_file
from nescio.models.protocol import Scoring, Tokenized, require
from nescio.outcome.estimate import nescio_version
from nescio.trace import Origin, Trace

__all__ = ["CorpusProgress", "Documents", "run_job", "score_corpus"]

Documents = str | Path | Sequence[str | Mapping[str, Any]]
"""A .jsonl, .csv or .parquet file, or texts or mappings in a list."""


@dataclass(frozen=True)
class CorpusProgress:
    """How far a job is.

    Args:
        stage: ``"reading"``, the first look, or ``"scoring"``.
        bytes: of text, that are done; those of an earlier run count.
        total_bytes: 0 while reading, when it is not known yet.
        documents: that are done.
        tokens: that were scored in this run.
        shards, total_shards: that are done, and in all.
    """

    stage: str
    bytes: int
    total_bytes: int = 0
    documents: int = 0
    tokens: int = 0
    shards: int = 0
    total_shards: int = 0


Report = Callable[[CorpusProgress], None]


def score_corpus(
    model: Any,
    documents: Documents,
    *,
    out: str | Path,
    fields: CorpusFields | None = None,
    settings: CorpusSettings | None = None,
    progress: Report | None = None,
) -> Corpus:
    """Score every document of a corpus into a directory; go on where one stopped.

    The documents are looked at once before anything is scored: a bad one is refused
    then. Results are written shard by shard, each as a whole or not at all, so the
    same call after a crash redoes one shard at most and gives the same files.
    ``summary.json`` holds the rates of all documents and of each group.

    Args:
        model: a model that is Tokenized and Scoring.
        documents: a ``.jsonl``, ``.jsonl.gz``, ``.csv``, ``.csv.gz`` or ``.parquet``
            file, or a list of texts or of mappings.
        out: the directory; made if it is not there. It holds one job.
        fields: which fields are read; None: ``text`` alone.
        settings: what is kept, how texts are laid, whether bad ones are left out.
        progress: called as it goes.

    Raises:
        InvalidInput: the directory holds another job, is in use or cannot be
            written to; no such file.
        SchemaError: a bad document (line, field, value), a damaged file.
        CapabilityError: the model cannot score.

    Example:
        >>> import tempfile, nescio
        >>> found = score_corpus(
        ...     nescio.load("table:coin"), ["HTTH", "HH", "T"], out=tempfile.mkdtemp()
        ... ).summary()
        >>> round(found.whole.estimates["bits_per_byte"].value, 6)
        1.0
    """
    asked = Asked(model.name, fields or CorpusFields(), settings or CorpusSettings())
    return run_job(documents, asked, lambda: model, out=Path(out), report=progress)[0]


def run_job(
    documents: Documents,
    asked: Asked,
    load: Callable[[], Any],
    *,
    out: Path,
    resampling: Resampling | None = None,
    report: Report | None = None,
) -> tuple[Corpus, CorpusSummary]:
    """As `score_corpus`, for a model that is loaded only if it is needed.

    What can be refused without the model is refused before it is loaded; a finished
    job needs none.
    """
    source, tell = source_of(documents), report or _silent
    with held(out):
        known = {"format": source.format, "sha256": source.digest(asked.fields)}
        job, model = read_job(out), None
        remove_partial(out)
        if job is not None:
            there = {key: job.source[key] for key in known} | dict(job.asked)
            check_same(out, there, known | asked.to_dict())
        if job is None:
            job, model = _begun(source, asked, load, known=known, tell=tell)
            write_job(out, job)
        done = finished_shards(out, job)
        if not all(done):
            model = _resumed(out, job, load()) if model is None else model
            make_room(out)
            _score(_Work(source, asked, job, model, out, done), tell)
        corpus = read_corpus(out)
        return corpus, _written_summary(corpus, resampling or Resampling())


def _begun(
    source: Source,
    asked: Asked,
    load: Callable[[], Any],
    *,
    known: Mapping[str, Any],
    tell: Report,
) -> tuple[Job, Any]:
    plan = survey(
        source,
        asked.fields,
        size=asked.settings.shard,
        skip_bad=asked.settings.skip_bad,
        report=lambda count, read: tell(
            CorpusProgress("reading", read, documents=count)
        ),
    )
    source.check_unchanged()
    model = load()
    require(model, Tokenized, Scoring, purpose="scoring a corpus")
    found = {"name": source.name, **known}
    return Job(
        asked.to_dict(), found, _origin(model, asked.settings.window), plan
    ), model


def _resumed(out: Path, job: Job, model: Any) -> Any:
    """The model, once it is certain that it is the one the job began with."""
    require(model, Tokenized, Scoring, purpose="scoring a corpus")
    window = Window(**job.asked["window"])
    there = {"nescio": job.version, **job.origin.to_dict()}
    now = {"nescio": nescio_version(), **_origin(model, window).to_dict()}
    check_same(out, there, now)
    return model


def _origin(model: Any, window: Window) -> Origin:
    """Of the traces of this job."""
    labels = "".join(model.vocabulary.label(token) or "" for token in model.start)
    decoding = {"kind": "score", "chat": False, **window.settings(model)}
    return replace(model.origin, conditioned_on=labels or None, decoding=decoding)


@dataclass(frozen=True, eq=False)
class _Work:
    """Everything it takes to go on."""

    source: Source
    asked: Asked
    job: Job
    model: Any
    out: Path
    done: Sequence[bool]


def _score(work: _Work, tell: Report) -> None:
    plan = work.job.plan
    bytes_done = sum(n for n, done in zip(plan.bytes, work.done, strict=True) if done)
    now = CorpusProgress(
        "scoring",
        bytes_done,
        sum(plan.bytes),
        sum(len(plan.documents_in(i)) for i, done in enumerate(work.done) if done),
        shards=sum(work.done),
        total_shards=plan.shards,
    )
    tell(now)
    for shard, documents in _shards(work):
        tokens = _score_shard(work, shard, documents, now=now, tell=tell)
        now = replace(
            now,
            bytes=now.bytes + plan.bytes[shard],
            documents=now.documents + len(documents),
            tokens=now.tokens + tokens,
            shards=now.shards + 1,
        )
        documents.clear()  # before the next ones are read
        tell(now)


def _score_shard(
    work: _Work,
    shard: int,
    documents: Sequence[Document],
    *,
    now: CorpusProgress,
    tell: Report,
) -> int:
    """Score and write one shard; how many tokens it has. Nothing of it stays here."""
    found = _scored(work, documents, _within(now, work.job.plan.bytes[shard], tell))
    work.source.check_unchanged()
    write_shard(work.out, work.job, shard, found)
    return sum(len(one.trace) for one in found if one.trace is not None)


def _within(
    before: CorpusProgress, size: int, tell: Report
) -> Callable[[int, int], None]:
    """Reports of one shard's tokens as shares of its bytes."""

    def report(done: int, total: int) -> None:
        part = size * done // max(total, 1)
        tell(replace(before, bytes=before.bytes + part, tokens=before.tokens + done))

    return report


def _shards(work: _Work) -> Iterator[tuple[int, list[Document]]]:
    """The documents of each shard that is still to be done."""
    plan, repeated = work.job.plan, frozenset(work.job.plan.repeated)
    documents = documents_of(work.source, work.asked.fields)
    for shard, done in enumerate(work.done):
        held_back = []
        for _ in plan.documents_in(shard):
            document = next(documents, None)
            if document is None:
                raise SchemaError(f"{work.source.name} was changed while it was read")
            if document.number in repeated:
                document = document.refused(
                    f"the id {document.id!r} is that of an earlier document"
                )
            if not done:
                held_back.append(document)
        if not done:
            yield shard, held_back


def _scored(
    work: _Work, documents: Sequence[Document], report: Callable[[int, int], None]
) -> list[Scored]:
    """The traces of a shard's documents; those the model cannot take are refused."""
    good = [document for document in documents if document.problem is None]
    try:
        traces = _traces(work, good, report)
    except InvalidInput as error:
        refused = _refused_by_model(work, good)
        if not refused:
            raise
        if not work.asked.settings.skip_bad:
            number, reason = next(iter(refused.items()))
            place = next(d.place for d in good if d.number == number)
            raise InvalidInput(
                f"{work.source.name}, {place}: {reason}. Leave such documents out in a "
                "new directory (--skip-bad, skip_bad=True)"
            ) from error
        documents = [
            d.refused(refused[d.number]) if d.number in refused else d
            for d in documents
        ]
        good = [document for document in documents if document.problem is None]
        traces = _traces(work, good, report)
    found = dict(zip((d.number for d in good), traces, strict=True))
    return [Scored(document, found.get(document.number)) for document in documents]


def _traces(
    work: _Work, good: Sequence[Document], report: Callable[[int, int], None]
) -> tuple[Trace, ...]:
    if not good:
        return ()
    return score_texts(
        work.model,
        [document.text for document in good],
        window=work.asked.settings.window,
        detail=Detail(
            work.asked.settings.top if work.asked.settings.keep == "candidates" else 0
        ),
        progress=report,
    )


def _refused_by_model(work: _Work, good: Sequence[Document]) -> dict[int, str]:
    """Which documents the model cannot spell, or that do not fit it, and why."""
    refused: dict[int, str] = {}
    window, model = work.asked.settings.window, work.model
    room = None if window.sliding else window.within(model)[0]
    for document in good:
        try:
            length = len(model.encode(document.text)) + len(model.start)
        except InvalidInput as error:
            refused[document.number] = str(error)
            continue
        if room is not None and length > room:
            refused[document.number] = (
                f"{length} tokens do not fit a window of {room} that does not slide"
            )
    return refused


def _written_summary(corpus: Corpus, how: Resampling) -> CorpusSummary:
    found = corpus.summary(level=how.level, seed=how.seed, resamples=how.resamples)
    text = json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n"
    path = corpus.directory / SUMMARY_FILE
    if not path.exists() or path.read_bytes() != text.encode("ascii"):
        write_file(path, text.encode("ascii"))
    return found


def _silent(progress: CorpusProgress) -> None:
    pass
