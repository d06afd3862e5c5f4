"""Ways to score documents: three peers, plain loops, and nescio on every engine.

Each takes a task, loads its model, and returns a Prepared whose run gives the total
log-probability of every document, in nats, and the number of tokens it scored. All
condition a document on the same document start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from documents import corpus
from measuring import Prepared, Unavailable

TOP = 20
TRIED = 5  # documents that settle the batch size
Answer = dict[str, Any]


def prepare(task: dict[str, Any]) -> Prepared:
    """The method that a task names, with its model loaded."""
    documents = corpus(quick=task["quick"]).documents
    return METHODS[task["name"]](task, documents)


def model_directory(name: str) -> Path:
    """Where a model of the catalogue lies, in Hugging Face's layout."""
    from nescio.models.catalogue import installed_directory

    found = installed_directory(name)
    if found is None:
        raise Unavailable(f"{name} is not installed: nescio models get {name}")
    return found


def torch_type(task: dict[str, Any]) -> Any:
    """The torch type of a task's precision."""
    import torch

    return {"f32": torch.float32, "bf16": torch.bfloat16}[task["precision"]]


def plain_model(task: dict[str, Any]) -> tuple[Any, Any]:
    """The tokenizer and the network, as transformers loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory = model_directory(task["model"])
    network = AutoModelForCausalLM.from_pretrained(directory, dtype=torch_type(task))
    return AutoTokenizer.from_pretrained(directory), network.eval()


def _start(task: dict[str, Any], tokenizer: Any) -> int:
    return tokenizer.convert_tokens_to_ids(task["start"])


def _best_of(
    batches: Sequence[int],
    score: Callable[[int, Sequence[str]], Answer],
    documents: Sequence[str],
) -> Prepared:
    """A method whose batch size is the fastest of some, tried on a few documents."""
    chosen: dict[str, int] = {}

    def warm() -> dict[str, Any]:
        trials = {}
        for batch in (batches[0], *batches):  # the first pass also allocates
            begin = time.perf_counter()
            score(batch, documents[:TRIED])
            trials[batch] = time.perf_counter() - begin
        chosen["batch"] = min(trials, key=lambda batch: trials[batch])
        return {"batch": chosen["batch"], "seconds_of_trials": trials}

    return Prepared(lambda: score(chosen["batch"], documents), warm)


def lm_eval(task: dict[str, Any], documents: Sequence[str]) -> Prepared:
    """lm-eval's loglikelihood_rolling; totals only, which is all it gives.

    The start is not added a second time (``add_bos_token=False``). ``softmax`` is the
    type of its log-softmax; None is its default, the type of the weights.
    """
    from lm_eval.api.instance import Instance  # pyright: ignore[reportMissingImports]
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]
    from transformers import AutoTokenizer

    directory = model_directory(task["model"])
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = HFLM(
        pretrained=str(directory),
        dtype=torch_type(task),
        device="cpu",
        batch_size=1,
        add_bos_token=False,
        prefix_token_id=_start(task, tokenizer),
        softmax_dtype=task.get("softmax"),
    )
    tokens = sum(len(model.tok_encode(document)) for document in documents)

    def score(batch: int, texts: Sequence[str]) -> Answer:
        model.batch_size_per_gpu = batch
        requests = [
            Instance("loglikelihood_rolling", {}, (text,), number)
            for number, text in enumerate(texts)
        ]
        totals = model.loglikelihood_rolling(requests, disable_tqdm=True)
        return {"totals": [float(total) for total in totals], "tokens": tokens}

    return _best_of(task["batches"], score, documents)


def minicons(task: dict[str, Any], documents: Sequence[str]) -> Prepared:
    """minicons' token scores, the document start put before each text by hand."""
    from minicons.scorer import IncrementalLMScorer  # pyright: ignore[reportMissingImports]
    from transformers import AutoTokenizer

    directory = model_directory(task["model"])
    tokenizer = AutoTokenizer.from_pretrained(directory)
    added = tokenizer("a")["input_ids"][0] == _start(task, tokenizer)
    before = "" if added else task["start"]
    scorer = IncrementalLMScorer(str(directory), "cpu", dtype=torch_type(task))

    def score(batch: int, texts: Sequence[str]) -> Answer:
        totals, tokens = [], 0
        for first in range(0, len(texts), batch):
            chosen = [before + text for text in texts[first : first + batch]]
            for scored in scorer.token_score(chosen):
                totals.append(sum(value for _, value in scored[1:]))
                tokens += len(scored) - 1
        return {"totals": totals, "tokens": tokens}

    return _best_of(task["batches"], score, documents)


