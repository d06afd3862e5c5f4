"""What is measured by watching.py: loops with and without nescio looking on."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from measuring import Prepared, resident
from sampling_methods import PROMPT, endless
from scoring_methods import load_nescio

import nescio
from nescio.drift.alarm import fit
from nescio.drift.conformal_alarm import ConformalAlarm
from nescio.drift.martingale import MartingaleAlarm
from nescio.kernel import LEVELS, draw

__all__ = ["prepare"]

Ways = dict[str, Callable[[int], int]]
"""By name: what draws one answer of a seed and says how many tokens it has."""
VOCABULARY, EVERY = 49_152, 50


def prepare(task: dict[str, Any]) -> Prepared:
    """One task; its single run is all rounds."""
    if task["name"] == "memory":
        return Prepared(lambda: _memory(task["tokens"]), dict)
    model = endless(load_nescio(task))
    if task["name"] == "generate":
        ways, engine = _generates(model, task), None
    else:
        engine = _Engine(model)
        ways = _streams(engine, task)
    return Prepared(lambda: _rounds(ways, task, engine), lambda: _warm(ways))


def _warm(ways: Ways) -> dict[str, Any]:
    for way in ways.values():
        way(0)
    return {}


class _Engine:
    """A model that notes the processor time of its own steps, of the calling thread.

    ``spent`` is their sum; ``fastest`` the seconds of the fastest step of one token.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.spent, self.fastest = model, 0.0, float("inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def open(self) -> Any:
        return self.model.open()

    def extend(self, contexts: Any, runs: Any) -> Any:
        begin, busy = time.perf_counter(), time.thread_time()
        found = self.model.extend(contexts, runs)
        self.spent += time.thread_time() - busy
        if [len(run) for run in runs] == [1]:
            self.fastest = min(self.fastest, time.perf_counter() - begin)
        return found


def _rounds(ways: Ways, task: dict[str, Any], engine: Any = None) -> dict[str, Any]:
    """Seconds of every way in every round; with an engine, also those outside it."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    outside: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(task["rounds"]):
        shift = number % len(names)
        for name in [*names[shift:], *names[:shift]]:
            gc.collect()
            before = 0.0 if engine is None else engine.spent
            begin, busy = time.perf_counter(), time.thread_time()
            tokens = ways[name](number)
            seconds[name].append(time.perf_counter() - begin)
            if engine is not None:
                inside = engine.spent - before
                outside[name].append(time.thread_time() - busy - inside)
            if tokens != task["tokens"]:
                raise AssertionError(f"{name} drew {tokens} tokens")
    found = {"seconds": seconds, "tokens": task["tokens"]}
    if engine is not None:
        found |= {"outside": outside, "fastest_step": engine.fastest}
    return found


def _alarm(model: Any, tokens: int) -> ConformalAlarm:
    """Alarm A of this model, with thresholds that nothing reaches."""
    how = nescio.Decoding(tokens)
    drawn = nescio.sample(model, PROMPT, n=24, decoding=how, chat=False)
    traces = [sample.trace for sample in drawn.answers if sample.trace is not None]
    fitted = fit(traces, horizon=tokens)
    rules = tuple(replace(rule, threshold=1e300) for rule in fitted.rules)
    return replace(fitted, rules=rules)


def _streams(model: Any, task: dict[str, Any]) -> Ways:
    tokens = task["tokens"]
    how = nescio.Decoding(tokens)
    prompt = np.concatenate([model.start, model.encode(PROMPT.encode())])

    def alone(seed: int) -> int:
        rng = np.random.default_rng(seed)
        contexts, logits = model.extend([model.open()], [prompt.astype(np.int32)])
        for number in range(tokens):
            ids, _ = draw(logits, how.sampling, rng.random((1, LEVELS)))
            if number < tokens - 1:
                contexts, logits = model.extend(contexts, [ids.astype(np.int32)])
        return tokens

    def watched(alarm: Any) -> Callable[[int], int]:
        def run(seed: int) -> int:
            stream = nescio.stream(
                model, PROMPT, decoding=how, seed=seed, chat=False, alarm=alarm
            )
            for _ in stream:
                pass
            return int(stream.trace.scored.sum())

        return run

    return {
        "alone": alone,
        "all statistics": watched(None),
        "with alarm A": watched(_alarm(model, tokens)),
        "with alarm B": watched(MartingaleAlarm(1e-300)),
    }


def _generates(model: Any, task: dict[str, Any]) -> Ways:
    tokens, network = task["tokens"], model.network
    network.generation_config.eos_token_id = None
    alarm = _alarm(model, tokens)

    def watch(alarm: Any) -> Callable[[], Any]:
        vocabulary = model.vocabulary
        return lambda: nescio.GenerationWatch(alarm, vocabulary=vocabulary)

    ways: dict[str, Callable[[], Any]] = {
        "alone": lambda: None,
        "all statistics": watch(None),
        "with alarm A": watch(alarm),
        "with alarm B": watch(MartingaleAlarm(1e-300)),
    }
    prompt = np.concatenate([model.start, model.encode(PROMPT.encode())])
    return {
        name: lambda seed, make=make: _generated(
            network, prompt, make(), tokens=tokens, seed=seed
        )
        for name, make in ways.items()
    }


def _generated(
    network: Any, prompt: np.ndarray, watch: Any, *, tokens: int, seed: int
) -> int:
    """How many tokens generate draws, watched or not: the same ones."""
    import torch

    ids = torch.as_tensor(prompt)[None].long()
    torch.manual_seed(seed)
    looking: dict[str, Any] = {}
    if watch is not None:
        looking = {
            "logits_processor": [watch.processor],
            "stopping_criteria": [watch.stopping],
        }
    with torch.inference_mode():
        found = network.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=tokens,
            pad_token_id=0,
            **looking,
        )
    return found.shape[1] - ids.shape[1]


def _memory(tokens: int) -> dict[str, Any]:
    """How memory grows a token, unwatched and watched, on a small network."""
    growth = {}
    for name, alarm in (
        ("alone", None),
        ("all statistics", None),
        ("with alarm B", MartingaleAlarm(1e-300)),
    ):
        watch = None if name == "alone" else nescio.GenerationWatch(alarm)
        growth[name] = _growth(watch, tokens)
    return {"tokens": tokens, "vocabulary": VOCABULARY, "growth": growth}


class _Looks:
    """A stopping criterion that notes, every so many tokens, what memory there is."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int, int]] = []

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        del scores
        length = input_ids.shape[1]
        if length % EVERY == 0:
            gc.collect()
            there = resident("VmRSS") or 0
            held = tracemalloc.get_traced_memory()[0]
            self.seen.append((length, there, held, len(gc.get_objects())))
        return input_ids.new_zeros(len(input_ids)).bool()


def _growth(watch: Any, tokens: int) -> dict[str, float]:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            num_attention_heads=1,
            num_key_value_heads=1,
            max_position_embeddings=tokens + 8,
            eos_token_id=None,
            **shape,
        )
    ).eval()
    looks = _Looks()
    given = torch.zeros((1, 1), dtype=torch.long)
    tracemalloc.start()
    processors, criteria = [], [looks]
    if watch is not None:
        processors, criteria = [watch.processor], [watch.stopping, looks]
    with torch.inference_mode():
        network.generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=True,
            top_k=0,
            max_new_tokens=tokens,
            pad_token_id=0,
            logits_processor=processors,
            stopping_criteria=criteria,
        )
    tracemalloc.stop()
    seen = np.array(looks.seen[len(looks.seen) // 4 :], dtype=np.float64)
    names = ("resident_bytes", "python_bytes", "objects")
    slopes = [np.polyfit(seen[:, 0], seen[:, k], 1)[0] for k in (1, 2, 3)]
    return {
        f"{name}_per_token": float(one) for name, one in zip(names, slopes, strict=True)
    }
