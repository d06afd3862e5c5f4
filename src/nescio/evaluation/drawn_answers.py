"""Answers to some prompts, kept one by one in a file, so that a run goes on.

However a run ends (an endpoint that fails, Ctrl-C, a killed process), the answers that
had ended are in the file. The same call goes on from there, draws none of them again,
and ends with what it would have ended with at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nescio.consistency.adaptive import StoppingPoint, stopping_point
from nescio.consistency.adaptive_sampling import AdaptiveDraws, adaptive_stream
from nescio.consistency.answers import Sorting, answers_of
from nescio.decoding import Decoding, Draws, sample_stream
from nescio.errors import CapabilityError, InvalidInput, NescioError, SchemaError
from nescio.evaluation.journal import Journal, digest_of
from nescio.trace import Prompt, Sample, Samples

__all__ = ["Drawing", "Drawn", "OnSample", "drawn_answers"]

OnSample = Callable[[int, Sample], None]
"""Called with the number of a prompt and an answer to it, as each ends."""
_NOTHING = Prompt(text="")


@dataclass(frozen=True)
class Drawing:
    """How answers are drawn, and how many.

    Args:
        draws: how many to each prompt, or the rule that says when they are enough.
        decoding: how each is drawn.
        chat: whether prompts go through the chat template; None: if there is one.

    Raises:
        InvalidInput: more than one answer to a prompt by a decoding that draws the
            same one every time.

    Example:
        >>> Drawing(Draws(20)).most
        20
    """

    draws: Draws | AdaptiveDraws
    decoding: Decoding = field(default_factory=Decoding)
    chat: bool | None = None

    def __post_init__(self) -> None:
        how = self.decoding.sampling
        if self.most > 1 and (how.temperature == 0 or how.top_k == 1):
            raise InvalidInput(
                f"temperature {how.temperature:g}, top_k {how.top_k}: every draw is "
                "the same answer, and that it agrees with itself says nothing; take a "
                "temperature above 0, or one draw of each of several wordings"
            )

    @property
    def most(self) -> int:
        """How many answers a prompt may have."""
        if isinstance(self.draws, AdaptiveDraws):
            return self.draws.rule.most
        return self.draws.n

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values of what decides each answer: neither how many nor the batch."""
        decoding = asdict(self.decoding)
        del decoding["batch"]
        return {"decoding": decoding, "chat": self.chat, "seed": self.draws.seed}


@dataclass(frozen=True, eq=False)
class Drawn:
    """The answers to some prompts.

    Args:
        answers: of each prompt, in the order of the draws.
        stops: where the rule stopped at each; None: a fixed number was drawn.
    """

    answers: tuple[tuple[Sample, ...], ...]
    stops: tuple[StoppingPoint, ...] | None = None


def drawn_answers(
    model: Any,
    prompts: Sequence[Prompt],
    drawing: Drawing,
    *,
    sorting: Sorting | None = None,
    journal: str | Path | None = None,
    on_sample: OnSample | None = None,
) -> Drawn:
    """Draw answers to every prompt; what the journal holds is not drawn again.

    Args:
        model: Tokenized and Stepping, or an endpoint.
        prompts: at least one.
        drawing: how, and how many.
        sorting: what an answer is and when two are the same; a rule stops by it.
        journal: a file that keeps each answer as soon as it has ended. With more draws
            only the further ones are drawn.
        on_sample: called with those of the journal first, in the order of the draws.

    Raises:
        InvalidInput: no prompts, a journal of another model, other prompts or settings,
            or one that another run is at work on.
        SchemaError: a journal that is damaged.
        CapabilityError: a source that ended without all that was asked of it.

    Example:
        >>> import nescio
        >>> how = Drawing(Draws(3), nescio.Decoding(1))
        >>> found = drawn_answers(nescio.load("table:coin"), [Prompt(text="H")], how)
        >>> [answer.text for answer in found.answers[0]]
        ['T', 'T', 'T']
    """
    if not prompts:
        raise InvalidInput("no prompts: there is nothing to ask")
    tell = on_sample or _silent
    kept = None if journal is None else _Kept.of(journal, model, prompts, drawing)
    found: list[dict[int, Sample]] = [{} for _ in prompts]
    with nullcontext() if kept is None else kept.journal.held():
        for number, answer in [] if kept is None else kept.read():
            if answer.draw < drawing.most:
                found[number][answer.draw] = answer
                tell(number, answer)
        for number, answer in _stream(
            model, prompts, drawing, found=found, sorting=sorting
        ):
            if kept is not None:
                kept.append(number, answer)
            found[number][answer.draw] = answer
            tell(number, answer)
    return _all_of(found, drawing, sorting, model)


