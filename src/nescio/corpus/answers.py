"""Many answers to every prompt of a file, kept one by one, resumed after anything."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nescio.corpus.documents import CorpusFields, Document
from nescio.corpus.job import check_empty, remove_partial
from nescio.corpus.source import Source, documents_of, source_of
from nescio.decoding import Decoding, Draws, sample_stream
from nescio.decoding.answering import drawing_of
from nescio.decoding.prompting import opening
from nescio.errors import EndpointError, InvalidInput, SchemaError
from nescio.jobs import JOB_FILE, check_same, held, write_file
from nescio.models.protocol import Answering, Question, Stepping, Tokenized, require
from nescio.outcome.estimate import nescio_version
from nescio.trace import Prompt, Sample, Trace

__all__ = ["ANSWERS_FILE", "SAMPLES_FILE", "AnswersAsked", "run_answers"]

ANSWERS_FILE, SAMPLES_FILE = "answers.jsonl", "samples.jsonl"
_KINDS: Mapping[str, tuple[type, ...]] = {
    "prompt": (int,),
    "draw": (int,),
    "text": (str,),
    "logprob": (float, type(None)),
    "tokens": (int, type(None)),
    "stop": (str, type(None)),
    "entropy": (float, type(None)),
}
_BOUNDS: Mapping[str, tuple[type, ...]] = {
    "entropy_low": (float,),
    "entropy_high": (float, type(None)),
}
"""What stands beside a missing entropy where a source gives bounds of it."""

Key = tuple[int, int]
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class AnswersAsked:
    """All that decides the answers, beside the prompts.

    Args:
        model: the specification the model is loaded from.
        n: how many answers to each prompt.
        seed: of all draws together.
        fields: which fields of a prompt's row are read; ``text`` is the prompt.
        decoding: how answers are drawn.
        chat: whether prompts go through the chat template; None: if there is one.
        engine: the backend; None takes the fastest.
    """

    model: str
    n: int
    seed: int = 0
    fields: CorpusFields = field(default_factory=CorpusFields)
    decoding: Decoding = field(default_factory=Decoding)
    chat: bool | None = None
    engine: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values of what decides each answer: neither the batch nor n does.

        The number of candidates decides how narrow an endpoint's bounds are.
        """
        decoding = asdict(self.decoding)
        del decoding["batch"]
        decoding["top"] = decoding.pop("detail")["top"]
        plain = {"fields": self.fields.to_dict(), "decoding": decoding}
        settings = {**vars(self), **plain}
        del settings["n"]
        return json.loads(json.dumps(settings))


def run_answers(
    prompts: str | Path,
    asked: AnswersAsked,
    load: Callable[[], Any],
    *,
    out: Path,
    report: Report | None = None,
) -> Path:
    """Draw n answers to every prompt of a file; go on where an earlier run stopped.

    Every answer is kept as soon as it has ended (``answers.jsonl``), so a run that is
    killed draws none of them again: its answers under way are drawn anew, with the
    same random numbers. With a larger n only the further answers are drawn.

    At the end ``samples.jsonl`` has one line a prompt, in the order of the file:
    ``id``, ``prompt``, the group fields, and ``samples``, a list of ``{draw, text,
    logprob, tokens, stop, entropy}``. ``logprob`` is the sum over the answer's tokens
    and ``entropy`` the mean of the predictions', in nats. Of an endpoint's answers
    they are null where it reveals too little; ``entropy_low`` and ``entropy_high``
    (null: unbounded) then say what the mean lies between.

    Args:
        prompts: a .jsonl, .csv or .parquet file.
        asked: what is drawn.
        load: gives the model; called only if something is missing.
        out: the directory; made if it is not there.
        report: called with (answers done, answers in all).

    Returns:
        The path of ``samples.jsonl``.

    Raises:
        InvalidInput: the directory holds another job or is in use; a prompt that the
            model cannot take.
        SchemaError: a bad prompt, with its line; a damaged ``answers.jsonl``.
    """
    source, tell = source_of(prompts), report or _silent
    draws = Draws(asked.n, asked.seed)
    with held(out):
        prompts_there = _checked(source, asked.fields)
        total = asked.n * prompts_there
        known = {
            "kind": "answers",
            "asked": asked.to_dict(),
            "source": source.digest(asked.fields),
            "nescio": nescio_version(),
        }
        job = _read_job(out)
        if job is not None:
            check_same(out, {key: job.get(key) for key in known}, known)
            remove_partial(out)
        kept = {key for key, _ in _kept(out / ANSWERS_FILE, prompts_there)}
        done = {key for key in kept if key[1] < asked.n}
        tell(len(done), total)
        if len(done) < total:
            model = load()
            if not isinstance(model, Answering):
                require(model, Tokenized, Stepping, purpose="sampling answers")
            origin = {"origin": model.origin.to_dict()}
            if job is not None:
                check_same(out, {"origin": job["origin"]}, origin)
            else:
                _check_taken(source, asked, model)
                write_file(out / JOB_FILE, _line(known | origin))
            draws = Draws(asked.n, asked.seed, done)
            _draw(_Work(source, asked, model, draws, out), total, tell)
        source.check_unchanged()
        return _assembled(source, asked, out, prompts_there)


