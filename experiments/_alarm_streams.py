"""Streams for alarms: healthy answers, and answers in which something changes half-way.

Openings of paragraphs of wikitext-2 are put in a random order and dealt: reference and
fitted ones make an alarm, fresh ones tell its rate, and on answers to the last ones
something changes at the onset. A stream is a table with a row a token: its id, its
log-probability and the entropy of the model's own prediction, and the Rényi sums that
alarm B needs.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _alarm_passages import PASSAGES
from _calibration_telling import data_folder

from nescio import Decoding, Sampling, Trace, read_traces, write_traces
from nescio.decoding import Detail, Draws, sample_stream
from nescio.decoding.answers import Draw, random_source
from nescio.decoding.batch import Request, drawn_tokens
from nescio.decoding.watching import TokenStatistics
from nescio.drift.martingale import ORDERS
from nescio.evaluation.articles import wikitext_articles
from nescio.kernel import row_statistics

SEED = 0
WORDS = 24
LEAST = 400  # characters of a paragraph that gives an opening
PHRASE = 12  # tokens that come again and again
AT_ONCE = 16  # texts that are scored together
Table = np.ndarray
"""One stream, [tokens, 3 + orders]: id, log-probability, entropy, Rényi sums."""


@dataclass(frozen=True)
class Size:
    """How much is run: openings of each part, tokens, and streams of each change."""

    reference: int
    fitted: int
    fresh: int
    changed: int
    streams: int
    horizon: int
    onset: int
    batch: int

    @property
    def openings(self) -> int:
        return self.reference + self.fitted + self.fresh + self.changed


FULL = Size(
    reference=60,
    fitted=240,
    fresh=400,
    changed=160,
    streams=100,
    horizon=256,
    onset=96,
    batch=64,
)
QUICK = Size(
    reference=6,
    fitted=24,
    fresh=10,
    changed=8,
    streams=5,
    horizon=40,
    onset=12,
    batch=24,
)


@dataclass(frozen=True, eq=False)
class Paragraph:
    """Where a paragraph stands, its opening, and the article from there on."""

    article: str
    opening: str
    onward: str


def paragraphs() -> list[Paragraph]:
    """All long paragraphs of wikitext-2's test and validation part, shuffled."""
    found = []
    for part in ("test", "valid"):
        file = data_folder() / "text" / f"wikitext-2.{part}.txt"
        for name, text in wikitext_articles(file.read_text("utf-8")).items():
            begin = 0
            for line in text.splitlines(keepends=True):
                if len(line) >= LEAST and not line.startswith(" ="):
                    opening = " ".join(line.split()[:WORDS])
                    onward = text[begin : begin + 20 * LEAST].strip()
                    found.append(Paragraph(f"{part}: {name}", opening, onward))
                begin += len(line)
    random.Random(SEED).shuffle(found)
    return found


def healthy(model: Any, size: Size, folder: Path) -> list[Trace]:
    """An answer to each opening, from the folder where it is there already."""
    openings = [one.opening for one in paragraphs()[: size.openings]]
    chunk, found = 4 * size.batch, []
    for first in range(0, len(openings), chunk):
        some = openings[first : first + chunk]
        path = folder / f"healthy-{first:04d}.parquet"
        if not path.is_file():
            traces = _answers(model, some, size, seed=SEED + first)
            beside = path.with_name(f".{path.name}")
            write_traces(beside, traces)
            beside.replace(path)
        found += list(read_traces(path))
        print(f"  {len(found)} of {len(openings)} healthy answers", flush=True)
    return found


def _answers(model: Any, texts: list[str], size: Size, *, seed: int) -> list[Any]:
    detail = Detail(top=0, renyi=ORDERS)
    how = Decoding(size.horizon, detail=detail, batch=size.batch)
    drawn = sample_stream(model, texts, Draws(1, seed), decoding=how, chat=False)
    found = {number: sample.trace for number, sample in drawn}
    return [found[number] for number in range(len(texts))]


