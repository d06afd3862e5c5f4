"""Ways to draw many answers to one prompt: generate of transformers, and nescio.

Nothing ends early: no token counts as an end, on any side. Everybody draws from the
model's own distribution at temperature 1, with nothing truncated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from measuring import Prepared
from scoring_methods import (
    TOP,
    load_nescio,
    nescio_facts,
    plain_model,
    row_statistics_in_torch,
)

PROMPT = "The strangest thing about the sea at night is that"
Answer = dict[str, Any]


def prepare(task: dict[str, Any]) -> Prepared:
    """The method that a task names, with its model loaded."""
    return METHODS[task["name"]](task)


def transformers_generate(task: dict[str, Any]) -> Prepared:
    """``generate(num_return_sequences=n)``, its keys and values cached.

    With ``statistics``, the logits of every step are kept (``output_logits``) and
    measured afterwards.
    """
    import torch

    tokenizer, network = plain_model(task)
    start = tokenizer.convert_tokens_to_ids(task["start"])
    prompt = [start, *tokenizer(PROMPT, add_special_tokens=False)["input_ids"]]
    ids = torch.tensor([prompt])
    network.generation_config.eos_token_id = None
    seeds = count()

    def run() -> Answer:
        torch.manual_seed(next(seeds))
        with torch.inference_mode():
            drawn = network.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                num_return_sequences=task["samples"],
                max_new_tokens=task["tokens"],
                pad_token_id=start,
                return_dict_in_generate=True,
                output_logits=task["statistics"],
            )
            made = drawn.sequences[:, ids.shape[1] :]
            measured = _measured(drawn.logits, made) if task["statistics"] else {}
        return {"tokens": made.numel(), **measured}

    return Prepared(run, lambda: _nothing(run()))


def _measured(logits: Any, made: Any) -> dict[str, float]:
    surprisal = entropy = 0.0
    for step, rows in enumerate(logits):
        logp = rows.float().log_softmax(-1)
        found = logp.gather(-1, made[:, step, None])
        entropies, *_ = row_statistics_in_torch(logp, found)
        surprisal -= float(found.sum())
        entropy += float(entropies.sum())
    tokens = made.numel()
    return {"mean_surprisal": surprisal / tokens, "mean_entropy": entropy / tokens}


def _nothing(answer: Answer) -> dict[str, Any]:
    del answer
    return {}


def nescio_sample(task: dict[str, Any]) -> Prepared:
    """``nescio.sample``: a trace of every answer, every statistic of every token."""
    import nescio

    model = endless(load_nescio(task))
    decoding = nescio.Decoding(task["tokens"], detail=nescio.Detail(top=TOP))
    seeds = count()

    def run() -> Answer:
        samples = nescio.sample(
            model,
            PROMPT,
            n=task["samples"],
            decoding=decoding,
            seed=next(seeds),
            chat=False,
        )
        traces = [sample.trace for sample in samples.answers if sample.trace]
        logp = [trace.logp[trace.scored] for trace in traces]
        entropy = [t.entropy[t.scored] for t in traces if t.entropy is not None]
        return {
            "tokens": sum(map(len, logp)),
            "mean_surprisal": -float(np.concatenate(logp).mean(dtype=np.float64)),
            "mean_entropy": float(np.concatenate(entropy).mean(dtype=np.float64)),
        }

    return Prepared(run, lambda: nescio_facts(model, run))


def engine_alone(task: dict[str, Any]) -> Prepared:
    """The same steps of the engine with tokens from a list: nothing looks at a row."""
    model = load_nescio(task)
    prompt = np.concatenate([model.start, model.encode(PROMPT.encode())])
    prompt = prompt.astype(np.int32)
    text = np.flatnonzero(~model.vocabulary.control)
    rng = np.random.default_rng(0)

    def run() -> Answer:
        shape = (task["tokens"] - 1, task["samples"], 1)
        listed = rng.choice(text, size=shape).astype(np.int32)
        (read,), _ = model.extend([model.open()], [prompt])
        contexts = (read,) * task["samples"]
        for tokens in listed:
            contexts, _ = model.extend(contexts, list(tokens))
        return {"tokens": task["tokens"] * task["samples"]}

    return Prepared(run, lambda: nescio_facts(model, run))


def endless(model: Any) -> Any:
    """The model with no token that ends an answer."""
    vocabulary = replace(model.vocabulary, end=())
    return replace(model, tokenizer=replace(model.tokenizer, vocabulary=vocabulary))


METHODS: dict[str, Callable[[dict[str, Any]], Prepared]] = {
    "generate": transformers_generate,
    "nescio": nescio_sample,
    "engine": engine_alone,
}