@dataclass(frozen=True, eq=False)
class _Work:
    """Everything it takes to go on."""

    source: Source
    asked: AnswersAsked
    model: Any
    draws: Draws
    out: Path


def _check_taken(source: Source, asked: AnswersAsked, model: Any) -> None:
    """Refuse a prompt that the model cannot take before anything is drawn."""
    for document in documents_of(source, asked.fields):
        text = document.text.decode("utf-8")
        try:
            if isinstance(model, Answering):
                question = Question(Prompt(text=text), chat=asked.chat)
                model.check(question, drawing_of(asked.decoding))
            else:
                opening(model, text, chat=asked.chat)
        except InvalidInput as error:
            where = f"{source.name}, {document.place}"
            raise type(error)(f"{where}: {error}") from error


def _draw(work: _Work, total: int, tell: Report) -> None:
    asked, count = work.asked, len(work.draws.done)
    prompts = (
        document.text.decode("utf-8")
        for document in documents_of(work.source, asked.fields)
    )
    answers = sample_stream(
        work.model, prompts, work.draws, decoding=asked.decoding, chat=asked.chat
    )
    try:
        with (work.out / ANSWERS_FILE).open("ab") as journal:
            for number, answer in answers:
                work.source.check_unchanged()
                journal.write(_line(_answer(number, answer)))
                journal.flush()
                count += 1
                tell(count, total)
            os.fsync(journal.fileno())
    except EndpointError:
        raise
    except OSError as error:
        raise InvalidInput(
            f"{work.out / ANSWERS_FILE} cannot be written: {error.strerror}; the "
            "answers in it are kept, and the same command goes on from there"
        ) from error


def _answer(number: int, answer: Sample) -> dict[str, Any]:
    trace = answer.trace
    found = {
        "prompt": number,
        "draw": answer.draw,
        "text": answer.text,
        "logprob": answer.total_logp,
        "tokens": answer.token_count,
        "stop": answer.stop,
        "entropy": None,
    }
    if trace is None or not trace.scored.any():
        return found
    if trace.entropy is not None:
        return found | {"entropy": _mean(trace.entropy, trace)}
    if trace.entropy_low is None or trace.entropy_high is None:
        return found
    high = _mean(trace.entropy_high, trace)
    return found | {
        "entropy_low": _mean(trace.entropy_low, trace),
        "entropy_high": None if math.isinf(high) else high,
    }


def _mean(values: np.ndarray, trace: Trace) -> float:
    return float(np.mean(values[trace.scored], dtype=np.float64))


