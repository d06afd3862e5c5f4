"""An ensemble inside a plain ``model.generate(...)`` of Hugging Face transformers.

::

    network = AutoModelForCausalLM.from_pretrained(name)
    tokenizer = AutoTokenizer.from_pretrained(name)
    together = JoinedGeneration(tokenizer, [nescio.load("gemma3-270m")], rule="product")
    ids = network.generate(
        **tokenizer("The sea is", return_tensors="pt"),
        custom_generate=together, max_new_tokens=40, do_sample=True,
    )

The answer is written byte by byte by all members together and given back in the tokens
of the network's tokenizer. Neither torch nor transformers is imported before it runs.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nescio.decoding.generation import stream
from nescio.decoding.rules import Decoding
from nescio.ensemble.byte_view import USUAL_PRUNE
from nescio.ensemble.joining import Ensemble
from nescio.errors import CapabilityError, InvalidInput
from nescio.kernel import Sampling
from nescio.trace import Origin, Trace

__all__ = ["JoinedGeneration"]

_WARPERS = frozenset({"Temperature", "TopK", "TopP", "MinP"})
_CRITERIA = frozenset({"MaxLengthCriteria", "EosTokenCriteria"})
_LONGEST = 64
"""Bytes a token may have on average: where an answer ends in any case."""


@dataclass(eq=False)
class JoinedGeneration:
    """What ``custom_generate`` of ``model.generate`` takes: other models to join.

    Temperature, top-k, top-p, min-p and ``do_sample`` of the call apply to bytes, and
    ``max_new_tokens`` counts tokens of the network's tokenizer. Other logits processors
    and stopping criteria are of tokens and are refused. torch's random state decides
    what is drawn.

    Args:
        tokenizer: of the network, a fast one.
        others: the models it is joined with, of any engine.
        rule: as `nescio.Ensemble`.
        weights: of the network, then of the others; None: equal.
        prune: as `nescio.ByteView`.
        traces: filled with the trace of every answer, row by row, of the last call.

    Raises:
        InvalidInput: an option of the call that cannot be followed by bytes, a prompt
            with control tokens behind its start.
        CapabilityError: a tokenizer whose bytes are not known.

    Example:
        >>> from nescio.models.table import read_table
        >>> JoinedGeneration(None, [read_table("coin")], rule="product").rule
        'product'
    """

    tokenizer: Any
    others: Sequence[Any]
    rule: str = "mean"
    weights: Sequence[float | int] | None = None
    prune: float | int = USUAL_PRUNE
    traces: list[Trace] = field(default_factory=list, init=False)

    def __call__(
        self,
        model: Any,
        input_ids: Any,
        *,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        **model_kwargs: Any,
    ) -> Any:
        """Prompts with answers behind them, [rows, tokens], padded on the right."""
        import torch

        _check(generation_config, logits_processor, stopping_criteria)
        own = self._read(model, generation_config)
        joined = Ensemble(
            [own, *self.others], rule=self.rule, weights=self.weights, prune=self.prune
        )
        mask = model_kwargs.get("attention_mask")
        rows = input_ids.tolist()
        kept = [None] * len(rows) if mask is None else mask.bool().tolist()
        room = generation_config.max_length - input_ids.shape[1]
        sampling = _sampling(generation_config)
        self.traces.clear()
        answers = []
        for row, there in zip(rows, kept, strict=True):
            ids = [t for t, k in zip(row, there or [True] * len(row), strict=True) if k]
            seed = int(torch.randint(2**62, (1,)).item())
            prompt = _prompt(own, ids)
            answers.append(self._answer(joined, own, prompt, (sampling, room, seed)))
        longest = max(map(len, answers))
        pad = _padding(generation_config, own)
        padded = [answer + [pad] * (longest - len(answer)) for answer in answers]
        behind = torch.tensor(padded, dtype=input_ids.dtype, device=input_ids.device)
        return torch.cat([input_ids, behind.reshape(len(rows), longest)], dim=1)

    def _read(self, network: Any, config: Any) -> Any:
        from nescio.models.tokenizer import tokenizer_of
        from nescio.models.transformers import TransformersModel

        rows = network.get_output_embeddings().weight.shape[0]
        ends = config.eos_token_id
        listed = [] if ends is None else np.atleast_1d(_plain(ends)).tolist()
        tokenizer = tokenizer_of(self.tokenizer, rows, end=listed)
        first = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        start = tuple(token for token in first if token is not None)[:1]
        name = network.config.name_or_path or type(network).__name__
        precision = str(network.dtype).removeprefix("torch.")
        engine = "transformers, in memory"
        origin = Origin(name, "not read", tokenizer.digest, engine, precision)
        return TransformersModel(name, origin, tokenizer, start, network.eval())

    def _answer(
        self, joined: Any, own: Any, prompt: str, how: tuple[Sampling, int, int]
    ) -> list[int]:
        """The tokens of one answer, and the end token if it ended."""
        sampling, room, seed = how
        decoding = Decoding(_LONGEST * room, sampling)
        tokens = stream(joined, prompt, decoding=decoding, seed=seed, chat=False)
        text, ended = "", False
        for piece, stop in _pieces(tokens):
            text, ended = text + piece, stop == "eos"
            if piece and len(own.encode(text.encode())) > room:
                break
        self.traces.append(tokens.trace)
        ids = own.encode(text.encode()).tolist() if text else []
        if ended and len(ids) < room and own.vocabulary.end:
            return [*ids, own.vocabulary.end[0]]
        return ids[:room]


def _pieces(tokens: Any) -> Iterator[tuple[str, str | None]]:
    """Whole characters as they come; a last one that is cut off is left out."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for event in tokens:
        yield decoder.decode(event.buffer), event.stop


def _prompt(own: Any, ids: Sequence[int]) -> str:
    """What the tokens of a prompt spell, without its document start.

    Raises:
        InvalidInput: control tokens, which other models would read otherwise.
    """
    start = list(own.start)
    text = list(ids[len(start) :] if list(ids[: len(start)]) == start else ids)
    controls = [token for token in text if own.vocabulary.control[token]]
    if controls:
        label = own.vocabulary.label(controls[0])
        raise InvalidInput(
            f"the prompt has the control token {label}, which other models do not "
            "have; give plain text, or messages to nescio.Ensemble.begin"
        )
    return own.vocabulary.spell(text).decode("utf-8", "replace")


def _check(config: Any, processors: Any, criteria: Any) -> None:
    kinds = {
        type(one).__name__.removesuffix("LogitsWarper") for one in processors or ()
    }
    unknown = sorted(kinds - _WARPERS)
    unknown += sorted({type(one).__name__ for one in criteria or ()} - _CRITERIA)
    if (config.num_beams or 1) > 1:
        unknown.append("num_beams")
    if config.return_dict_in_generate:
        unknown.append("return_dict_in_generate")
    if unknown:
        raise InvalidInput(
            f"{', '.join(unknown)}: made for tokens, so it cannot be followed where "
            "bytes are written; leave it out"
        )
    if config.max_length is None:
        raise CapabilityError("give max_new_tokens: nothing says where to end")


def _sampling(config: Any) -> Sampling:
    if not config.do_sample:
        return Sampling(temperature=0.0)
    return Sampling(
        temperature=1.0 if config.temperature is None else config.temperature,
        top_k=config.top_k or None,
        top_p=config.top_p,
        min_p=config.min_p,
    )


def _padding(config: Any, own: Any) -> int:
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    return own.vocabulary.end[0] if own.vocabulary.end else 0


def _plain(ids: Any) -> Any:
    return ids.tolist() if hasattr(ids, "tolist") else ids