def _batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Documents by number, the longest first, ``size`` at a time."""
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    for first in range(0, len(order), size):
        yield order[first : first + size]


def plain(task: dict[str, Any], documents: Sequence[str]) -> Prepared:
    """The loop that most people write: logits, log-softmax in float32, gather.

    With ``statistics``, it finds on each row what nescio finds there. With
    ``compiled``, torch compiles the network.
    """
    import torch

    tokenizer, network = plain_model(task)
    start = _start(task, tokenizer)
    call = torch.compile(network, dynamic=True) if task.get("compiled") else network

    def score(batch: int, texts: Sequence[str]) -> Answer:
        encoded = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
        totals = [0.0] * len(encoded)
        for chosen in _batches([len(ids) for ids in encoded], batch):
            width = max(len(encoded[number]) for number in chosen)
            ids = torch.zeros((len(chosen), width), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, number in enumerate(chosen):
                inputs = [start, *encoded[number][:-1]]
                ids[row, : len(inputs)] = torch.tensor(inputs)
                mask[row, : len(inputs)] = 1
            whole = bool(mask.all())
            logits = call(ids, attention_mask=None if whole else mask).logits
            for row, number in enumerate(chosen):
                targets = torch.tensor(encoded[number])
                rows = logits[row, : len(targets)]
                totals[number] = _gathered(rows, targets, task.get("statistics"))
        return {"totals": totals, "tokens": sum(map(len, encoded))}

    def inferred(batch: int, texts: Sequence[str]) -> Answer:
        with torch.inference_mode():
            return score(batch, texts)

    return _best_of(task["batches"], inferred, documents)


def _gathered(rows: Any, targets: Any, statistics: bool | None) -> float:
    logp = rows.float().log_softmax(-1)
    found = logp.gather(-1, targets[:, None])
    if statistics:
        row_statistics_in_torch(logp, found)
    return float(found.double().sum())


def row_statistics_in_torch(logp: Any, found: Any) -> tuple[Any, ...]:
    """Entropy, varentropy, rank of the target and the top candidates, by torch."""
    surprisal = logp.clamp(min=-1e30).neg()
    weight = logp.exp()
    entropy = (weight * surprisal).sum(-1)
    varentropy = (weight * (surprisal - entropy[:, None]).square()).sum(-1)
    rank = 1 + (logp > found).sum(-1)
    return entropy, varentropy, rank, logp.topk(TOP)


def load_nescio(task: dict[str, Any]) -> Any:
    """The model on the task's engine, at its precision."""
    import nescio

    model_directory(task["model"])
    specification = f"{task['model']},precision={task['precision']}"
    return nescio.load(specification, engine=task["engine"])


def nescio_scores(task: dict[str, Any], documents: Sequence[str]) -> Prepared:
    """nescio's traces: every statistic of every token, and the top candidates."""
    import nescio

    model = load_nescio(task)
    detail = nescio.Detail(top=TOP)

    def score() -> Answer:
        traces = nescio.score_texts(model, documents, detail=detail)
        kept = [trace.logp[trace.scored].astype("float64") for trace in traces]
        return {
            "totals": [float(logp.sum()) for logp in kept],
            "tokens": sum(map(len, kept)),
        }

    return Prepared(score, partial(nescio_facts, model, score))


def engine_alone(task: dict[str, Any], documents: Sequence[str]) -> Prepared:
    """The logits that nescio reads, in the same batches, looked at by nobody."""
    from nescio.decoding.windows import Window, batches, jobs

    model, window = load_nescio(task), Window()

    def score() -> Answer:
        encoded = [model.encode(document.encode("utf-8")) for document in documents]
        todo = [
            job
            for number, ids in enumerate(encoded)
            for job in jobs(model, number, ids, window=window)
        ]
        size, rows = model.vocabulary.size, 0
        height = max(8, min(128, 2**25 // size))  # as nescio.decoding.scoring
        for batch in batches(todo, budget=window.batch_tokens):
            skip = [job.skip for job in batch]
            ids = [job.ids for job in batch]
            for block in model.logit_blocks(ids, skip=skip, rows=height):
                rows += len(block.position)
        return {"totals": None, "tokens": rows}

    return Prepared(score, partial(nescio_facts, model, score))


def nescio_facts(model: Any, run: Callable[[], Any]) -> dict[str, Any]:
    """One run to warm up, and what nescio runs on."""
    from nescio.kernel import kernel_path

    run()
    return {"engine": model.origin.engine, "kernel": kernel_path()}


METHODS: dict[str, Callable[[dict[str, Any], Sequence[str]], Prepared]] = {
    "lm_eval": lm_eval,
    "minicons": minicons,
    "plain": plain,
    "nescio": nescio_scores,
    "engine": engine_alone,
}
