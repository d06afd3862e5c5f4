"""A corpus job: what it writes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import nescio
from nescio.corpus import (
    Asked,
    Corpus,
    CorpusFields,
    CorpusProgress,
    CorpusSettings,
    ShardSize,
    Sums,
    read_corpus,
    run_job,
    score_corpus,
)
from nescio.errors import InvalidInput, NescioError, SchemaError
from nescio.information.pooling import characters
from nescio.models.table import Table, read_table
from nescio.trace import read_traces
from tests.corpus.making import bytes_in, rows, write_jsonl

FIELDS = CorpusFields(id="id", groups=("language",))
SMALL = CorpusSettings(shard=ShardSize(bytes=150))
TOKENS = replace(SMALL, keep="tokens")


@pytest.fixture(scope="module")
def model() -> Table:
    return read_table("topics")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "docs.jsonl", rows(20))


def scored(model: Any, source: Any, out: Path, **options: Any) -> Corpus:
    chosen = {"fields": FIELDS, "settings": SMALL} | options
    return score_corpus(model, source, out=out, **chosen)


def refusal(model: Any, source: Any, out: Path, **options: Any) -> str:
    with pytest.raises(NescioError) as caught:
        scored(model, source, out, **options)
    return str(caught.value)


def test_the_sums_of_a_document_are_those_of_its_own_trace(
    model: Table, source: Path, tmp_path: Path
) -> None:
    table = scored(model, source, tmp_path / "out").documents()
    assert table["document"].to_pylist() == list(range(20))
    for row, given in zip(table.to_pylist(), rows(20), strict=True):
        trace = nescio.score(model, given["text"])
        assert (row["id"], row["group:language"]) == (given["id"], given["language"])
        assert row["problem"] is None
        assert row["bytes"] == row["scored_bytes"] == len(given["text"])
        assert row["tokens"] == row["scored_tokens"] == len(trace)
        assert row["scored_characters"] == len(given["text"])
        for name in ("surprisal", "entropy", "varentropy"):
            expected = getattr(trace, name).astype(float).sum()
            assert row[f"total_{name}"] == pytest.approx(expected, rel=1e-9)
        assert row["top_1"] == int((trace.rank == 1).sum())


def test_the_surprisal_of_a_document_is_the_tables_own(tmp_path: Path) -> None:
    coin = nescio.load("table:coin")
    found = score_corpus(coin, ["HTTH", "H"], out=tmp_path / "out")
    sums = np.array(found.documents()["total_surprisal"]) / np.log(2)
    assert sums == pytest.approx([4.0, 1.0], rel=1e-6)


def test_characters_after_an_unscored_token_count_their_share(tmp_path: Path) -> None:
    class Unbegun(Table):
        """A table whose first token nothing predicts."""

        @property
        def start(self) -> tuple[int, ...]:
            return ()

        def logit_blocks(self, sequences: Any, *, skip: Any, rows: int = 128) -> Any:
            return halves.logit_blocks(sequences, skip=skip, rows=rows)

    path = tmp_path / "halves.json"
    tokens = ["a", "é", *({"hex": byte} for byte in ("c3", "ab", "e2", "82ac"))]
    row = {"after": [], "p": [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]}
    path.write_text(json.dumps({"tokens": tokens, "rows": [row]}))
    halves = read_table(path)
    bare = Unbegun(halves.name, halves.vocabulary, halves.rows, halves.digest)
    texts = ["ëa", "€a", "aë", "éa", "ëë", "a"]
    table = score_corpus(bare, texts, out=tmp_path / "out").documents()
    for row, text in zip(table.to_pylist(), texts, strict=True):
        trace = nescio.score(bare, text)
        assert not trace.scored[0]
        assert row["scored_characters"] == pytest.approx(
            characters(trace)[trace.scored].sum()
        )
        assert row["scored_bytes"] == trace.byte_counts[trace.scored].sum()
    assert table["scored_characters"].to_pylist() == pytest.approx(
        [1 + 1 / 2, 1 + 2 / 3, 1, 1, 1 + 1 / 2, 0]
    )


def test_shards_that_keep_tokens_hold_the_very_traces(
    model: Table, source: Path, tmp_path: Path
) -> None:
    corpus = scored(model, source, tmp_path / "out", settings=TOKENS)
    found = list(corpus.traces())
    assert len(found) == 20
    for (row, trace), given in zip(found, rows(20), strict=True):
        expected = nescio.score(model, given["text"], detail=nescio.Detail(top=0))
        assert row["id"] == given["id"]
        assert trace == replace(expected, candidates=None)
    first = next(read_traces(tmp_path / "out" / "shards" / "00000.parquet"))
    assert first == found[0][1]


def test_candidates_are_kept_when_asked_for(
    model: Table, source: Path, tmp_path: Path
) -> None:
    settings = CorpusSettings(keep="candidates", top=2)
    corpus = scored(model, source, tmp_path / "out", settings=settings)
    _, trace = next(corpus.traces())
    expected = nescio.score(model, rows(1)[0]["text"], detail=nescio.Detail(top=2))
    assert trace.candidates.at(0) == expected.candidates.at(0)
    assert len(trace.candidates.at(0)) == 2


def test_sums_alone_give_no_traces(model: Table, source: Path, tmp_path: Path) -> None:
    corpus = scored(model, source, tmp_path / "out")
    with pytest.raises(InvalidInput, match="keeps sums alone"):
        next(corpus.traces())


def test_the_documents_may_be_a_list(model: Table, tmp_path: Path) -> None:
    from_list = scored(model, rows(20), tmp_path / "one")
    path = write_jsonl(tmp_path / "docs.jsonl", rows(20))
    from_file = scored(model, path, tmp_path / "two")
    assert from_list.documents().equals(from_file.documents())
    assert "not text" in refusal(model, [{"text": 3}], tmp_path / "three")


def test_two_runs_give_the_same_bytes(
    model: Table, source: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        scored(model, source, tmp_path / name, settings=TOKENS)
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "two")
    assert len(bytes_in(tmp_path / "one")) > 5


class Crash(Exception):
    """Stands for anything that ends a process."""


def crash_at(shards: int) -> Callable[[CorpusProgress], None]:
    def report(now: CorpusProgress) -> None:
        if now.stage == "scoring" and now.shards == shards:
            raise Crash

    return report


def test_a_job_that_was_stopped_at_any_shard_goes_on_to_the_same_bytes(
    model: Table, source: Path, tmp_path: Path
) -> None:
    whole = scored(model, source, tmp_path / "whole", settings=TOKENS)
    expected = bytes_in(tmp_path / "whole")
    assert whole.job.plan.shards >= 5
    for stopped in range(whole.job.plan.shards + 1):
        out = tmp_path / f"stopped{stopped}"
        with pytest.raises(Crash):
            scored(model, source, out, settings=TOKENS, progress=crash_at(stopped))
        assert len(list((out / "shards").glob("*.parquet"))) == stopped
        before = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
        scored(model, source, out, settings=TOKENS)
        assert bytes_in(out) == expected
        assert all(p.stat().st_mtime_ns == then for p, then in before.items())


def test_half_written_files_of_a_killed_process_are_removed(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(Crash):
        scored(model, source, out, progress=crash_at(1))
    for shard in ("00000", "00001"):
        (out / "shards" / f".{shard}.parquet.part").write_bytes(b"PAR1 half")
    (out / ".summary.json.part").write_bytes(b"{")
    scored(model, source, out)
    scored(model, source, tmp_path / "whole")
    assert bytes_in(out) == bytes_in(tmp_path / "whole")


def test_a_process_killed_before_its_plan_was_written_leaves_no_obstacle(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "shards").mkdir(parents=True)
    (out / ".lock").touch()
    (out / ".job.json.part").write_bytes(b"{")
    assert scored(model, source, out).job.plan.documents == 20


def test_a_finished_job_does_nothing_and_needs_no_model(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scored(model, source, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.*")}

    def never() -> Any:
        raise AssertionError("a finished job loads no model")

    _, found = run_job(source, Asked(model.name, FIELDS, SMALL), never, out=out)
    assert found.whole.counts["documents"] == 20
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.*")} == before


def test_progress_ends_with_everything_done(
    model: Table, source: Path, tmp_path: Path
) -> None:
    seen: list[CorpusProgress] = []
    corpus = scored(model, source, tmp_path / "out", progress=seen.append)
    scoring = [now for now in seen if now.stage == "scoring"]
    done = [now.bytes for now in scoring]
    assert done == sorted(done)
    assert scoring[0].bytes == scoring[0].shards == 0
    assert scoring[-1].bytes == scoring[-1].total_bytes == sum(corpus.job.plan.bytes)
    assert scoring[-1].shards == scoring[-1].total_shards == corpus.job.plan.shards
    assert scoring[-1].documents == 20
    assert scoring[-1].tokens == scoring[-1].total_bytes  # a byte a token here


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fields": CorpusFields(id="id")}, "fields.groups is ['language'] there"),
        ({"settings": replace(SMALL, keep="tokens")}, "keep is 'summary' there"),
        (
            {"settings": replace(SMALL, window=nescio.Window(9))},
            "window.size is None there and 9 now",
        ),
        ({"settings": CorpusSettings()}, "shard.bytes is 150 there"),
        ({"settings": replace(SMALL, skip_bad=True)}, "skip_bad is False there"),
    ],
)
def test_another_job_in_the_same_directory_is_refused_with_what_differs(
    model: Table, source: Path, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    out = tmp_path / "out"
    scored(model, source, out)
    before = bytes_in(out)
    assert words in refusal(model, source, out, **changed)
    assert bytes_in(out) == before


def test_other_documents_or_models_in_the_same_directory_are_refused(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(Crash):
        scored(model, source, out, progress=crash_at(2))
    other = replace(model, digest="0" * 64)
    assert "model_digest is '79ed" in refusal(other, source, out)
    named = replace(model, name="table:other")
    assert "model is 'table:topics' there" in refusal(named, source, out)
    write_jsonl(source, rows(20, seed=1))
    assert "sha256 is" in refusal(model, source, out)


def test_a_job_of_another_version_is_read_but_not_gone_on_with(
    model: Table, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    scored(model, source, out)
    with pytest.raises(Crash):
        scored(model, source, other, progress=crash_at(2))
    monkeypatch.setattr("nescio.corpus.scoring.nescio_version", lambda: "9.9")
    assert scored(model, source, out).job.version == nescio.__version__
    assert "now 9.9" in refusal(model, source, other).replace(
        "and '9.9' now", "now 9.9"
    )


def test_a_directory_of_something_else_is_refused_and_left_alone(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("thesis.tex", ".film.part"):
        (out / name).write_text("x")
        assert f"{name!r} is there" in refusal(model, source, out)
        assert [p.name for p in out.iterdir()] == [name]
        (out / name).unlink()
    assert "is a file" in refusal(model, source, source)
    assert "cannot be written" in refusal(model, source, tmp_path / "no" / "such")


def test_a_bad_document_leaves_no_directory_behind(
    model: Table, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "docs.jsonl", [{"text": "ab"}, {"text": 3}])
    assert "line 2" in refusal(model, path, tmp_path / "out", fields=None)
    assert [p.name for p in tmp_path.iterdir()] == ["docs.jsonl"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not a job of nescio, or damaged"),
        (b"[]", "not a job"),
        (b"[" * 100_000, "not a job"),
        (b"{}", "not a job"),
        (b'{"schema": 99}', "is newer than 1"),
        (b'{"schema": 1, "nescio": "", "asked": {}, "origin": {}}', "not a job"),
    ],
)
def test_a_damaged_job_file_is_refused(
    model: Table, source: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "job.json").write_bytes(content)
    assert words in refusal(model, source, out)


def test_a_shard_that_is_damaged_or_of_another_job_is_refused(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    scored(model, source, out)
    scored(model, source, other, settings=replace(SMALL, skip_bad=True))
    shard = out / "shards" / "00001.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    assert "00001.parquet is damaged" in refusal(model, source, out)
    shutil.copy(other / "shards" / "00001.parquet", shard)
    assert "is not of this job. Delete it" in refusal(model, source, out)
    with pytest.raises(SchemaError, match="not of this job"):
        read_corpus(out)
    shard.unlink()
    with pytest.raises(InvalidInput, match=r"\d of \d+ shards are done"):
        read_corpus(out)
    scored(model, source, out)
    assert shard.read_bytes() == whole


@pytest.mark.parametrize("settings", [SMALL, TOKENS], ids=["sums", "tokens"])
def test_a_shard_whose_inside_is_damaged_is_refused_and_gives_no_number(
    model: Table, source: Path, tmp_path: Path, settings: CorpusSettings
) -> None:
    out = tmp_path / "out"
    corpus = scored(model, source, out, settings=settings)
    expected, shard = corpus.documents(), out / "shards" / "00001.parquet"
    whole, refused = shard.read_bytes(), 0
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in range(4, footer, 41):
        shard.write_bytes(
            whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
        )
        try:
            assert read_corpus(out).documents().equals(expected)  # of the tokens
        except SchemaError as error:
            assert "00001.parquet is damaged" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 20
    shard.write_bytes(whole[:4] + bytes(footer - 4) + whole[footer:])
    assert "is damaged" in refusal(model, source, out, settings=settings)
    shard.unlink()
    scored(model, source, out, settings=settings)
    assert shard.read_bytes() == whole


def test_a_shard_with_other_columns_is_refused(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scored(model, source, out)
    shard = out / "shards" / "00000.parquet"
    table = pq.read_table(shard)
    for other in (
        table.drop_columns(["tokens"]),
        table.set_column(5, "tokens", table["tokens"].cast("string")),
    ):
        pq.write_table(other, shard)
        assert "00000.parquet is damaged" in refusal(model, source, out)


def test_shards_that_were_all_deleted_are_scored_again(
    model: Table, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scored(model, source, out)
    before = bytes_in(out)
    shutil.rmtree(out / "shards")
    scored(model, source, out)
    assert bytes_in(out) == before


def test_reading_where_no_job_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no job"):
        read_corpus(tmp_path)


def test_a_file_that_changes_meanwhile_is_noticed(
    model: Table, source: Path, tmp_path: Path
) -> None:
    def append(now: CorpusProgress) -> None:
        if now.shards == 2:
            with source.open("a") as file:
                file.write('{"text": "ab", "id": "late", "language": "en"}\n')

    out = tmp_path / "out"
    assert "changed while it was read" in refusal(model, source, out, progress=append)
    assert len(list((out / "shards").iterdir())) == 2


def _work_slowly(source: Path, out: Path, begun: Any, end: Any) -> None:
    def wait(now: CorpusProgress) -> None:
        if now.shards == 1:
            begun.set()
            end.wait(30)

    scored(nescio.load("table:topics"), source, out, progress=wait)


def test_a_second_process_in_the_same_directory_is_refused(
    model: Table, source: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    begun, end = context.Event(), context.Event()
    out = tmp_path / "out"
    first = context.Process(target=_work_slowly, args=(source, out, begun, end))
    first.start()
    assert begun.wait(30)
    assert "another process is at work" in refusal(model, source, out)
    end.set()
    first.join(30)
    assert first.exitcode == 0
    assert read_corpus(out).job.plan.documents == 20


def test_bad_documents_are_recorded_and_counted_when_skipped(
    model: Table, tmp_path: Path
) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text(
        '{"text": "ab", "id": "1", "language": "en"}\n'
        '{"text": "", "id": "2", "language": "en"}\n'
        "not json\n"
        '{"text": "cd", "id": "1", "language": "de"}\n'
        '{"text": "xyz", "id": "5", "language": "de"}\n'
        '{"text": "ef", "id": "6", "language": "de"}\n'
    )
    settings = CorpusSettings(keep="tokens", skip_bad=True, shard=ShardSize(3))
    corpus = scored(model, path, tmp_path / "out", settings=settings)
    table = corpus.documents().to_pylist()
    problems = [row["problem"] for row in table]
    assert [p is None for p in problems] == [True, False, False, False, False, True]
    assert problems[1].startswith("line 2: the field 'text' is empty")
    assert "not JSON" in problems[2]
    assert "that of an earlier document" in problems[3]
    assert "cannot write" in problems[4]
    assert [row["tokens"] for row in table] == [2, None, None, None, None, 2]
    assert [trace.text for _, trace in corpus.traces()] == ["ab", "ef"]
    found = corpus.summary()
    assert found.whole.counts["documents"] == 6
    assert found.whole.counts["refused_documents"] == 4
    assert [one["document"] for one in found.refused] == [1, 2, 3, 4]
    assert found.groups["language"]["de"].counts["refused_documents"] == 2


def test_a_text_the_model_cannot_spell_is_refused_by_its_place(
    model: Table, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "docs.jsonl", [{"text": "ab"}, {"text": "xyz"}])
    message = refusal(model, path, tmp_path / "out", fields=None)
    assert "docs.jsonl, line 2: this table cannot write" in message
    assert "--skip-bad" in message


def test_a_text_that_does_not_fit_is_refused_by_its_place(
    model: Table, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "docs.jsonl", [{"text": "ab"}, {"text": "abcdef"}])
    settings = CorpusSettings(window=nescio.Window(4, sliding=False))
    message = refusal(model, path, tmp_path / "out", fields=None, settings=settings)
    assert "line 2: 7 tokens do not fit a window of 4" in message


def test_a_disk_that_is_full_is_said_and_nothing_half_written_stays(
    model: Table, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, calls = tmp_path / "out", os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 6:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr("nescio.jobs.os.fsync", full)
    message = refusal(model, source, out)
    assert "cannot be written: No space left on device" in message
    assert "the same command goes on" in message
    monkeypatch.undo()
    assert not list(out.rglob("*.part"))
    scored(model, source, out)
    scored(model, source, tmp_path / "whole")
    assert bytes_in(out) == bytes_in(tmp_path / "whole")


def test_a_directory_one_may_not_write_to_is_refused(
    model: Table, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", forbidden)
    out = tmp_path / "out"
    assert "out cannot be written: Permission denied" in refusal(model, source, out)


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in (
        lambda: CorpusSettings(keep="all"),
        lambda: CorpusSettings(top=0),
        lambda: ShardSize(0),
        lambda: CorpusFields(""),
        lambda: CorpusFields(groups=("a", "a")),
    ):
        with pytest.raises((NescioError, TypeError)):
            wrong()


def test_columns_of_a_shard_are_the_documented_ones(
    model: Table, source: Path, tmp_path: Path
) -> None:
    scored(model, source, tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / "shards" / "00000.parquet")
    sums = list(Sums.__dataclass_fields__)
    labels = ["document", "id", "cluster", "problem", "group:language"]
    assert schema.names == labels + sums
    job = json.loads((tmp_path / "out" / "job.json").read_text())
    assert job["plan"]["documents"] == 20
