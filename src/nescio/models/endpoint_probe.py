"""Finding out what a server does, by asking it: names and versions prove nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nescio.errors import BudgetExhausted, EndpointError, ResponseError, UnknownModel
from nescio.kernel import Sampling
from nescio.models.endpoint_connection import (
    CHAT,
    COMPLETIONS,
    MODELS,
    Connection,
    Refused,
)
from nescio.models.endpoint_report import CapabilityReport
from nescio.models.endpoint_request import request_body
from nescio.models.protocol import Drawing
from nescio.responses import Candidate, Response, read_body, read_completion
from nescio.trace import Prompt

__all__ = ["probe"]

_PROMPT = "The weather in the north of the country is"
_TOKENS = 6
_TRIES = 5
_LADDER = (1000, 100, 20)
_FIRST = 5
_ROUNDING = 2e-4
"""Assumed of a sum of printed probabilities where no whole prediction can be had."""
_FEWEST, _PRINTED = 3, 1000.0
"""Of log-probabilities: from how many, and down to which, decimals are counted."""
_SAME = 0.02
"""In nats: two predictions of one context differ by less, one at temperature 2 more."""
_MISSING = (404, 405, 501)
_GREEDY = Sampling(temperature=0.0)
_HOT = Sampling(temperature=2.0)
_EXTREMES: Mapping[str, Mapping[str, Any]] = {
    "top_k": {"top_k": 1},
    "top_p": {"top_p": 1e-6},
    "min_p": {"min_p": 1.0},
}
"""Truncations that leave the most probable token alone, whatever the temperature."""


@dataclass
class _Probe:
    """The report as far as it has come."""

    connection: Connection
    report: CapabilityReport
    prompt: Prompt = field(default_factory=lambda: Prompt(text=_PROMPT))

    async def ask(
        self,
        path: str,
        drawing: Drawing,
        *,
        seed: int | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> tuple[Response, ...]:
        """The answers to the probe's prompt.

        An empty answer (the end was drawn at once, or a part of a character) says
        nothing of log-probabilities: where they are asked for, the server is asked
        again.
        """
        found: tuple[Response, ...] = ()
        for attempt in range(_TRIES):
            chosen = attempt if attempt and seed is None else seed
            body = request_body(self.report, path, self.prompt, drawing, seed=chosen)
            body |= further or {}
            count = body.get("n", 1) * drawing.max_tokens
            said = await self.connection.post(path, body, tokens=count, retries=2)
            found = read_body(said)
            if not drawing.top or found[0].text or found[0].tokens:
                break
        return found

    def learn(self, **facts: Any) -> None:
        """Add to the report."""
        self.report = replace(self.report, **facts)


async def probe(connection: Connection) -> CapabilityReport:
    """What the server behind a connection does.

    Costs some twenty requests of a few tokens each.

    Raises:
        UnknownModel: it serves no model of that name.
        EndpointError: it cannot be reached, or answers neither texts nor messages.
        ResponseError: what it says cannot be.
    """
    address = connection.address
    asked = _Probe(connection, CapabilityReport(address.url, address.model))
    await _names(asked)
    await _which_api(asked)
    report = asked.report
    path = COMPLETIONS if report.completion_logprobs else CHAT
    if not (report.completion_logprobs or report.chat_logprobs):
        path = COMPLETIONS if report.completions else CHAT
    if report.completion_logprobs or report.chat_logprobs:
        await _how_many(asked, path)
        await _before_sampling(asked, path)
    await _obeys(asked, path)
    await _several(asked, path)
    await _seeded(asked, path)
    await _scores(asked)
    await _streams(asked, path)
    budget = connection.budget
    return replace(asked.report, requests=budget.requests, tokens=budget.tokens)


async def _names(asked: _Probe) -> None:
    """The model's name and size, and what the server calls itself."""
    address = asked.connection.address
    listed = await asked.connection.get(address.url + MODELS)
    entries = (listed or {}).get("data")
    models = [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
    ]
    chosen = _chosen(asked, models)
    meta = chosen.get("meta")
    facts = meta if isinstance(meta, Mapping) else {}
    size = _positive(facts.get("n_vocab"))
    asked.learn(
        model=chosen["id"],
        vocabulary_size=address.vocabulary or size,
        context_length=_positive(facts.get("n_ctx"))
        or _positive(chosen.get("max_model_len")),
        precision=str(facts.get("ftype", "unknown"))[:40],
        fingerprint=_fingerprint(facts),
    )
    if size and address.vocabulary and size != address.vocabulary:
        raise UnknownModel(
            f"vocabulary={address.vocabulary}, but {address.url} says its model has "
            f"{size} tokens"
        )
    props = await asked.connection.get(address.root + "/props") or {}
    if "default_generation_settings" in props:
        build = str(props.get("build_info", "")).strip()[:60]
        asked.learn(server=f"llama.cpp {build}".strip())
        return
    version = await asked.connection.get(address.root + "/version") or {}
    if isinstance(version.get("version"), str):
        asked.learn(server=f"vLLM {version['version'][:40]}")


