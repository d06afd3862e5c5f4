"""What ``nescio ensemble`` runs: the members loaded, the answers found and told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nescio.cli.ensemble_options import Decode
from nescio.errors import InvalidInput, InvalidText

if TYPE_CHECKING:
    from nescio.decoding import Decoding, TokenEvent
    from nescio.ensemble.telling import Telling
    from nescio.trace import Prompt, Trace
    from nescio.trace.trace import Stop

__all__ = [
    "Run",
    "answers",
    "member_names",
    "specification_of",
    "streamed",
    "weighted",
    "with_members",
]

_JOINS = ("ensemble:", "bytes:")
_DRAWN = (Decode.sample, Decode.speculative)


@dataclass(frozen=True)
class Run:
    """How answers are found.

    Args:
        prompt: what is asked.
        how: of the decoders.
        decoding: how symbols are drawn, and when to stop.
        count: how many answers.
        width: of a search.
        seed: of the draws.
        chat: as `nescio.stream`.
    """

    prompt: Prompt
    how: Decode
    decoding: Decoding
    count: int = 1
    width: int = 4
    seed: int = 0
    chat: bool | None = None

    def __post_init__(self) -> None:
        drawn = self.how in _DRAWN
        if self.count < 1:
            raise InvalidInput(f"-n is {self.count}: at least one answer")
        if not drawn and self.decoding.sampling != type(self.decoding)().sampling:
            raise InvalidInput(
                f"--temperature, --top-p, --top-k and --min-p go with --decode "
                f"{' or '.join(_DRAWN)}; {self.how} draws nothing"
            )
        if self.how is Decode.greedy and self.count > 1:
            raise InvalidInput("greedy finds one answer: -n goes with other decoders")
        if self.decoding.stop and self.how in (Decode.abe, Decode.speculative):
            raise InvalidInput(f"--stop does not go with --decode {self.how}")

    @property
    def live(self) -> bool:
        """Whether there is one answer that comes byte by byte."""
        return self.count == 1 and self.how in (Decode.sample, Decode.greedy)


def specification_of(models: Sequence[str], options: Mapping[str, str | None]) -> str:
    """One model that is all of them.

    Raises:
        InvalidInput: options beside a specification that has its own.
    """
    from nescio.ensemble.naming import written

    given = {name: value for name, value in options.items() if value is not None}
    if len(models) == 1 and models[0].startswith(_JOINS):
        if given:
            raise InvalidInput(
                f"{models[0]} says {', '.join(given)} itself; put it there, as in "
                "ensemble:A+B,rule=product"
            )
        return models[0]
    alone = len(models) == 1
    if alone and (misplaced := sorted({"rule", "weights"} & given.keys())):
        raise InvalidInput(
            f"{' and '.join(f'--{name}' for name in misplaced)} join several models; "
            "give --model once for each"
        )
    return written("bytes" if alone else "ensemble", models, given)


def member_names(model: Any) -> list[str]:
    """The members of an ensemble, or the one model of a view."""
    return [view.model.name for view in getattr(model, "members", (model,))]


def weighted(model: Any, run: Run) -> Any:
    """The ensemble with weights by how well each member predicts the prompt.

    Each scores it in the spelling of its own tokenizer, in one pass.
    """
    from nescio.decoding import score
    from nescio.ensemble.weighting import prompt_weights
    from nescio.information import bits_per_byte

    if len(member_names(model)) < 2:
        raise InvalidInput("--weights prompt weighs several models; one is given")
    text = run.prompt.text
    if text is None:
        text = "\n".join(message.content for message in run.prompt.messages)

    def bits(view: Any) -> float:
        try:
            found = bits_per_byte(score(view.model, text)).value
        except InvalidText:  # it cannot write the prompt
            return math.inf
        return math.inf if found is None else found

    return replace(model, weights=prompt_weights([*map(bits, model.members)]))


def streamed(model: Any, run: Run) -> Iterator[TokenEvent]:
    """One answer as it comes; its trace stands in the iterator's ``trace``."""
    from nescio.decoding import stream

    found: Any = stream(
        model, run.prompt, decoding=_drawn(run), seed=run.seed, chat=run.chat
    )
    return found


def _drawn(run: Run) -> Decoding:
    from nescio.kernel import Sampling

    if run.how is not Decode.greedy:
        return run.decoding
    return replace(run.decoding, sampling=Sampling(temperature=0.0))