def table_of(trace: Trace) -> Table:
    """The stream of an answer."""
    if trace.token_ids is None or trace.entropy is None or trace.renyi is None:
        raise AssertionError("a local model leaves ids, entropies and Rényi sums")
    mine = trace.scored
    columns = (trace.token_ids, trace.logp, trace.entropy)
    table = np.stack([column[mine].astype(np.float64) for column in columns], axis=1)
    return np.concatenate([table, trace.renyi[mine].astype(np.float64)], axis=1)


def tokens_of(stream: Table) -> Iterator[TokenStatistics]:
    """What an alarm is given of a stream: drawn from the model itself, it is said."""
    for token, logp, entropy, *sums in stream.tolist():
        yield TokenStatistics(int(token), logp, entropy, logp, tuple(sums))


@dataclass(frozen=True, eq=False)
class Begun:
    """An answer up to the onset: all its ids, how many are the prompt's, its table."""

    number: int
    trace: Trace
    ids: np.ndarray
    table: Table


def begun(model: Any, traces: Sequence[Trace], size: Size) -> list[Begun]:
    """The first answers that go on beyond the onset, cut there."""
    found = []
    for number, trace in enumerate(traces):
        table = table_of(trace)
        if len(table) <= size.onset or trace.token_ids is None:
            continue
        prompt = len(trace.token_ids) - len(table)
        ids = trace.token_ids[: prompt + size.onset]
        whole = np.concatenate([np.array(model.start, dtype=np.int32), ids])
        found.append(Begun(number, trace, whole, table[: size.onset]))
    return found[: size.streams]


def drawn(
    model: Any,
    contexts: Sequence[np.ndarray],
    sampling: Sampling,
    *,
    kind: int,
    how: Size,
) -> list[Table]:
    """What the model writes after each context; statistics are of the model itself."""
    tokens = how.horizon - how.onset
    decoding = Decoding(
        tokens, sampling, detail=Detail(top=0, renyi=ORDERS), batch=how.batch
    )
    requests = [
        Request(ids, random_source(Draw(SEED, number, kind)))
        for number, ids in enumerate(contexts)
    ]
    rows: list[list[np.ndarray]] = [[] for _ in contexts]
    for step in drawn_tokens(model, requests, decoding):
        found = _columns(step.token_ids, step.statistics)
        for row, number in enumerate(step.requests):
            rows[number].append(found[row])
    return [np.array(one) for one in rows]


