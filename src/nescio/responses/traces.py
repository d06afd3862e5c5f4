"""From what a server revealed of an answer to its trace: bounds where rows are cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidDistribution, ResponseError
from nescio.information.bounds import entropy_bounds, single_precision_bounds
from nescio.responses.parsing import utf8
from nescio.responses.revealed import Candidate, Response, Revealed, spelled
from nescio.trace import Candidates, Origin, Prompt, Trace
from nescio.trace.trace import ROLES, SEGMENTS

__all__ = ["Source", "trace_of"]

_NOTHING = -700.0  # nats: what is less probable changes no sum
_CANDIDATE_CUT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Source:
    """What is known of a source of answers.

    Args:
        origin: of every trace.
        vocabulary_size: how many tokens its predictions are over; None: unknown, so
            that entropies have no upper bound.
        rounding: by how much the sum of the probabilities it prints may be off.
        asked: how many candidates a token were asked for; None: unknown.
    """

    origin: Origin
    vocabulary_size: int | None = None
    rounding: float = 0.0
    asked: int | None = None


def trace_of(
    response: Response,
    prompt: Prompt | None,
    source: Source,
    *,
    context: int = 0,
    hidden: int = 0,
) -> Trace:
    """The trace of an answer, and of its prompt where the source scored that.

    Entropies are bounds: the candidates and the token itself are known, the others
    share what is left. An unscored prompt stands in the trace as one piece a message.

    Args:
        response: one answer.
        prompt: what was asked; None: unknown.
        source: where it comes from.
        context: how many tokens stood before the first one of the answer.
        hidden: how many tokens at the beginning need not be revealed; the first one of
            a text that was scored has no prediction.

    Raises:
        ResponseError: nothing is revealed of the tokens, they spell another text, or
            their probabilities cannot be.
    """
    if response.tokens is None:
        raise ResponseError(
            "the source gives no log-probabilities of this answer; without them there "
            "is a text and no trace (ask for logprobs)"
        )
    _check_same_text(response)
    _check_revealed(response.tokens[hidden:])
    _check_revealed((response.prompt_tokens or ())[1:])
    asked = response.prompt_tokens or _pieces(prompt)
    tokens = (*asked, *response.tokens)
    before = len(asked)
    scored = np.array([token.logp is not None for token in tokens], dtype=np.bool_)
    logp = np.array([np.nan if t.logp is None else t.logp for t in tokens])
    low, high = _bounds(tokens, scored, source)
    segment = np.full(len(tokens), SEGMENTS.index("completion"), dtype=np.int8)
    segment[:before] = SEGMENTS.index("prompt")
    positions = np.arange(len(tokens)) - (0 if response.prompt_tokens else before)
    return Trace(
        buffer=spelled(tokens),
        offsets=np.array([0, *accumulate(len(t.buffer) for t in tokens)], np.int64),
        token_ids=_ids(tokens),
        segment=segment,
        role=_roles(prompt, response, len(tokens)),
        scored=scored,
        context_used=np.where(positions < 0, 0, context + positions).astype(np.int32),
        logp=_single(logp),
        origin=source.origin,
        entropy_low=low,
        entropy_high=high,
        rank=_ranks(tokens, scored),
        candidates=_candidates(tokens),
        labels={
            place: f"<token {token.token_id}>"
            for place, token in enumerate(tokens)
            if not token.buffer and token.token_id is not None
        },
        stop=response.stop,
    )


def _single(logp: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """In single precision; what is smaller than its smallest number is impossible."""
    with np.errstate(over="ignore"):
        return logp.astype(np.float32)


def _check_same_text(response: Response) -> None:
    """Refuse log-probabilities of another text; a stop text may have been cut off."""
    text, tokens = utf8(response.text), spelled(response.tokens or ())
    if tokens.startswith(text):
        return
    if tokens.decode("utf-8", errors="replace").startswith(response.text):
        return  # a character that was cut
    raise ResponseError(
        f"the log-probabilities belong to another text, {tokens[:60]!r}, than the "
        f"answer, {text[:60]!r}"
    )


def _check_revealed(tokens: Sequence[Revealed]) -> None:
    """Refuse gaps: without its least probable tokens a text looks too probable."""
    if missing := sum(token.logp is None for token in tokens):
        raise ResponseError(
            f"the source does not reveal the log-probabilities of {missing} of "
            f"{len(tokens)} tokens (the least probable ones, or those before a stop "
            "text); what is left would not be the surprisal of this text. Draw at a "
            "lower temperature or a smaller top_p, or take the text alone"
        )


def _pieces(prompt: Prompt | None) -> tuple[Revealed, ...]:
    """A prompt of which nothing is revealed, a piece a message."""
    if prompt is None:
        return ()
    if prompt.messages:
        texts = [message.content for message in prompt.messages]
    else:
        texts = [prompt.text or prompt.source or ""]
    return tuple(Revealed(utf8(text), None) for text in texts)


def _roles(
    prompt: Prompt | None, response: Response, tokens: int
) -> Int[np.ndarray, " n"]:
    roles = np.zeros(tokens, dtype=np.int8)
    if prompt is not None and prompt.messages and not response.prompt_tokens:
        found = [ROLES.index(message.role) for message in prompt.messages]
        roles[: len(found)] = found
    return roles


def _bounds(
    tokens: Sequence[Revealed], scored: np.ndarray, source: Source
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    low, high = np.full((2, len(tokens)), np.nan)
    asked = _asked(tokens) if source.asked is None else source.asked
    known = [_atoms(token, asked) for token in tokens if token.logp is not None]
    if not known:
        return low, high
    width = max(len(top) for top, _ in known)
    top = np.full((len(known), width), np.nan)
    for row, (atoms, _) in enumerate(known):
        top[row, : len(atoms)] = atoms
    drawn = np.array([np.nan if atom is None else atom for _, atom in known])
    try:
        found = entropy_bounds(
            top,
            drawn=drawn,
            vocabulary_size=source.vocabulary_size,
            rounding=source.rounding,
        )
    except InvalidDistribution as error:
        raise ResponseError(
            f"what the source says of its predictions: {error}"
        ) from error
    low[scored], high[scored] = single_precision_bounds(*found)
    return low, high


def _atoms(token: Revealed, asked: int | None) -> tuple[list[float], float | None]:
    """What is known of a prediction: the most probable tokens, and the token itself.

    Sources put the token itself behind the candidates, or in the place of the last,
    though it is less probable than all of them (vLLM does). So where it stands last,
    or alone, only those before it are believed to be the most probable. Where several
    tokens may go by one name, or one token twice, the candidates bound nothing.
    """
    if token.logp is None:
        raise AssertionError("only scored tokens have predictions")
    found, at = list(token.candidates), _place(token)
    if _names_collide(token, asked) or _is_twice(found):
        return [], token.logp
    if at is None:
        return [other.logp for other in found], token.logp
    if at == len(found) - 1:
        return [other.logp for other in found[:-1]], token.logp
    return [other.logp for other in found], None


def _asked(tokens: Sequence[Revealed]) -> int | None:
    """How many candidates were asked for at least, where several names may be one."""
    known = [_believed(token) for token in tokens if token.named and token.candidates]
    return max(known, default=None)


def _believed(token: Revealed) -> int:
    """How many candidates there are, without the token itself in the last place."""
    return len(token.candidates) - (_place(token) == len(token.candidates) - 1)


def _place(token: Revealed) -> int | None:
    """Where the token itself stands among its candidates."""
    found, logp = token.candidates, token.logp

    def away(place: int) -> tuple[float, int]:
        listed = found[place].logp
        return 0.0 if listed == logp else abs(listed - (logp or 0.0)), -place

    same = [place for place, other in enumerate(found) if _same(other, token)]
    return min(same, key=away, default=None)


def _same(other: Candidate, token: Revealed) -> bool:
    if token.token_id is not None and other.token_id is not None:
        return token.token_id == other.token_id
    return token.buffer == other.buffer


def _names_collide(token: Revealed, asked: int | None) -> bool:
    """Whether a candidate may be missing, or be the token itself by another name."""
    found, unknown = token.candidates, _CANDIDATE_CUT.encode()
    if token.named and asked is not None and _believed(token) < asked:
        return True
    cut = [o for o in found if unknown in o.buffer and o.token_id is None]
    if not cut:
        return False
    return asked is None or len(found) < asked or _place(token) is None


def _is_twice(found: Sequence[Candidate]) -> bool:
    """Whether one token may be listed twice, so that its probability counts twice."""
    names = [
        other.token_id if other.token_id is not None else (other.buffer, other.logp)
        for other in found
        if other.logp > _NOTHING
    ]
    return len(set(names)) < len(names)


def _ids(tokens: Sequence[Revealed]) -> Int[np.ndarray, " n"] | None:
    found = [token.token_id for token in tokens]
    if not found or any(token_id is None for token_id in found):
        return None
    return np.array(found, dtype=np.int32)


def _ranks(
    tokens: Sequence[Revealed], scored: np.ndarray
) -> Int[np.ndarray, " n"] | None:
    """1 + how many are more probable, if that is known of every token."""
    ranks = np.zeros(len(tokens), dtype=np.int32)
    for place in np.flatnonzero(scored).tolist():
        token = tokens[place]
        if not _is_ranked(token):
            return None
        logp = token.logp or 0.0
        ranks[place] = 1 + sum(other.logp > logp for other in token.candidates)
    return ranks if scored.any() else None


def _is_ranked(token: Revealed) -> bool:
    """Whether all that are more probable are listed: see `_atoms` on the last one."""
    found, at = token.candidates, _place(token)
    if at is None or token.logp is None or _is_twice(found):
        return False
    if at < len(found) - 1 and not token.named:
        return True
    left = 1.0 - math.fsum(math.exp(other.logp) for other in found)
    return left < math.exp(token.logp)


def _candidates(tokens: Sequence[Revealed]) -> Candidates | None:
    found = [other for token in tokens for other in token.candidates]
    if not found:
        return None
    ids = [other.token_id for other in found]
    known = [token_id for token_id in ids if token_id is not None]
    return Candidates(
        np.array([0, *accumulate(len(t.candidates) for t in tokens)], np.int64),
        np.array(known, np.int32) if len(known) == len(ids) else None,
        _single(np.array([other.logp for other in found])),
        b"".join(other.buffer for other in found),
        np.array([0, *accumulate(len(other.buffer) for other in found)], np.int64),
        {
            place: f"<token {other.token_id}>"
            for place, other in enumerate(found)
            if not other.buffer and other.token_id is not None
        },
    )
