"""Tokens with log-probabilities, in each of the ways that servers write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nescio.errors import ResponseError
from nescio.responses.parsing import array_in, number_in, text_in, utf8
from nescio.responses.revealed import Candidate, Revealed

__all__ = ["listed_tokens", "named_tokens", "vllm_prompt_tokens"]

_ESCAPED = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2})+)")
_TOKEN_ID = re.compile(r"token_id:(\d{1,9})")
_UNREVEALED = -9999.0
"""What OpenAI writes of a token that is not among those it lists: no number."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def listed_tokens(entries: Sequence[Any]) -> tuple[Revealed, ...]:
    """Tokens as the chat API and llama.cpp list them: an object a token.

    Raises:
        ResponseError: an entry is not such an object; its log-probability cannot be;
            nothing says which bytes a token spells.
    """
    return tuple(_listed(_object(entry)) for entry in entries)


def _listed(entry: Mapping[str, Any]) -> Revealed:
    if "logprob" not in entry and "prob" in entry:
        raise ResponseError(
            "these are probabilities after sampling (prob, top_probs), not the model's "
            "own; ask without post_sampling_probs"
        )
    others = entry.get("top_logprobs")
    if others is not None and not isinstance(others, list):
        raise ResponseError("top_logprobs should be an array")
    found = [_candidate(_object(other)) for other in others or ()]
    chosen = _candidate(entry)
    if _UNKNOWN in text_in(entry, "token") and entry.get("bytes") is None:
        raise _no_bytes(text_in(entry, "token"))
    logp = _revealed(chosen.logp)
    return Revealed(chosen.buffer, logp, _falling(found), chosen.token_id)


def _candidate(entry: Mapping[str, Any]) -> Candidate:
    token_id = entry.get("id")
    if not (type(token_id) is int and 0 <= token_id < 2**31):
        token_id = None
    spelled, named = _spelled(text_in(entry, "token"), entry.get("bytes"))
    known = token_id if token_id is not None else named
    return Candidate(spelled, number_in(entry, "logprob"), known)


def named_tokens(logprobs: Mapping[str, Any]) -> tuple[Revealed, ...]:
    """Tokens as the older completions API writes them: three arrays side by side.

    Raises:
        ResponseError: the arrays differ in length; as `listed_tokens`.
    """
    tokens, logps = array_in(logprobs, "tokens"), array_in(logprobs, "token_logprobs")
    others = logprobs.get("top_logprobs")
    if others is None:
        others = [None] * len(tokens)
    if not isinstance(others, list):
        raise ResponseError("top_logprobs should be an array")
    if not len(tokens) == len(logps) == len(others):
        raise ResponseError(
            f"{len(tokens)} tokens, {len(logps)} token_logprobs and "
            f"{len(others)} top_logprobs do not belong together"
        )
    return tuple(
        _named(token, logp, other)
        for token, logp, other in zip(tokens, logps, others, strict=True)
    )


def _named(token: Any, logp: Any, others: Any) -> Revealed:
    text = text_in({"token": token}, "token")
    if _UNKNOWN in text:
        raise _no_bytes(text)
    spelled, token_id = _spelled(text, None)
    known = None if logp is None else number_in({"logprob": logp}, "logprob")
    if others is not None and not isinstance(others, Mapping):
        raise ResponseError("an entry of top_logprobs should be an object")
    found = []
    for name, other in (others or {}).items():
        buffer, number = _spelled(text_in({"token": name}, "token"), None)
        value = number_in({"logprob": other}, "logprob")
        found.append(Candidate(buffer, value, number))
    logp = None if known is None else _revealed(known)
    return Revealed(spelled, logp, _falling(found), token_id, named=bool(found))


def vllm_prompt_tokens(entries: Sequence[Any]) -> tuple[Revealed, ...]:
    """The tokens of a prompt as vLLM's ``prompt_logprobs`` writes them.

    One entry a token: null for the first, else ``{token id: {logprob, rank,
    decoded_token}}`` with the prompt's own token first.

    Raises:
        ResponseError: the entries are something else.
    """
    return tuple(_vllm(entry) for entry in entries if entry is not None)


def _vllm(entry: Any) -> Revealed:
    found = []
    for number, fields in _object(entry).items():
        token = _object(fields)
        if not number.isdecimal() or len(number) > 9:
            raise ResponseError(f"{number!r:.40} is no token id")
        text = text_in(token, "decoded_token")
        found.append(
            Candidate(_spelled(text, None)[0], number_in(token, "logprob"), int(number))
        )
    if not found:
        raise ResponseError("a token of the prompt has no log-probability")
    own = found[0]
    if _UNKNOWN.encode() in own.buffer:
        raise _no_bytes(_UNKNOWN)
    return Revealed(own.buffer, own.logp, _falling(found), own.token_id)


def _spelled(text: str, given: Any) -> tuple[bytes, int | None]:
    """The bytes of a token, and its id where only that is written.

    Raises:
        ResponseError: bytes that are none.
    """
    if given is not None:
        wrong = f"the bytes of {text!r:.40} are no bytes: {given!r:.40}"
        if not isinstance(given, list):  # a number would be that many zeros
            raise ResponseError(wrong)
        try:
            return bytes(given), None
        except (TypeError, ValueError) as error:
            raise ResponseError(wrong) from error
    if escaped := _ESCAPED.fullmatch(text):
        return bytes.fromhex(escaped[1].replace("\\x", "")), None
    if named := _TOKEN_ID.fullmatch(text):
        return b"", int(named[1])
    return utf8(text), None


def _revealed(logp: float) -> float | None:
    """A log-probability; None for the number that stands for "very unlikely"."""
    return None if logp == _UNREVEALED else logp


def _falling(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(found, key=lambda candidate: -candidate.logp))


def _no_bytes(text: str) -> ResponseError:
    return ResponseError(
        f"the token {text!r:.40} is part of a character and the source does not say "
        "which bytes it spells; ask the chat API, which does"
    )


def _object(entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise ResponseError(f"a token should be an object; got {entry!r:.60}")
    return entry
