"""What is measured by lens.py: nescio's layer lens, and what one usually writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from documents import corpus
from measuring import Prepared

import nescio
from nescio.kernel import Sampling
from nescio.lens import generated_layer_entropies, layer_entropies

__all__ = ["prepare", "text_of"]

Run = Callable[[], dict[str, Any]]
PROMPT = 64
"""Tokens before the first one drawn."""


def text_of(model: Any, tokens: int) -> str:
    """The beginning of the documents, about so many tokens long."""
    whole = "\n".join(corpus().documents)
    ids = model.encode(whole.encode("utf-8"))[:tokens]
    return model.vocabulary.spell(ids).decode("utf-8", errors="ignore")


def prepare(task: dict[str, Any]) -> Prepared:
    """One method on one model."""
    torch.set_num_threads(int(task["threads"]))
    model: Any = nescio.load(task["model"], engine="transformers")
    text, tokens = text_of(model, task["tokens"]), task["tokens"]
    prompt = text_of(model, PROMPT)
    runs: dict[str, Run] = {
        "nescio reads": lambda: _told(layer_entropies(model, text)),
        "usual reads": lambda: _usual_reads(model, text),
        "nescio draws": lambda: _told(
            generated_layer_entropies(
                model, prompt, decoding=_greedy(tokens), chat=False
            )
        ),
        "again draws": lambda: _usual_draws(model, prompt, tokens, cached=False),
        "usual draws": lambda: _usual_draws(model, prompt, tokens, cached=True),
        "alone reads": lambda: _alone_reads(model, text),
        "alone draws": lambda: _alone_draws(model, prompt, tokens),
    }
    if task["name"] == "nnterp reads":
        traced = _nnterp(task["model"])
        runs["nnterp reads"] = lambda: _nnterp_reads(model, traced, text)
    run = runs[task["name"]]
    return Prepared(run, lambda: {"warm": run()})


def _greedy(tokens: int) -> nescio.Decoding:
    return nescio.Decoding(tokens, Sampling(temperature=0), detail=nescio.Detail(0))


def _told(reading: Any) -> dict[str, Any]:
    middle = reading.layers // 2
    return {
        "tokens": len(reading.tokens),
        "entropy": float(reading.entropy.mean(dtype=np.float64)),
        "kl": float(reading.kl_to_last.mean(dtype=np.float64)),
        "middle": float(reading.entropy[middle].mean(dtype=np.float64)),
    }


def _usual(model: Any, states: Any, logits: torch.Tensor, targets: Any) -> Any:
    """Entropy and KL of each layer at all positions, as one writes it; the norm is
    applied to all but the last state, which has it already."""
    network = model.network
    norm, head = model.layers.tail[-1], network.get_output_embeddings()
    last = torch.log_softmax(logits.float(), dim=-1)
    entropy, kl = [], []
    for state in (*states[:-1], None):
        rows = logits if state is None else head(norm(state))
        logp = torch.log_softmax(rows.float(), dim=-1)
        p = logp.exp()
        entropy.append(-(p * logp).sum(-1))
        kl.append((last.exp() * (last - logp)).sum(-1))
        logp.gather(-1, targets[..., None])
        rows.argmax(-1)
        (rows > rows.gather(-1, targets[..., None])).sum(-1)
    return torch.stack(entropy), torch.stack(kl)


def _usual_reads(model: Any, text: str) -> dict[str, Any]:
    ids = np.concatenate([model.start, model.encode(text.encode("utf-8"))])
    with torch.inference_mode():
        tokens = torch.as_tensor(ids)[None].long()
        output = model.network(
            input_ids=tokens, use_cache=False, output_hidden_states=True
        )
        states = [state[:, :-1] for state in output.hidden_states]
        entropy, kl = _usual(model, states, output.logits[:, :-1], tokens[:, 1:])
    return _of(entropy[:, 0], kl[:, 0])


def _nnterp(name: str) -> Any:
    from nnterp import StandardizedTransformer  # pyright: ignore[reportMissingImports]

    from nescio.models import catalogue

    directory = str(catalogue.installed_directory(name))
    return StandardizedTransformer(
        directory, dtype=torch.float32, check_renaming=False, device_map="cpu"
    )


def _nnterp_reads(model: Any, traced: Any, text: str) -> dict[str, Any]:
    """Its layers' outputs through its own projection, inside one traced pass."""
    ids = np.concatenate([model.start, model.encode(text.encode("utf-8"))])
    tokens = torch.as_tensor(ids)[None].long()
    with torch.no_grad(), traced.trace({"input_ids": tokens}):
        kept: Any = list()  # noqa: C408 - nnsight keeps what is saved
        rows = kept.save()
        for layer in range(traced.num_layers):
            rows.append(traced.layers_output[layer][:, :-1])
    entropy, kl = [], []
    with torch.no_grad():
        last = torch.log_softmax(traced.project_on_vocab(rows[-1]).float(), dim=-1)
        for row in rows:
            logits = traced.project_on_vocab(row)
            logp = torch.log_softmax(logits.float(), dim=-1)
            entropy.append(-(logp.exp() * logp).sum(-1))
            kl.append((last.exp() * (last - logp)).sum(-1))
            target = logits.gather(-1, tokens[:, 1:, None])
            logits.argmax(-1)
            (logits > target).sum(-1)
    return _of(torch.stack(entropy)[:, 0], torch.stack(kl)[:, 0])


def _usual_draws(
    model: Any, prompt: str, tokens: int, *, cached: bool
) -> dict[str, Any]:
    ids = [*model.start, *model.encode(prompt.encode("utf-8")).tolist()]
    entropies, kls, past, given = [], [], None, ids
    with torch.inference_mode():
        for _ in range(tokens):
            output = model.network(
                input_ids=torch.tensor(given)[None],
                past_key_values=past,
                use_cache=cached,
                output_hidden_states=True,
            )
            states = [state[:, -1:] for state in output.hidden_states]
            logits = output.logits[:, -1:]
            token = logits.argmax(-1)
            entropy, kl = _usual(model, states, logits, token)
            entropies.append(entropy[:, 0, 0])
            kls.append(kl[:, 0, 0])
            ids.append(int(token))
            past, given = (output.past_key_values, ids[-1:]) if cached else (None, ids)
            if ids[-1] in model.vocabulary.end:
                break
    return _of(torch.stack(entropies, 1), torch.stack(kls, 1))


def _of(entropy: torch.Tensor, kl: torch.Tensor) -> dict[str, Any]:
    return {
        "tokens": entropy.shape[1],
        "entropy": float(entropy.double().mean()),
        "kl": float(kl.double().mean()),
        "middle": float(entropy[len(entropy) // 2].double().mean()),
    }


def _alone_reads(model: Any, text: str) -> dict[str, Any]:
    """The network without any lens: what a text costs in itself."""
    return {"tokens": len(nescio.score(model, text, detail=nescio.Detail(0)))}


def _alone_draws(model: Any, prompt: str, tokens: int) -> dict[str, Any]:
    drawn = nescio.generate(model, prompt, decoding=_greedy(tokens), chat=False)
    return {"tokens": int(drawn.scored.sum())}
