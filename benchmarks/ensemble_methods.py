"""What is measured by ensemble.py: models read as bytes, and the tokens they are.

Each takes a task, loads its models, and returns a Prepared whose run gives what was
found. The *floor* is what cannot be saved: every model reads its own tokens of the same
text, one after the other, and nothing else is done.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
from documents import corpus
from measuring import Prepared, Unavailable

import nescio
from nescio.ensemble.branches import shares_of
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.lexicon import lexicon_of

__all__ = ["prepare"]

Answer = dict[str, Any]
SEED = 20_261_122
_ROWS = 16


def prepare(task: dict[str, Any]) -> Prepared:
    """The method that a task names, with its models loaded."""
    run = METHODS[task["name"]](task)
    return Prepared(run, lambda: run() and {})


def text_of(task: dict[str, Any]) -> bytes:
    """The beginning of the documents, of so many bytes, whole characters."""
    whole = "\n".join(corpus().documents).encode()[: task["bytes"]]
    return whole.decode("utf-8", errors="ignore").encode()


class Counted:
    """A model that counts what it is asked."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.contexts = self.passes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def open(self) -> Any:
        """As the model."""
        return self._model.open()

    def extend(self, contexts: Any, tokens: Any) -> Any:
        """As the model, counted."""
        self.contexts += len(contexts)
        self.passes += 1
        return self._model.extend(contexts, tokens)


def models_of(task: dict[str, Any]) -> list[Any]:
    """The models of a task, as its engine runs them."""
    return [
        nescio.load(f"{name},precision={task['precision']}", engine=task["engine"])
        for name in task["models"]
    ]


def floor(task: dict[str, Any]) -> Callable[[], Answer]:
    """Every model reads its own tokens of the text."""
    models, text = models_of(task), text_of(task)
    runs = [model.encode(text) for model in models]

    def run() -> Answer:
        nats = 0.0
        for model, ids in zip(models, runs, strict=True):
            contexts, logits = model.extend([model.open()], [np.array(model.start)])
            for token in ids:
                row = logits[0].astype(np.float64)
                nats -= row[token] - np.logaddexp.reduce(row)
                contexts, logits = model.extend(contexts, [np.array([token])])
        passes = sum(map(len, runs)) / len(text)
        bits = nats / len(models) / np.log(2) / len(text)
        return {"bits_per_byte": float(bits), "passes_per_byte": passes}

    return run


def view(task: dict[str, Any]) -> Callable[[], Answer]:
    """One model read as bytes."""
    counted, text = Counted(models_of(task)[0]), text_of(task)
    read = ByteView(counted, prune=task["prune"], spelling=task["spelling"])
    return lambda: _read(read, text, [counted])


def ensemble(task: dict[str, Any]) -> Callable[[], Answer]:
    """Several models joined at every byte."""
    counted, text = [Counted(model) for model in models_of(task)], text_of(task)
    views = [ByteView(model, prune=task["prune"]) for model in counted]
    return lambda: _read(Ensemble(views, rule=task["rule"]), text, counted)


def _read(model: Any, text: bytes, counted: list[Counted]) -> Answer:
    for one in counted:
        one.contexts = one.passes = 0
    contexts, logp = model.extend([model.open()], [np.array([START])])
    nats, alive = 0.0, 0
    for byte in text:
        nats -= float(logp[0, byte])
        contexts, logp = model.extend(contexts, [np.array([byte])])
        members = getattr(contexts[0], "members", contexts)
        alive += sum(len(member.branches) for member in members if member)
    return {
        "bits_per_byte": nats / np.log(2) / len(text),
        "passes_per_byte": sum(one.passes for one in counted) / len(text),
        "contexts_per_byte": sum(one.contexts for one in counted) / len(text),
        "spellings_alive": alive / len(text),
    }


def marginals(task: dict[str, Any]) -> Callable[[], Answer]:
    """From a row of logits to the mass of every next byte: what a boundary costs."""
    model: Any = nescio.load(task["models"][0], engine="transformers")
    lexicon = lexicon_of(model.vocabulary)
    size, end = model.vocabulary.size, np.array(model.vocabulary.end)
    rng = np.random.default_rng(SEED)
    rows = 4 * rng.standard_normal((_ROWS, size), dtype=np.float32)

    def run() -> Answer:
        found = []
        for row in rows:
            begin = perf_counter()
            shares_of(row, lexicon, end)
            found.append(1e3 * (perf_counter() - begin))
        return {"vocabulary": size, "milliseconds": float(np.median(found))}

    return run


def genlm(task: dict[str, Any]) -> Callable[[], Answer]:
    """The same model and text through genlm-bytes, on torch.

    Both begin with the same token: the peer's own is the tokenizer's BOS, which of
    smollm2 is the opening of a chat turn.
    """
    import torch

    backend, peer = import_module("genlm.backend"), import_module("genlm.bytes")
    from nescio.models.catalogue import installed_directory

    torch.set_num_threads(int(task["threads"]))
    directory, text = installed_directory(task["models"][0]), text_of(task)
    if directory is None:
        raise Unavailable(f"{task['models'][0]} is not in the cache")
    kind = {"f32": "float32", "bf16": "bfloat16"}[task["precision"]]
    options = {"torch_dtype": getattr(torch, kind)}
    llm = backend.load_model_by_name(
        str(directory), backend="hf", llm_opts={"hf_opts": options}
    )
    llm.tokenizer.bos_token = task["start"]
    beam = peer.BeamParams(K=task["beam"], prune_threshold=task["prune"])

    async def read() -> float:
        state = await peer.ByteBeamState.initial(llm, beam)
        nats = 0.0
        for byte in text:
            logp = await state.logp_next()
            nats -= float(logp.ps[byte])
            state = await (state.prune() << byte)
        await state.cleanup()
        return nats

    def run() -> Answer:
        llm.clear_cache()
        nats = asyncio.run(read())
        bits = nats / np.log(2) / len(text)
        return {"bits_per_byte": bits if math.isfinite(bits) else None}

    return run


METHODS: dict[str, Callable[[dict[str, Any]], Callable[[], Answer]]] = {
    "ensemble": ensemble,
    "floor": floor,
    "genlm-bytes": genlm,
    "marginals": marginals,
    "view": view,
}