def forced(
    model: Any, contexts: Sequence[np.ndarray], following: Sequence[np.ndarray]
) -> list[Table]:
    """What the model thinks of given tokens after each context."""
    found = []
    for first in range(0, len(contexts), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        found += _forced(model, contexts[some], following[some])
    return found


def _forced(
    model: Any, contexts: Sequence[np.ndarray], following: Sequence[np.ndarray]
) -> list[Table]:
    whole = [
        np.concatenate([before, after]).astype(np.int32)
        for before, after in zip(contexts, following, strict=True)
    ]
    tables = [np.full((len(after), 3 + len(ORDERS)), np.nan) for after in following]
    skip = [len(before) - 1 for before in contexts]
    for block in model.logit_blocks(whole, skip=skip, rows=128):
        places = zip(block.sequence.tolist(), block.position.tolist(), strict=True)
        where = [(sequence, position + 1) for sequence, position in places]
        target = np.array([whole[sequence][at] for sequence, at in where], np.int64)
        found = _columns(target, row_statistics(block.logits, target, renyi=ORDERS))
        for (sequence, at), row in zip(where, found, strict=True):
            tables[sequence][at - len(contexts[sequence])] = row
    if any(np.isnan(table).any() for table in tables):
        raise AssertionError("a token was not measured")
    return tables


def _columns(ids: np.ndarray, found: Any) -> Table:
    first = np.stack([ids.astype(np.float64), found.logp, found.entropy], axis=1)
    return np.concatenate([first, found.log_renyi], axis=1).astype(np.float32)


Make = Callable[[Any, Sequence[Begun], Size], list[Table]]


def _hotter(temperature: float, kind: int) -> Make:
    def make(model: Any, some: Sequence[Begun], size: Size) -> list[Table]:
        sampling = Sampling(temperature=temperature)
        return drawn(model, [b.ids for b in some], sampling, kind=kind, how=size)

    return make


def _shuffled(model: Any, some: Sequence[Begun], size: Size) -> list[Table]:
    rng, start = np.random.default_rng(SEED), len(model.start)
    mixed = [
        np.concatenate([b.ids[:start], rng.permutation(b.ids[start:])]) for b in some
    ]
    return drawn(model, mixed, Sampling(), kind=4, how=size)


def _repeated(model: Any, some: Sequence[Begun], size: Size) -> list[Table]:
    again = [np.resize(b.ids[-PHRASE:], size.horizon - size.onset) for b in some]
    return forced(model, [b.ids for b in some], again)


def _plays(model: Any, some: Sequence[Begun], size: Size) -> list[Table]:
    text = (data_folder() / "text" / "tinyshakespeare.txt").read_text("utf-8")
    chooser, length = random.Random(SEED), 12 * (size.horizon - size.onset)
    texts = []
    for _ in some:
        begin = text.index("\n\n", chooser.randrange(len(text) - 2 * length))
        texts.append(text[begin : begin + length])
    return _spliced(model, some, texts, size)


def _articles(model: Any, some: Sequence[Begun], size: Size) -> list[Table]:
    unused = iter(paragraphs()[size.openings :])
    tokens, texts = size.horizon - size.onset, []
    while len(texts) < len(some):
        text = "\n" + next(unused).onward
        if len(model.encode(text.encode("utf-8"))) >= tokens:
            texts.append(text)
    return _spliced(model, some, texts, size)


def _languages(model: Any, some: Sequence[Begun], size: Size) -> list[Table]:
    """Passages in turn, each begun at another of its sentences and gone round."""
    passages = list(PASSAGES.values())
    texts = []
    for place in range(len(some)):
        sentences = passages[place % len(passages)]
        first = (place // len(passages)) % len(sentences)
        texts.append(" " + " ".join([*sentences[first:], *sentences[:first]]))
    return _spliced(model, some, texts, size)


def _spliced(
    model: Any, some: Sequence[Begun], texts: Sequence[str], size: Size
) -> list[Table]:
    tokens = size.horizon - size.onset
    ids = [model.encode(text.encode("utf-8"))[:tokens] for text in texts]
    short = [place for place, one in enumerate(ids) if len(one) < tokens]
    if short:
        sys.exit(
            f"text {short[0]} has {len(ids[short[0]])} tokens, {tokens} are needed"
        )
    return forced(model, [b.ids for b in some], ids)


CHANGES: Mapping[str, tuple[str, Make]] = {
    "temperature 1.5": ("drawn at temperature 1.5 from the onset on", _hotter(1.5, 1)),
    "temperature 1.2": ("drawn at temperature 1.2 from the onset on", _hotter(1.2, 2)),
    "greedy": ("the most probable token from the onset on", _hotter(0.0, 3)),
    "phrase repeated": (f"its last {PHRASE} tokens, again and again", _repeated),
    "shuffled context": ("all before it in a random order, then drawn", _shuffled),
    "Shakespeare": ("lines of Shakespeare spliced in", _plays),
    "another article": ("paragraphs of another article spliced in", _articles),
    "another language": (f"text in {', '.join(PASSAGES)} spliced in", _languages),
}
UNCHANGED = "no change"


def changed(
    model: Any, traces: Sequence[Trace], size: Size, folder: Path
) -> dict[str, list[Table]]:
    """The streams of every change, from the folder where they are there already."""
    some = begun(model, traces, size)
    found = {UNCHANGED: [table_of(one.trace) for one in some]}
    for name, (_, make) in CHANGES.items():
        path = folder / f"changed-{name.replace(' ', '_')}.npz"
        if not path.is_file():
            after = make(model, some, size)
            beside = path.with_name(f".{path.name}")
            np.savez(beside, **{f"{n:04d}": one for n, one in enumerate(after)})
            beside.replace(path)
        with np.load(path) as kept:
            after = [kept[key].astype(np.float64) for key in sorted(kept.files)]
        found[name] = [
            np.concatenate([one.table, rest])
            for one, rest in zip(some, after, strict=True)
        ]
        print(f"  {name}: {len(after)} streams", flush=True)
    return found