def _checked(source: Source, fields: CorpusFields) -> int:
    """How many prompts there are; a bad one is refused before anything is drawn."""
    count, ids = 0, set()
    for document in documents_of(source, fields):
        problem = document.problem
        if document.id is not None and document.id in ids:
            problem = f"the id {document.id!r} is that of an earlier prompt"
        if problem is not None:
            raise SchemaError(f"{source.name}, {document.place}: {problem}")
        if document.id is not None:
            ids.add(document.id)
        count += 1
    if not count:
        raise InvalidInput(f"{source.name} holds no prompts")
    return count


def _read_job(out: Path) -> Mapping[str, Any] | None:
    path = out / JOB_FILE
    if not path.exists():
        check_empty(out)
        return None
    try:
        found = json.loads(path.read_bytes())
        if found["kind"] != "answers" or not isinstance(found["origin"], dict):
            raise ValueError("it holds another kind of job")
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise SchemaError(
            f"{path} is no job of answers, or damaged: {error}"
        ) from error
    return found


def _kept(path: Path, prompts: int) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The answers of earlier runs; a last line that was cut off is taken away.

    Args:
        path: the journal.
        prompts: how many there are.

    Raises:
        SchemaError: a line that is no answer to one of the prompts, or an answer that
            is there twice.
    """
    if not path.exists():
        return
    seen: set[Key] = set()
    with path.open("rb+") as file:
        for number, line in enumerate(iter(file.readline, b""), start=1):
            if not line.endswith(b"\n"):
                file.truncate(file.tell() - len(line))
                return
            key, answer = _parsed(line, f"{path}, line {number}")
            if not 0 <= key[0] < prompts:
                raise SchemaError(
                    f"{path}, line {number}: there is no prompt {key[0]}; there are "
                    f"{prompts}, numbered from 0"
                )
            if key in seen:
                raise SchemaError(f"{path}, line {number}: answer {key} is there twice")
            seen.add(key)
            yield key, answer


def _parsed(line: bytes, where: str) -> tuple[Key, dict[str, Any]]:
    try:
        answer = json.loads(line, parse_constant=_no_number)
        if not isinstance(answer, dict):
            raise ValueError("it is no object")
        kinds = {**_KINDS, **(_BOUNDS if "entropy_low" in answer else {})}
        if set(answer) != set(kinds):
            raise ValueError(f"its fields are not {sorted(kinds)}")
        for name, kind in kinds.items():
            if type(answer[name]) not in kind:
                raise ValueError(f"{name} is {answer[name]!r}, no {kind[0].__name__}")
        if answer["draw"] < 0:
            raise ValueError(f"draw is {answer['draw']}: numbers are from 0 on")
        return (answer.pop("prompt"), answer["draw"]), answer
    except (RecursionError, ValueError) as error:
        raise SchemaError(f"{where} is no answer: {error}") from error


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _assembled(source: Source, asked: AnswersAsked, out: Path, prompts: int) -> Path:
    """All answers to a prompt in one line, in the order of the file."""
    answers: dict[int, list[dict[str, Any]]] = {}
    for (number, draw), answer in _kept(out / ANSWERS_FILE, prompts):
        if draw < asked.n:
            answers.setdefault(number, []).append(answer)
    lines = [
        _line(_prompt(document, asked.fields, answers.get(document.number, [])))
        for document in documents_of(source, asked.fields)
    ]
    path = out / SAMPLES_FILE
    content = b"".join(lines)
    if not path.exists() or path.read_bytes() != content:
        write_file(path, content)
    return path


def _prompt(
    document: Document, fields: CorpusFields, answers: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    groups = dict(zip(fields.groups, document.groups, strict=True))
    return {
        "id": str(document.number) if document.id is None else document.id,
        "prompt": document.text.decode("utf-8"),
        **({"groups": groups} if groups else {}),
        "samples": sorted(answers, key=lambda answer: answer["draw"]),
    }


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, allow_nan=False).encode("ascii") + b"\n"


def _silent(done: int, total: int) -> None:
    pass