def _fingerprint(facts: Mapping[str, Any]) -> str:
    """What llama.cpp says of the weights; another file has another size."""
    known = {name: _positive(facts.get(name)) for name in ("n_params", "size")}
    return ", ".join(f"{name} {number}" for name, number in known.items() if number)


def _chosen(asked: _Probe, models: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    name, url = asked.report.model, asked.report.url
    if not name and len(models) == 1:
        return models[0]
    known = ", ".join(str(model["id"])[:60] for model in models[:12])
    if not name:
        raise UnknownModel(
            f"{url} serves {len(models)} models; name one behind #: {known or '?'}"
        )
    for model in models:
        aliases = model.get("aliases")
        if name == model["id"] or (isinstance(aliases, list) and name in aliases):
            return {**model, "id": name}
    if models:
        raise UnknownModel(f"{url} serves no model {name!r}; it serves {known}")
    return {"id": name}


async def _which_api(asked: _Probe) -> None:
    """Which of the two APIs is there, and which settings it takes."""
    said = []
    for path in (COMPLETIONS, CHAT):
        try:
            found = await _first(asked, path)
        except (Refused, ResponseError) as error:
            said.append(str(error))
            continue
        count = _candidates(found)
        if path == CHAT:
            asked.learn(chat=True, chat_logprobs=count)
        else:
            asked.learn(completions=True, completion_logprobs=count)
    if not (asked.report.completions or asked.report.chat):
        raise EndpointError(
            f"{asked.report.url} answers neither texts nor messages: "
            + "; ".join(dict.fromkeys(said))
        )


async def _first(asked: _Probe, path: str) -> tuple[Response, ...]:
    """The first answer, with as much asked for as the server takes."""
    names = ("max_tokens", "max_completion_tokens") if path == CHAT else ("max_tokens",)
    problem: Refused | None = None
    for name in names:
        for top in (_FIRST, 0):
            for extensions in (True, False):
                asked.learn(length_name=name, extensions=extensions)
                try:
                    return await asked.ask(path, Drawing(1, Sampling(), top=top))
                except Refused as error:
                    if error.status in (*_MISSING, 401, 403):
                        raise
                    problem = problem or error
    raise problem or AssertionError("something was asked")


def _candidates(found: Sequence[Response]) -> int:
    """The fewest candidates that a token came with; 0 without log-probabilities."""
    tokens = found[0].tokens or ()
    return min((len(token.candidates) for token in tokens), default=0)


async def _how_many(asked: _Probe, path: str) -> None:
    """How many candidates a token there are to be had, and how exact they are."""
    report = asked.report
    size, most = report.vocabulary_size, _FIRST
    reference = await asked.ask(path, Drawing(1, Sampling(), top=_FIRST))
    whole: Response | None = None
    for count in _LADDER:
        got = await _with(asked, path, count)
        if got is None:
            continue
        most = max(most, min(_candidates((got,)), count))
        if most == _LADDER[0] and size is not None and size > most:
            whole = await _with(asked, path, size)
        break
    rounding, measured = max(_ROUNDING, _printed(reference[0])), False
    if whole is not None and size is not None and _candidates((whole,)) == size:
        most, measured = size, True
        rounding = max(_rounding(reference[0], whole), _printed(whole))
    other = {CHAT: report.chat_logprobs, COMPLETIONS: report.completion_logprobs}
    facts = {"rounding": rounding, "rounding_measured": measured}
    for each, count in other.items():
        name = "chat_logprobs" if each == CHAT else "completion_logprobs"
        facts[name] = most if count and each == path else count
    if path == COMPLETIONS and report.chat_logprobs:
        for count in (min(most, _LADDER[0]), 20):
            got = await _with(asked, CHAT, count)
            if got is not None:
                facts["chat_logprobs"] = min(_candidates((got,)), count)
                break
    asked.learn(**facts)


async def _with(asked: _Probe, path: str, count: int) -> Response | None:
    """An answer of one token with so many candidates; None: not to be had."""
    try:
        return (await asked.ask(path, Drawing(1, Sampling(), top=count)))[0]
    except BudgetExhausted:
        raise
    except EndpointError:
        return None  # some servers fail (status 500) where they should refuse


def _rounding(some: Response, whole: Response) -> float:
    """How far the sum of a whole prediction is from 1, or an atom from itself."""
    logp = [candidate.logp for candidate in _row(whole)]
    off = abs(math.fsum(map(math.exp, logp)) - 1.0)
    few = [candidate.logp for candidate in _row(some)]
    atoms = [abs(a - b) for a, b in zip(few, logp, strict=False)]
    found = max(off, *atoms)
    if found >= 1.0:
        raise ResponseError(
            f"the probabilities of a whole prediction are off by {found:.3g}: what "
            "this server gives are no log-probabilities in nats"
        )
    return found


def _printed(answer: Response) -> float:
    """Half of the last decimal place of log-probabilities that are printed coarsely."""
    logp = [c.logp for c in _row(answer) if -_PRINTED < c.logp < 0.0]
    for places in range(4 if len(logp) >= _FEWEST else 0):
        if all(round(each, places) == each for each in logp):
            return 0.5 * 10.0**-places
    return 0.0


def _row(answer: Response) -> tuple[Candidate, ...]:
    """The candidates for the first token."""
    return answer.tokens[0].candidates if answer.tokens else ()


async def _before_sampling(asked: _Probe, path: str) -> None:
    """Whether log-probabilities stay when temperature and truncation change."""
    drawing = Drawing(1, Sampling(), top=_FIRST)
    plain = (await asked.ask(path, drawing))[0]
    changed = []
    for sampling in (_HOT, Sampling(top_p=1e-6)):
        found = await asked.ask(path, replace(drawing, sampling=sampling))
        changed.append(_apart(plain, found[0]))
    asked.learn(before_sampling=max(changed) < _SAME)


def _apart(one: Response, other: Response) -> float:
    """How far two predictions of one context differ in their common candidates."""
    if not one.tokens or not other.tokens:
        return math.inf
    first = {c.buffer: c.logp for c in one.tokens[0].candidates}
    second = {c.buffer: c.logp for c in other.tokens[0].candidates}
    common = first.keys() & second.keys()
    if len(common) < min(len(first), len(second)) / 2 or not common:
        return math.inf
    return max(abs(first[name] - second[name]) for name in common)


async def _obeys(asked: _Probe, path: str) -> None:
    """Which truncations make a hot answer the greedy one, that is not so without."""
    greedy = (await asked.ask(path, Drawing(_TOKENS, _GREEDY)))[0].text
    hot = (await asked.ask(path, Drawing(_TOKENS, _HOT), seed=1))[0].text
    if hot == greedy:
        return  # always the same, or always nothing: it shows nothing
    found = []
    for name, extreme in _EXTREMES.items():
        if name != "top_p" and not asked.report.extensions:
            continue
        sampling = replace(_HOT, **extreme)
        drawn = await asked.ask(path, Drawing(_TOKENS, sampling), seed=1)
        if drawn[0].text == greedy:
            found.append(name)
    asked.learn(honours=tuple(found))


async def _several(asked: _Probe, path: str) -> None:
    try:
        found = await asked.ask(path, Drawing(1, Sampling()), further={"n": 2})
    except (Refused, ResponseError):
        return
    asked.learn(several=len(found) == 2)


async def _seeded(asked: _Probe, path: str) -> None:
    texts = []
    for seed in (7, 7, 8):
        try:
            found = await asked.ask(path, Drawing(2 * _TOKENS, _HOT), seed=seed)
        except Refused:
            return
        texts.append(found[0].text)
    asked.learn(seeded=texts[0] == texts[1] and texts[0] != texts[2])


async def _scores(asked: _Probe) -> None:
    """Whether a text's own tokens get log-probabilities, and how to ask for them."""
    report = asked.report
    if not report.completions or not report.completion_logprobs:
        return
    drawing = Drawing(1, Sampling(), top=1)
    body = request_body(report, COMPLETIONS, asked.prompt, drawing)
    for name, value in (("echo", True), ("prompt_logprobs", 1)):
        try:
            found = await asked.connection.post(
                COMPLETIONS, body | {name: value}, tokens=1, retries=2
            )
            echoed = _PROMPT if name == "echo" else None
            answer = read_completion(found, echoed=echoed)[0]
        except (Refused, ResponseError):
            continue
        tokens = answer.prompt_tokens or ()
        if sum(token.logp is not None for token in tokens) > 1:
            asked.learn(prompt_logprobs=name)
            return


async def _streams(asked: _Probe, path: str) -> None:
    drawing = Drawing(2, Sampling())
    body = request_body(asked.report, path, asked.prompt, drawing, stream=True)
    events = 0
    try:
        async for event in asked.connection.events(path, body, tokens=2):
            events += isinstance(event.get("choices"), list)
    except BudgetExhausted:
        raise
    except EndpointError:
        return
    asked.learn(streams=events > 1)


def _positive(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