def answers(
    model: Any, run: Run, progress: Callable[[int, int], None]
) -> list[Telling]:
    """Every answer, the best or first one before the others.

    Raises:
        InvalidInput: one model where a decoder joins several.
    """
    if run.how in (Decode.abe, Decode.speculative) and not hasattr(model, "members"):
        raise InvalidInput(f"--decode {run.how} joins several models; one is given")
    if run.how is Decode.beam:
        return _searched(model, run)
    if run.how is Decode.abe:
        return _agreed(model, run)
    if run.how is Decode.speculative:
        return list(_speculated(model, run, progress))
    return _sampled(model, run, progress)


def _sampled(
    model: Any, run: Run, progress: Callable[[int, int], None]
) -> list[Telling]:
    from nescio.decoding import Draws, sample_stream
    from nescio.ensemble.telling import Telling

    draws = Draws(run.count, run.seed)
    found: dict[int, Trace] = {}
    stream = sample_stream(
        model, [run.prompt], draws, decoding=_drawn(run), chat=run.chat
    )
    for _, answer in stream:
        if answer.trace is not None:
            found[answer.draw] = answer.trace
        progress(len(found), run.count)
    return [Telling(found[draw]) for draw in sorted(found)]


def _searched(model: Any, run: Run) -> list[Telling]:
    from nescio.decoding.beam import Beam, beam_search
    from nescio.ensemble.telling import Telling

    beam = Beam(max(run.width, run.count))
    found = beam_search(
        model, run.prompt, beam=beam, decoding=run.decoding, chat=run.chat
    )
    traces = [answer.trace for answer in found.answers[: run.count] if answer.trace]
    return [Telling(trace) for trace in traces]


def _agreed(model: Any, run: Run) -> list[Telling]:
    from nescio.ensemble.agreed import Agreement
    from nescio.ensemble.agreement import agreement_beam

    longest = run.decoding.max_tokens
    plan = Agreement(
        max(run.width, run.count),
        weights=tuple(model.weights),
        max_tokens=-(-longest // _BYTES_A_TOKEN),
    )
    models = [view.model for view in model.members]
    found = agreement_beam(models, run.prompt, plan=plan, chat=run.chat)
    return [
        _retold(model, run, one.buffer, one.stop)
        for one in found[: run.count]
        if one.buffer or one.stop == "eos"
    ]


_BYTES_A_TOKEN = 3


def _speculated(
    model: Any, run: Run, progress: Callable[[int, int], None]
) -> Iterator[Telling]:
    from nescio.ensemble.speculative import Drafting, speculate

    plan = Drafting(max_bytes=run.decoding.max_tokens, sampling=run.decoding.sampling)
    for number in range(run.count):
        seed = run.seed if not number else _further(run.seed, number)
        found = speculate(model, run.prompt, drafting=plan, seed=seed, chat=run.chat)
        yield _retold(model, run, found.buffer, found.stop)
        progress(number + 1, run.count)


def _further(seed: int, number: int) -> int:
    """The seed of one of several answers."""
    import numpy as np

    source = np.random.SeedSequence(seed, spawn_key=(number,))
    return int(source.generate_state(1, np.uint64)[0])


def with_members(model: Any, run: Run, found: Telling) -> Telling:
    """An answer with what each member expected at every byte, for the page."""
    from nescio.ensemble.telling import retold

    if found.said:
        return found
    trace = found.trace
    answer = b"".join(map(trace.token_bytes, (trace.segment == 1).nonzero()[0]))
    stop = trace.stop or "length"
    told = retold(model, run.prompt, answer, stop=stop, chat=run.chat)
    return replace(found, said=told.said)


def _retold(model: Any, run: Run, answer: bytes, stop: Stop) -> Telling:
    """What the ensemble says of an answer that was found otherwise."""
    from nescio.ensemble.telling import retold

    longest = run.decoding.max_tokens
    if len(answer) > longest:
        answer, stop = answer[:longest], "length"
    found = retold(model, run.prompt, answer, stop=stop, chat=run.chat)
    own = {**found.trace.origin.decoding, "kind": run.how.value}
    origin = replace(found.trace.origin, decoding=own)
    return replace(found, trace=replace(found.trace, origin=origin))