def _stream(
    model: Any,
    prompts: Sequence[Prompt],
    drawing: Drawing,
    *,
    found: Sequence[dict[int, Sample]],
    sorting: Sorting | None,
) -> Iterator[tuple[int, Sample]]:
    """The answers that are not there yet, each as soon as it has ended."""
    drawn = [(number, one) for number, of in enumerate(found) for one in of.values()]
    how = {"decoding": drawing.decoding, "chat": drawing.chat}
    if isinstance(drawing.draws, AdaptiveDraws):
        rule = replace(drawing.draws, sorting=sorting)
        return adaptive_stream(model, prompts, rule, drawn=drawn, **how)
    done = frozenset((number, answer.draw) for number, answer in drawn)
    wanted = Draws(drawing.draws.n, drawing.draws.seed, done)
    return sample_stream(model, prompts, wanted, **how)


def _all_of(
    found: Sequence[dict[int, Sample]],
    drawing: Drawing,
    sorting: Sorting | None,
    model: Any,
) -> Drawn:
    draws = drawing.draws
    if not isinstance(draws, AdaptiveDraws):
        for number, of in enumerate(found):
            if len(of) != draws.n:
                raise CapabilityError(
                    f"{model.name} gave {len(of)} of {draws.n} answers to prompt "
                    f"{number}"
                )
        return Drawn(tuple(_in_order(of) for of in found))
    stops, answers = [], []
    for of in found:
        ordered = _in_order(of)
        labels = answers_of([answer.text for answer in ordered], sorting).labels
        stops.append(stopping_point(labels, draws.rule))
        answers.append(ordered[: stops[-1].used])
    return Drawn(tuple(answers), tuple(stops))


def _in_order(of: dict[int, Sample]) -> tuple[Sample, ...]:
    """Draw 0, 1, 2, ... up to the first that is not there."""
    ordered = []
    while len(ordered) in of:
        ordered.append(of[len(ordered)])
    return tuple(ordered)


@dataclass(frozen=True)
class _Kept:
    """The journal of answers: result d·P + p is draw d of prompt p of P."""

    journal: Journal
    prompts: int

    @staticmethod
    def of(
        path: str | Path, model: Any, prompts: Sequence[Prompt], drawing: Drawing
    ) -> _Kept:
        heading = {
            "kind": "answers",
            "model": model.origin.to_dict(),
            "prompts": digest_of([prompt.to_dict() for prompt in prompts]),
            **drawing.settings,
        }
        return _Kept(Journal(Path(path), heading), len(prompts))

    def read(self) -> list[tuple[int, Sample]]:
        """What was drawn before, in the order of the draws."""
        return [
            (place % self.prompts, self._sample(place, fields))
            for place, fields in sorted(self.journal.read().items())
        ]

    def append(self, number: int, answer: Sample) -> None:
        fields = Samples(_NOTHING, (answer,)).to_dict()["answers"][0]
        self.journal.append(answer.draw * self.prompts + number, fields)

    def _sample(self, place: int, fields: Any) -> Sample:
        wrapped = {"prompt": _NOTHING.to_dict(), "answers": [fields]}
        try:
            (answer,) = Samples.from_dict(wrapped).answers
        except (NescioError, OverflowError) as error:
            raise SchemaError(
                f"{self.journal.path}: result {place} is no answer: {error}"
            ) from error
        if answer.draw != place // self.prompts:
            raise SchemaError(
                f"{self.journal.path}: result {place} is draw {answer.draw}, not "
                f"{place // self.prompts}"
            )
        return answer


def _silent(_number: int, _answer: Sample) -> None:
    pass
