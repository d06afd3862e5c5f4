"""From the body of a response to answers with their traces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nescio.errors import NescioError, ResponseError
from nescio.imports.imported import Answers, Fact, Skipped
from nescio.responses import Response, Source, read_body, read_completion, trace_of
from nescio.trace import Origin, Prompt, Sample

__all__ = ["Asked", "Place", "Reading", "answers_in", "sample_of", "source_of"]

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reading:
    """How a file is read: its format, and what is known of the source beside it."""

    format: str
    vocabulary_size: int | None = None
    rounding: float = 2e-4


@dataclass(frozen=True)
class Asked:
    """A request: the prompt, and the settings that are known.

    Args:
        prompt: None: unknown.
        settings: of the generation, JSON values.
        echo: whether the answer repeats the prompt.
    """

    prompt: Prompt | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    echo: bool = False

    @property
    def top(self) -> int | None:
        """How many candidates a token were asked for, or None."""
        for name in ("n_probs", "top_logprobs", "logprobs"):
            value = self.settings.get(name)
            if type(value) is int:
                return value
        return 0 if self.settings.get("logprobs") is True else None

    @property
    def stop(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        found = self.settings.get("stop", ())
        return (found,) if isinstance(found, str) else tuple(found)


@dataclass(frozen=True)
class Place:
    """What a body answers, and where in the file it stands."""

    item: str
    where: str


def answers_in(
    body: Mapping[str, Any], place: Place, asked: Asked, reading: Reading
) -> Iterator[Fact]:
    """The answers of a body; log-probabilities that cannot be are refused by name.

    Raises:
        NescioError: there is no answer to read.
    """
    try:
        responses = _responses(body, asked)
    except ResponseError as error:
        if asked.echo:  # without its tokens nothing says where the answer begins
            raise
        responses = _responses(_bare(body), asked)
        yield Skipped(f"{place.where}, log-probabilities", str(error))
    source, found = source_of(body, asked, reading), []
    for draw, response in enumerate(responses):
        try:
            found.append(sample_of(response, asked.prompt, source, draw))
        except NescioError as error:
            bare = replace(response, tokens=None, prompt_tokens=None)
            found.append(sample_of(bare, asked.prompt, source, draw))
            which = f"{place.where}, answer {draw}, log-probabilities"
            yield Skipped(which, str(error))
    yield Answers(place.item, asked.prompt, tuple(found))


def _responses(body: Mapping[str, Any], asked: Asked) -> tuple[Response, ...]:
    _check_before_sampling(body)
    if asked.echo:
        if asked.prompt is None or asked.prompt.text is None:
            raise ResponseError("the prompt is repeated, and which one is not known")
        return read_completion(body, stop=asked.stop, echoed=asked.prompt.text)
    return read_body(body, stop=asked.stop)


def _check_before_sampling(body: Mapping[str, Any]) -> None:
    """Refuse llama.cpp's probabilities after sampling, which say so in the settings."""
    inner = body.get("__verbose")
    for holder in (body, inner if isinstance(inner, Mapping) else {}):
        settings = holder.get("generation_settings")
        told = isinstance(settings, Mapping) and settings.get("post_sampling_probs")
        if told is True and _has_numbers(body):
            raise ResponseError(
                "these are probabilities after sampling (post_sampling_probs), not the "
                "model's own; ask without post_sampling_probs"
            )


def _has_numbers(body: Mapping[str, Any]) -> bool:
    choices = body.get("choices")
    listed = choices if isinstance(choices, list) else []
    return bool(body.get("completion_probabilities")) or any(
        isinstance(choice, Mapping) and choice.get("logprobs") for choice in listed
    )


def _bare(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body without its log-probabilities."""
    dropped = ("completion_probabilities", "prompt_logprobs", "logprobs")
    bare = {name: value for name, value in body.items() if name not in dropped}
    if isinstance(body.get("choices"), list):
        bare["choices"] = [
            _bare(choice) if isinstance(choice, Mapping) else choice
            for choice in body["choices"]
        ]
    return bare


def source_of(body: Mapping[str, Any], asked: Asked, reading: Reading) -> Source:
    """What a stored response tells of where it comes from.

    llama.cpp lists as many candidates as were asked for, the most probable ones. Others
    may put the token itself in the place of the last (vLLM's chat API does), so that
    the number asked for says nothing of the list; bounds without it are wider and sure.
    """
    model, server = body.get("model"), body.get("system_fingerprint")
    decoding = dict(asked.settings)
    if isinstance(server, str):
        decoding["system_fingerprint"] = server
    seed = asked.settings.get("seed")
    origin = Origin(
        model if isinstance(model, str) and model else _UNKNOWN,
        _UNKNOWN,
        _UNKNOWN,
        engine=f"{reading.format} file",
        precision=_UNKNOWN,
        decoding=decoding,
        seed=seed if type(seed) is int else None,
    )
    exact = reading.format == "llama.cpp"
    top = asked.top if exact else None
    return Source(origin, reading.vocabulary_size, reading.rounding, top)


def sample_of(
    response: Response, prompt: Prompt | None, source: Source, draw: int
) -> Sample:
    """One answer, with its trace where log-probabilities are stored.

    Raises:
        NescioError: they are not those of the answer, or cannot be.
    """
    trace = None
    if response.tokens is not None:
        trace = trace_of(response, prompt, source)
    elif response.prompt_tokens is not None:  # the prompt was scored, the answer not
        trace = trace_of(replace(response, text="", tokens=()), prompt, source)
    known = [token.logp for token in response.tokens or ()]
    logps = [logp for logp in known if logp is not None]
    whole = response.tokens is not None and len(logps) == len(known) > 0
    return Sample(
        response.text,
        source.origin.model,
        draw=draw,
        trace=trace,
        total_logp=math.fsum(logps) if whole else None,
        token_count=response.token_count,
    )
