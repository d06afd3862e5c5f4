"""The long-generation protocol: a model goes on with texts that people began.

Each document is cut after some tokens. The model continues the beginning by itself, and
scores how the document really goes on. Both cuts are made where the beginning is cut
into tokens as the whole document is, so that nothing is counted against the model that
the cut did.

Prompts run in chunks of one batch, and a chunk is written as a whole or not at all: a
run that is stopped goes on where it was, and what it finds is the same as if it had
never been stopped, since each chunk is always run in one piece and each prompt has its
own random numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.decoding import Decoding, Detail, Draws, Window, sample_stream, score_texts
from nescio.drift.continuations import Continuations
from nescio.drift.storing import begin, read_chunk, read_json, write_chunk
from nescio.errors import ContextOverflow, InvalidInput, NotEnoughData, SchemaError
from nescio.jobs import JOB_FILE, held
from nescio.kernel import Sampling
from nescio.models.protocol import Scoring, Stepping, Tokenized, require
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = [
    "ContinuationPlan",
    "Start",
    "continue_documents",
    "read_continuations",
    "starts_of",
]

Progress = Callable[[int, int], None]
_SCHEMA = 1
_TRIES = 16  # cuts tried, tokens fewer than asked
_KINDS = ("human", "own")


@dataclass(frozen=True)
class ContinuationPlan:
    """How texts are begun and gone on with.

    Args:
        prompt_tokens: how much of each document is the prompt; up to 15 fewer where a
            token would straddle a cut.
        steps: how many tokens follow, of the model and of the document.
        sampling: how the model draws; the default draws from it as it is.
        seed: of all draws; a prompt's random numbers come from it and its number.
        batch: how many step side by side, and how many make a chunk.
        detail: what traces keep of each prediction.

    Raises:
        InvalidInput: a number below 1.
    """

    prompt_tokens: int = 32
    steps: int = 512
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    batch: int = 16
    detail: Detail = field(default_factory=lambda: Detail(top=0))

    def __post_init__(self) -> None:
        for name in ("prompt_tokens", "steps", "batch"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}: at least 1")
        Draws(1, self.seed)

    @property
    def decoding(self) -> Decoding:
        """How the model draws its continuations."""
        return Decoding(self.steps, self.sampling, detail=self.detail, batch=self.batch)


@dataclass(frozen=True)
class Start:
    """A document's beginning.

    Args:
        name: of the document.
        prompt: what the model continues.
        text: the prompt and how the document goes on, as far as it is scored.
        prompt_tokens: how many tokens the prompt has.
    """

    name: str
    prompt: str
    text: str
    prompt_tokens: int


def starts_of(
    model: Any, documents: Mapping[str, str], plan: ContinuationPlan
) -> tuple[tuple[Start, ...], dict[str, str]]:
    """The beginnings of documents, and which documents have none, with the reason.

    Args:
        model: Tokenized.
        documents: text by name.
        plan: how much is prompt, how much follows.

    Raises:
        ContextOverflow: prompt and steps do not fit the model's context.
        NotEnoughData: no document is long enough.
        InvalidInput: what is given is not text by name.

    Example:
        >>> import nescio
        >>> found, left_out = starts_of(nescio.load("table:coin"),
        ...     {"a": "HTTHTT", "b": "HT"}, ContinuationPlan(2, 3))
        >>> found[0].prompt, found[0].text, left_out
        ('HT', 'HTTHT', {'b': '2 tokens, 5 are needed'})
    """
    _check_fit(model, plan)
    if not isinstance(documents, Mapping):
        raise InvalidInput("documents are texts by name: {name: text}")
    found: list[Start] = []
    left_out: dict[str, str] = {}
    for name, text in documents.items():
        if not isinstance(text, str):
            raise InvalidInput(f"document {name!r} is {type(text).__name__}, not text")
        start = _start(model, name, text, plan)
        if isinstance(start, Start):
            found.append(start)
        else:
            left_out[name] = start
    if not found:
        reason = next(iter(left_out.items()), ("", "there are none"))
        raise NotEnoughData(
            f"none of {len(documents)} documents can be begun: {reason[0]!r}: "
            f"{reason[1]}; give longer ones, or ask for fewer tokens"
        )
    return tuple(found), left_out


def continue_documents(
    model: Any,
    documents: Mapping[str, str],
    *,
    plan: ContinuationPlan | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Continuations:
    """A model's continuations of documents' beginnings beside the documents' own.

    Args:
        model: a model that is Tokenized, Scoring and Stepping.
        documents: text by name; those that are too short are left out and named.
        plan: how much is prompt, how much follows, how the model draws.
        out: a directory that keeps what is finished; the same call goes on there.
            None keeps it in memory only.
        progress: called with (texts done, texts in all).

    Returns:
        Traces in the documents' order. An own continuation is shorter than asked
        where the model ended its text.

    Raises:
        CapabilityError: the model cannot score or step.
        InvalidInput: the directory holds another run, or is in use.
        SchemaError: a file in it is damaged.
        ContextOverflow, NotEnoughData: as `starts_of`.

    Example:
        >>> import nescio
        >>> found = continue_documents(nescio.load("table:coin"), {"a": "HTTHTH"},
        ...                            plan=ContinuationPlan(2, 4, seed=5))
        >>> found.own[0].text, found.names
        ('HTHTHH', ('a',))

    Source: Braverman et al. (2020), section 5; Cao, Valiant & Liang (2025).
    """
    require(model, Tokenized, Scoring, Stepping, purpose="continuing documents")
    chosen = plan or ContinuationPlan()
    starts, left_out = starts_of(model, documents, chosen)
    folder = None if out is None else Path(out)
    with nullcontext() if folder is None else held(folder, parents=True):
        if folder is not None:
            begin(folder, _asked(model, starts, left_out, chosen))
        traces: dict[str, list[Trace]] = {kind: [] for kind in _KINDS}
        done, total = 0, len(_KINDS) * len(starts)
        for numbers in _chunks(len(starts), chosen.batch):
            for kind in _KINDS:
                traces[kind] += _chunk(
                    model, starts, chosen, kind=kind, numbers=numbers, folder=folder
                )
                done += len(numbers)
                if progress is not None:
                    progress(done, total)
    names = tuple(start.name for start in starts)
    return Continuations(names, tuple(traces["own"]), tuple(traces["human"]), left_out)


def read_continuations(directory: str | Path) -> Continuations:
    """What a finished run has written.

    Raises:
        InvalidInput: no run there, or one that is not finished.
        SchemaError: a file in it is damaged.
    """
    folder = Path(directory)
    fields = read_json(folder / JOB_FILE)
    try:
        names, batch = tuple(fields["names"]), int(fields["plan"]["batch"])
        left_out, schema = dict(fields["left_out"]), int(fields["schema"])
        whole = all(isinstance(name, str) for name in names) and names and batch > 0
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(f"{folder / JOB_FILE} is no run: {error!r}") from error
    if schema > _SCHEMA or not whole:
        raise SchemaError(
            f"{folder / JOB_FILE}: schema {schema} with {len(names)} names; read it "
            "with the nescio that wrote it"
        )
    traces: dict[str, list[Trace]] = {kind: [] for kind in _KINDS}
    for numbers in _chunks(len(names), batch):
        for kind in _KINDS:
            found = read_chunk(_path(folder, kind, numbers), len(numbers))
            if found is None:
                raise InvalidInput(
                    f"{folder}: the run is not finished, documents {numbers[0]} to "
                    f"{numbers[-1]} are missing; call continue_documents again"
                )
            traces[kind] += found
    return Continuations(names, tuple(traces["own"]), tuple(traces["human"]), left_out)


def _check_fit(model: Any, plan: ContinuationPlan) -> None:
    needed = len(model.start) + plan.prompt_tokens + plan.steps
    if model.context_length is not None and needed > model.context_length:
        raise ContextOverflow(
            f"{plan.prompt_tokens} prompt tokens and {plan.steps} steps need a context "
            f"of {needed}; {model.name} has {model.context_length}. Ask for fewer"
        )


def _start(model: Any, name: str, text: str, plan: ContinuationPlan) -> Start | str:
    """The beginning of one document, or why it has none."""
    raw = text.encode("utf-8", "surrogatepass")
    ids = model.encode(raw) if raw else np.empty(0, np.int32)
    needed = plan.prompt_tokens + plan.steps
    if len(ids) < needed:
        return f"{len(ids)} tokens, {needed} are needed"
    edges = model.vocabulary.edges(ids)
    for count in range(plan.prompt_tokens, max(0, plan.prompt_tokens - _TRIES), -1):
        places = (count, count + plan.steps)
        if all(_is_clean(model, raw, ids, edges, place=place) for place in places):
            prompt, whole = (raw[: edges[place]].decode("utf-8") for place in places)
            return Start(name, prompt, whole, count)
    return f"no clean cut in {_TRIES} tries near token {plan.prompt_tokens}"


def _is_clean(
    model: Any,
    raw: bytes,
    ids: Int[np.ndarray, " n"],
    edges: Int[np.ndarray, " n_and_end"],
    *,
    place: int,
) -> bool:
    """Whether the first tokens spell whole characters that are cut into just them."""
    beginning = raw[: edges[place]]
    try:
        beginning.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return np.array_equal(model.encode(beginning), ids[:place])


def _chunks(count: int, size: int) -> Iterator[range]:
    for first in range(0, count, size):
        yield range(first, min(first + size, count))


def _chunk(
    model: Any,
    starts: Sequence[Start],
    plan: ContinuationPlan,
    *,
    kind: str,
    numbers: range,
    folder: Path | None,
) -> list[Trace]:
    """The traces of one chunk, read where they are there and else made and kept."""
    if folder is not None:
        there = read_chunk(_path(folder, kind, numbers), len(numbers))
        if there is not None:
            return there
    work = _own if kind == "own" else _human
    found = work(model, starts, plan, numbers)
    if folder is not None:
        write_chunk(_path(folder, kind, numbers), found)
    return found


def _own(
    model: Any, starts: Sequence[Start], plan: ContinuationPlan, numbers: range
) -> list[Trace]:
    others = {(n, 0) for n in range(len(starts)) if n not in numbers}
    drawn = sample_stream(
        model,
        [start.prompt for start in starts[: numbers.stop]],
        Draws(1, plan.seed, others),
        decoding=plan.decoding,
        chat=False,
    )
    found = {number: sample.trace for number, sample in drawn}
    traces = [found[number] for number in numbers]
    if any(trace is None for trace in traces):
        raise AssertionError("a local model leaves a trace of every answer")
    return [trace for trace in traces if trace is not None]


def _human(
    model: Any, starts: Sequence[Start], plan: ContinuationPlan, numbers: range
) -> list[Trace]:
    some = [starts[number] for number in numbers]
    traces = score_texts(
        model,
        [start.text for start in some],
        window=Window(sliding=False),
        detail=plan.detail,
    )
    return [
        replace(trace, segment=_segments(len(trace), start.prompt_tokens))
        for trace, start in zip(traces, some, strict=True)
    ]


def _segments(tokens: int, prompt: int) -> Int[np.ndarray, " n"]:
    found = np.full(tokens, SEGMENTS.index("completion"), dtype=np.int8)
    found[:prompt] = SEGMENTS.index("prompt")
    return found


def _path(folder: Path, kind: str, numbers: range) -> Path:
    return folder / f"{kind}-{numbers[0]:05d}.parquet"


def _asked(
    model: Any,
    starts: Sequence[Start],
    left_out: Mapping[str, str],
    plan: ContinuationPlan,
) -> dict[str, Any]:
    texts = json.dumps([[s.name, s.prompt, s.text] for s in starts]).encode("ascii")
    return {
        "schema": _SCHEMA,
        "plan": json.loads(json.dumps(asdict(plan))),
        "model": model.origin.to_dict(),
        "documents": hashlib.sha256(texts).hexdigest(),
        "names": [start.name for start in starts],
        "left_out": dict(left_out),
    }
