"""``nescio score``: every document of a corpus scored into a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli import corpus_options as corpus
from nescio.cli import drawing_options as drawing
from nescio.cli.corpus_showing import Bar, show_summary, write_csv
from nescio.cli.loading import interrupts, loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    EngineName,
    ModelName,
    check_writable,
    console,
    print_json,
)
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.corpus import (
        Asked,
        Corpus,
        CorpusProgress,
        CorpusSummary,
        Resampling,
    )

__all__ = ["Stopped", "score"]


class Stopped(Exception):
    """A person stopped the job; says how far it is and how it goes on."""


def score(
    documents: corpus.Documents,
    out: corpus.Out,
    field: corpus.TextField = "text",
    id_field: corpus.IdField = None,
    group: corpus.Groups = None,
    cluster: corpus.Cluster = None,
    keep: corpus.Keep = corpus.Kept.summary,
    skip_bad: corpus.SkipBad = False,
    model: ModelName = "smollm2",
    engine: EngineName = None,
    accept_license: AcceptLicense = False,
    window: drawing.WindowSize = None,
    stride: drawing.Stride = None,
    shard_bytes: corpus.ShardBytes = 1_000_000,
    level: corpus.Level = 0.95,
    seed: corpus.Seed = 0,
    as_json: AsJson = False,
    csv: corpus.Csv = None,
    quiet: corpus.Quiet = False,
) -> None:
    """Score a corpus: bits per byte, perplexity and entropy rate, by group.

    Results are written to DIR shard by shard. After Ctrl-C, a crash or a power cut
    the same command goes on where it stopped and gives the same files; a finished job
    is only summed up. Intervals are about documents like these.

    Example: nescio score docs.jsonl --id url --group language --out scored
    """
    from nescio.corpus import Asked, CorpusFields, CorpusSettings, Resampling, ShardSize
    from nescio.specification import parse_specification
    from nescio.uncertainty.interval import check_request

    check_writable(csv, source=documents)
    _check_apart(csv, out)
    parse_specification(model)
    how = Resampling(level, seed)
    check_request(how.level, how.resamples, how.seed)
    settings = CorpusSettings(
        drawing.window(window, stride, True),
        keep.value,
        skip_bad=skip_bad,
        shard=ShardSize(shard_bytes),
    )
    fields = CorpusFields(field, id_field, tuple(group or ()), cluster)
    asked = Asked(model, fields, settings, engine)
    with Bar(quiet=quiet or as_json) as bar:
        job, found = _run(documents, asked, out, how, bar, accept_license)
    if csv is not None:
        write_csv(csv, found)
    if as_json:
        print_json(found.to_dict())
        return
    show_summary(found)
    shards = job.job.plan.shards
    what = f"written: {out} ({shards} shard{'s' if shards > 1 else ''}, summary.json)"
    console(stderr=True).print(visible(what))


def _check_apart(csv: Path | None, out: Path) -> None:
    """Refuse a table among the files of the job."""
    from nescio.errors import InvalidInput

    if csv is not None and csv.resolve().is_relative_to(out.resolve()):
        raise InvalidInput(
            f"{csv} lies in {out}, the directory of the job; name a place outside it"
        )


def _run(
    documents: Path,
    asked: Asked,
    out: Path,
    how: Resampling,
    bar: Bar,
    accept_license: bool,
) -> tuple[Corpus, CorpusSummary]:
    from nescio.corpus import run_job

    def load() -> Any:
        bar.hide()
        return loaded(asked.model, engine=asked.engine, accept_license=accept_license)

    def report(now: CorpusProgress) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        bar.report(now)

    try:
        with interrupts() as pressed:
            return run_job(
                documents, asked, load, out=out, resampling=how, report=report
            )
    except KeyboardInterrupt as error:
        raise Stopped(_how_to_go_on(out)) from error


def _how_to_go_on(out: Path) -> str:
    done = len(list(out.glob("shards/*.parquet")))
    if not done:
        return "stopped before a shard was done; nothing is kept"
    shards = "shard is" if done == 1 else "shards are"
    return (
        f"stopped: {done} {shards} done and kept in {out}; the same command goes on "
        "from there"
    )
