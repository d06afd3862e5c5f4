"""The published code of agreement-based search as a method of agreement_peer.py.

*As it is*, nothing of it is changed but the prompt's first token, which is that of
nescio, so that both are asked the same. *Even* takes away what is not search.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measuring import Prepared, Unavailable

PACKAGE = "ensembling"
NO_LIMIT = 10**9


class _Undecided(Exception):
    """A search looked at as many cells as it may, and has not ended."""


def prepare(task: dict[str, Any]) -> Prepared:
    """Load both models once; every run is the next job, as it is and even."""
    checkout = Path(task["checkout"])
    if not (checkout / PACKAGE / "search.py").is_file():
        raise Unavailable(f"{checkout} holds no {PACKAGE}/search.py: give --checkout")
    sys.path.insert(0, str(checkout))
    utils = import_module(f"{PACKAGE}.utils")
    for folder in task["directories"].values():
        utils.TOKENIZER_CONFIG[folder] = {
            "lstrip": False,
            "special_character": "\u2581",
            "begin_word": True,
            "byte_map": utils.BYTE_MAP,
            "add_space": False,
        }
    words = json.loads(Path(task["words"]).read_text("utf-8"))
    loader = import_module(f"{PACKAGE}.models")
    models = loader.get_models(list(task["directories"].values()))
    named = dict(zip(task["directories"], models, strict=True))
    for name, model in named.items():
        (model.model.config.bos_token_id,) = words[name]["start"]
    answers: list[dict[str, Any]] = []

    def search(job: Mapping[str, Any], *, even: bool) -> dict[str, Any]:
        members = [_another(loader, named[name]) for name in job["members"]]
        told = [words[name] for name in job["members"]]
        if even:
            for member, own in zip(members, told, strict=True):
                _same_words(member, own)
            with _only_the_search():
                return _searched(members, job)
        return _searched(members, job)

    def run() -> dict[str, Any]:
        number = len(answers)
        turns = ("as it is", "even") if number % 2 else ("even", "as it is")
        job = task["jobs"][number]
        answers.append({mode: search(job, even=mode == "even") for mode in turns})
        return {"answers": answers}

    def warm() -> dict[str, Any]:
        search(task["jobs"][0] | {"tokens": 1}, even=False)
        return {
            "versions": {name: version(name) for name in ("torch", "transformers")},
            "files": _digest(checkout),
        }

    return Prepared(run, warm)


def _another(loader: Any, model: Any) -> Any:
    """A member of its own on the same network: one may search with itself."""
    made = object.__new__(loader.Model)
    made.__dict__ |= model.__dict__
    made.whitespace_tokenizer = object.__new__(loader.FastTokenizer)
    made.whitespace_tokenizer.__dict__ |= model.whitespace_tokenizer.__dict__
    return made


def _same_words(model: Any, words: Mapping[str, Any]) -> None:
    """Tokens are text, ends or neither as nescio reads them.

    As it is, every added token but one end is banned (of Gemma the line breaks, of
    both all other ends), tokens of half a character all spell U+FFFD, and an end that
    is also the padding is left out of what was written.
    """
    ends, spelled = list(words["end"]), words["tokens"]
    model.eos_token_ids = ends
    model.bad_words = [
        token for token, own in enumerate(spelled) if own is None and token not in ends
    ]
    model.whitespace_tokenizer.vocab = [bytes.fromhex(own or "") for own in spelled]
    model.target_tokenizer = _WithoutPadding(model.target_tokenizer)


class _WithoutPadding:
    """A tokenizer no token of which is the padding."""

    pad_token_id = -2

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


@contextmanager
def _only_the_search() -> Iterator[None]:
    """No search is stopped before it has as many texts as it is wide.

    As it is, it stops at the first cell, compatible or not, whose sum is below that of
    a finished text, or after 10,000 cells with two found; and a member that waits
    counts a token more when lengths are compared with the longest.
    """
    search, ensemble = (
        import_module(f"{PACKAGE}.search"),
        import_module(f"{PACKAGE}.ensemble"),
    )
    theirs, agree = search.beam_search, search.compatibility

    def to_its_end(**given: Any) -> Any:
        given |= {"max_score": -math.inf, "max_depth": NO_LIMIT}
        with patch.object(search.Hypothesis, "raw_score", lambda _: -math.inf):
            return theirs(**given)

    def counted(models: Any, state: Any) -> Any:
        found = agree(models, state)
        state.outputs = [_as_long_as_it_is(one) for one in state.outputs]
        return found

    with (
        patch.object(ensemble, "beam_search", to_its_end),
        patch.object(search, "compatibility", counted),
        patch.object(search.BeamState, "score", lambda _: math.inf),
    ):
        yield


def _as_long_as_it_is(output: tuple[int, Any]) -> tuple[int, Any]:
    place, token = output
    if int(token.idx) != -1:
        return output
    fields = {name: getattr(token, name) for name in ("score", "idx", "token")}
    return place, type(token)(hyp_len=token.hyp_len - 1, **fields)


class _Looking:
    """Whether a cell agrees, counted, at most so often."""

    def __init__(self, agree: Any, most: int) -> None:
        self._agree, self._most, self.cells = agree, most, 0

    def __call__(self, models: Any, state: Any) -> Any:
        if self.cells == self._most:
            raise _Undecided
        self.cells += 1
        return self._agree(models, state)


def _searched(models: Sequence[Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """One search; every finished text is noted where it is made."""
    search, ensemble = (
        import_module(f"{PACKAGE}.search"),
        import_module(f"{PACKAGE}.ensemble"),
    )
    finished: list[Any] = []
    looking = _Looking(search.compatibility, job["cells"])

    class Noted(search.Hypothesis):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            finished.append(self)

    weights = [weight / sum(job["weights"]) for weight in job["weights"]]
    batch = [[{"decoder_inputs": job["prompt"]}] for _ in models]
    prompts = [_prompt(model, job["prompt"]) for model in models]
    if min(map(len, prompts)) <= job["tokens"]:
        raise Unavailable("a prompt has to be longer than the text: lengths count both")
    width, tokens, failed, decided = job["width"], job["tokens"], None, True
    begin = time.perf_counter()
    try:
        with (
            patch.object(search, "Hypothesis", Noted),
            patch.object(search, "compatibility", looking),
        ):
            ensemble.ensemble_beam_search(
                batch, list(models), weights, num_beams=width, max_length=tokens
            )
    except OverflowError as error:  # telling a text at whose end a member waits
        failed = str(error)
    except _Undecided:
        decided = False
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "failed": failed,
        "decided": decided,
        "cells": looking.cells,
        "prompts": prompts,
        "finished": [
            _told(models, prompts, one)
            for one in sorted(finished, key=lambda one: -float(one.unnormalized))
        ],
    }


def _prompt(model: Any, text: str) -> list[int]:
    tokenizer = model.target_tokenizer
    read = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
    return [model.model.config.bos_token_id, *read]


def _told(
    models: Sequence[Any], prompts: Sequence[Sequence[int]], found: Any
) -> dict[str, Any]:
    tokens = [
        [token for token in own[len(prompt) :] if token != -1]
        for own, prompt in zip(found.output_ids, prompts, strict=True)
    ]
    texts = [
        b"".join(map(model.whitespace_tokenizer.decode, own))
        for model, own in zip(models, tokens, strict=True)
    ]
    return {
        "text": max(texts, key=len).hex(),
        "tokens": tokens,
        "logp": [float(score) for score in found.scores],
        "total": float(found.unnormalized),
    }


def _digest(checkout: Path) -> str:
    """Of the published files, for the result."""
    found = hashlib.sha256()
    for path in sorted((checkout / PACKAGE).glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
