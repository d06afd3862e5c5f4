"""``nescio ask``: one question many times, the answer, and how sure it is."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli import ask_options as asking
from nescio.cli import drawing_options as drawing
from nescio.cli.ask_live import counting
from nescio.cli.ask_showing import show_asked, told, write_page
from nescio.cli.loading import interrupts, loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    EngineName,
    MaxRequests,
    MaxTokensTotal,
    ModelName,
    Unit,
    UnitChoice,
    check_writable,
    console,
    limited,
    print_json,
)
from nescio.cli.score import Stopped
from nescio.errors import InvalidInput, NescioError
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.evaluation.asking import HowRead, QuestionAsked
    from nescio.evaluation.drawn_answers import Drawing
    from nescio.trace import Prompt

__all__ = ["Kept", "Run", "ask", "kept_answers"]


def ask(
    question: asking.Question = None,
    n: asking.N = None,
    adaptive: asking.Adaptive = False,
    lead: asking.Lead = None,
    extract: asking.Extract = None,
    same: asking.Same = None,
    similarity: asking.Similar = None,
    threshold: asking.Threshold = None,
    calibrator: asking.Calibrator = None,
    choose: asking.Choose = asking.Way.majority,
    variant: asking.Variant = None,
    prompts: asking.Prompts = None,
    gold: asking.Gold = None,
    file: asking.File = None,
    field: asking.Field = "question",
    id_field: asking.IdField = None,
    messages: drawing.Messages = None,
    system: drawing.System = None,
    chat: drawing.Chat = None,
    max_tokens: drawing.MaxTokens = None,
    temperature: drawing.Temperature = None,
    top_p: drawing.TopP = None,
    top_k: drawing.TopK = None,
    min_p: drawing.MinP = None,
    stop: drawing.Stop = None,
    top: drawing.Top = None,
    seed: asking.Seed = 0,
    level: asking.Level = 0.95,
    resamples: asking.Resamples = 1000,
    model: ModelName = "smollm2",
    engine: EngineName = None,
    accept_license: AcceptLicense = False,
    max_requests: MaxRequests = None,
    max_tokens_total: MaxTokensTotal = None,
    out: asking.Out = None,
    as_json: AsJson = False,
    html: asking.Html = None,
    unit: UnitChoice = Unit.bits,
    measures: asking.Measures = False,
    quiet: asking.Quiet = False,
) -> None:
    """Ask a question many times: the answer, and how far the samples agree on it.

    Agreement is no probability of being right; with a --calibrator, fitted to
    questions with known answers, it becomes one. Every answer is kept in --out FILE as
    it ends: after Ctrl-C or a crash the same command goes on and ends the same.

    Example: nescio ask "What is 17 + 25?" --extract last-number -n 20
    """
    from nescio.evaluation.drawn_answers import Drawing

    check_writable(html, out, source=file)
    cut = {"top_p": top_p, "top_k": top_k, "min_p": min_p}
    decoding = drawing.decoding(max_tokens, temperature, **cut, stop=stop, top=top)
    how = Drawing(asking.asked_draws(n, adaptive, lead, seed), decoding, chat)
    named = limited(model, max_requests, max_tokens_total)
    wanted = ModelWanted(named, engine, accept_license)
    every = as_json or html is not None or measures
    limits = Limits(level, resamples, seed, None if every else ("agreement",))
    read = (extract, same, tuple(similarity or ()), threshold, choose.value)
    rules = Rules(*read, calibrator, limits)
    shown = Shown(as_json, html, quiet or as_json, out, unit.value, measures)
    rows = asking.Rows(file, field, id_field, tuple(gold or ()))
    wordings = asking.asked_wordings(variant, prompts)
    typed = Typed(question, messages, system, tuple(wordings))
    _run(typed, rows, Run(how, rules, wanted, shown))


@dataclass(frozen=True)
class Typed:
    """What is asked, as it stands on the command line."""

    question: str | None
    messages: Path | None
    system: str | None
    wordings: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """How it is asked, what is made of the answers, and where that goes."""

    drawing: Drawing
    rules: Rules
    wanted: ModelWanted
    shown: Shown


def _run(typed: Typed, rows: asking.Rows, run: Run) -> None:
    shown = run.shown
    if rows.file is not None:
        from nescio.cli.ask_file import ask_file

        if (typed.question, typed.messages, typed.system) != (None, None, None):
            raise InvalidInput("give a QUESTION or --file, not both")
        ask_file(rows.file, rows, typed.wordings, run)
        return
    if rows.id_field is not None or rows.field != "question":
        raise InvalidInput("--field and --id go with --file")
    prompt = asking.asked_question(typed.question, typed.messages, typed.system)
    found = _asked(prompt, typed.wordings, rows.gold, run)
    if shown.html is not None:
        write_page(shown.html, found, shown.unit)
    if shown.as_json:
        print_json(told(found, shown.unit))
        return
    show_asked(found, shown.unit, measures=shown.measures)
    if shown.html is not None:
        console(stderr=True).print(visible(f"written: {shown.html}"))


@dataclass(frozen=True)
class ModelWanted:
    """What model is asked, and how it may be had."""

    name: str
    engine: str | None
    accept_license: bool

    def load(self) -> Any:
        """The model."""
        return loaded(self.name, engine=self.engine, accept_license=self.accept_license)


@dataclass(frozen=True)
class Shown:
    """What is printed, written and kept."""

    as_json: bool
    html: Path | None
    quiet: bool
    out: Path | None
    unit: str
    measures: bool


@dataclass(frozen=True)
class Limits:
    """Of intervals, and the measures that are taken; None: all."""

    level: float
    resamples: int
    seed: int
    measures: tuple[str, ...] | None


@dataclass(frozen=True)
class Rules:
    """What is made of samples, as it stands on the command line."""

    extract: str | None
    same: str | None
    similarity: tuple[str, ...]
    threshold: float | None
    choose: str
    calibrator: Path | None
    limits: Limits

    def read(self, *, details: int = 0) -> HowRead:
        """The same without what needs a model; wrong ones are refused here."""
        from nescio.cli.consistency_running import read_calibrator, sorting_of
        from nescio.consistency.similarity import SIMILARITIES
        from nescio.evaluation.asking import HowRead
        from nescio.evaluation.consistency_asked import Asked as Survey

        plain, _ = asking.split_judge(self.same)
        asking.check_similarities(self.similarity)
        names = tuple(name for name in self.similarity if name in SIMILARITIES)
        survey = Survey(
            level=self.limits.level,
            resamples=self.limits.resamples,
            seed=self.limits.seed,
            similarities=names or ("rouge_l",),
            threshold=self.threshold,
            measures=self.limits.measures,
            details=details,
        )
        sorting, same = sorting_of(self.extract, plain)
        fitted = None if self.calibrator is None else read_calibrator(self.calibrator)
        return HowRead(sorting, None, survey, fitted, self.choose, same)

    def with_models(self, read: HowRead, model: Any) -> HowRead:
        """The same with the judge and the encoders."""
        from nescio.evaluation.model_judging import ModelJudge

        _, judge = asking.split_judge(self.same)
        if judge is not None:
            judging = ModelJudge(model if not judge else loaded(judge))
            read = replace(read, judge=judging)
        if not self.similarity:
            return read
        similarities = asking.similarities(self.similarity)
        return replace(read, survey=replace(read.survey, similarities=similarities))


def _asked(
    prompt: Prompt, wordings: tuple[str, ...], gold: tuple[str, ...], run: Run
) -> QuestionAsked:
    """Ask, with counts while answers come; what came is kept whatever happens."""
    from nescio.evaluation.asking import ask as ask_model
    from nescio.evaluation.asking_rules import check_asking

    drawing, shown, read = run.drawing, run.shown, run.rules.read()
    check_asking(prompt, wordings, drawing, read)
    model = run.wanted.load()
    read = run.rules.with_models(read, model)
    total = drawing.most * max(1, len(wordings))
    at_most = hasattr(drawing.draws, "rule")
    with (
        kept_answers(shown.out) as kept,
        counting(read.sorting, total, quiet=shown.quiet, at_most=at_most) as count,
    ):
        return ask_model(
            model,
            prompt,
            draws=drawing.draws,
            wordings=wordings,
            read=read,
            decoding=drawing.decoding,
            chat=drawing.chat,
            gold=gold,
            journal=kept.path,
            on_sample=kept.counted(count),
        )


@dataclass(eq=False)
class Kept:
    """Where answers are kept, and how many there are."""

    path: Path
    named: bool
    pressed: threading.Event
    answers: int = 0

    def counted(self, tell: Any) -> Any:
        """The same call, counted."""

        def told(number: int, sample: Any) -> None:
            self.answers += 1
            if self.pressed.is_set():
                raise KeyboardInterrupt
            tell(number, sample)

        return told

    def how_to_go_on(self) -> str:
        """What a person does to go on."""
        if not self.answers:
            return "stopped before an answer had ended; nothing is kept"
        answers = "answer is" if self.answers == 1 else "answers are"
        same = "the same command" + ("" if self.named else f" with --out {self.path}")
        return (
            f"stopped: {self.answers:,} {answers} done and kept in {self.path}; {same} "
            "goes on from there"
        )


@contextmanager
def kept_answers(out: Path | None) -> Iterator[Kept]:
    """A journal: the file that was named, else one that stays only if all ends badly.

    Raises:
        Stopped: Ctrl-C.
        NescioError: a server, or a judge, failed; says where the answers are.
    """
    path = _temporary() if out is None else out
    kept = Kept(path, out is not None, threading.Event())
    done = False
    try:
        with interrupts() as kept.pressed:
            yield kept
            if kept.pressed.is_set():
                raise KeyboardInterrupt
        done = True
    except KeyboardInterrupt as error:
        raise Stopped(kept.how_to_go_on()) from error
    except NescioError as error:
        if not kept.answers:
            raise
        raise NescioError(f"{error}; {kept.how_to_go_on()}") from error
    finally:
        if out is None and (done or not kept.answers):
            kept.path.unlink(missing_ok=True)


def _temporary() -> Path:
    handle, name = tempfile.mkstemp(prefix="nescio-ask-", suffix=".jsonl")
    os.close(handle)
    return Path(name)
