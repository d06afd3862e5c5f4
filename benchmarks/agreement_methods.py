"""The searches that agreement_peer.py compares: nescio's, and the published one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import Prepared

BOTH = ("smollm2", "gemma3-270m")


def described(model: Any) -> dict[str, Any]:
    """What a model reads and writes, for the published code: ids and their bytes."""
    words = model.vocabulary
    return {
        "start": list(model.start),
        "end": list(words.end),
        "tokens": [
            None if words.control[token] else words.token(token).hex()
            for token in range(words.size)
        ],
    }


def ours(task: dict[str, Any]) -> Prepared:
    """nescio's search: as it is, and even, which is without giving up (`early`)."""
    import nescio
    from nescio.decoding.prompting import opening
    from nescio.ensemble.agreed import Agreement
    from nescio.ensemble.agreement import agreement_beam

    models = {name: nescio.load(name, engine=task["engine"]) for name in BOTH}
    words = {name: described(model) for name, model in models.items()}
    Path(task["words"]).write_text(json.dumps(words), encoding="utf-8")
    answers: list[dict[str, Any]] = []

    def search(job: Mapping[str, Any], *, early: bool) -> dict[str, Any]:
        members = [models[name] for name in job["members"]]
        plan = Agreement(
            job["width"],
            weights=tuple(job["weights"]),
            max_tokens=job["tokens"],
            early=early,
        )
        begin = time.perf_counter()
        found = agreement_beam(members, job["prompt"], plan=plan, chat=False)
        seconds = time.perf_counter() - begin
        prompts = [opening(m, job["prompt"], chat=False).token_ids for m in members]
        return {
            "seconds": seconds,
            "prompts": [[int(token) for token in prompt] for prompt in prompts],
            "finished": [
                {
                    "text": one.buffer.hex(),
                    "tokens": [list(map(int, own)) for own in one.tokens],
                    "logp": list(one.logp),
                    "total": one.total,
                }
                for one in found
            ],
        }

    def run() -> dict[str, Any]:
        number = len(answers)
        modes = ("as it is", "even") if task["even"] else ("as it is",)
        turns = modes if number % 2 else modes[::-1]
        job = task["jobs"][number]
        answers.append({mode: search(job, early=mode != "even") for mode in turns})
        return {"answers": answers}

    def warm() -> dict[str, Any]:
        search(task["jobs"][0] | {"tokens": 1}, early=True)
        return {}

    return Prepared(run, warm)


def prepare(task: dict[str, Any]) -> Prepared:
    """Load the models of a method; every run is its next job."""
    if task["name"] == "ours":
        return ours(task)
    import published_abe

    return published_abe.prepare(task)
