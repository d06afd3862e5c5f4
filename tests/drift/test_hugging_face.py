"""The watch over transformers' own generate, on tiny random networks."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import nescio
from nescio.decoding import Alert, Decoding, TokenStatistics
from nescio.drift.alarm import AlarmPlan, fit
from nescio.drift.alarm_files import alert_of
from nescio.drift.channels import ChannelPlan
from nescio.drift.hugging_face import GeneratedToken, GenerationWatch, vocabulary_of
from nescio.drift.martingale import MartingaleAlarm, log_martingale_of
from nescio.errors import InvalidInput
from nescio.kernel import Sampling
from tests.models.tiny import VOCABULARY, tiny_model, tiny_tokenizer

PROMPT = b"Once upon a time"


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model("llama")


def generated(
    model: Any, watch: GenerationWatch, *, use: str = "all", rows: int = 1, **how: Any
) -> np.ndarray:
    """What plain generate gives, [rows, tokens], without the prompt."""
    ids = np.concatenate([model.start, model.encode(PROMPT)])
    given = torch.as_tensor(np.tile(ids, (rows, 1))).long()
    torch.manual_seed(3)
    named = {
        "processor": {"logits_processor": [watch.processor]},
        "stopping": {"stopping_criteria": [watch.stopping]},
        "streamer": {"streamer": watch.streamer},
    }
    used = named if use == "all" else ["processor", *use.split()]
    for name in used:
        how |= named[name]
    with torch.inference_mode():
        found = model.network.generate(
            given,
            attention_mask=torch.ones_like(given),
            **{"do_sample": True, "top_k": 0, "max_new_tokens": 30} | how,
        )
    return found[:, len(ids) :].numpy()


@pytest.mark.parametrize("use", ["all", "stopping", "streamer"])
def test_it_measures_what_scoring_measures(model: Any, use: str) -> None:
    watch_tokens: list[GeneratedToken] = []
    vocabulary = model.vocabulary
    watch = GenerationWatch(vocabulary=vocabulary, on_token=watch_tokens.append)
    (ids,) = generated(model, watch, use=use)
    assert [t.token_id for t in watch_tokens] == ids.tolist()
    whole = vocabulary.spell(ids)
    text = "".join(t.text for t in watch_tokens)
    assert whole.decode("utf-8", "replace").startswith(text)
    context = model.open()
    prompt = np.concatenate([model.start, model.encode(PROMPT)])
    (context,), logits = model.extend([context], [prompt])
    for token in watch_tokens:
        row = torch.log_softmax(torch.as_tensor(logits[0]).double(), dim=0).numpy()
        assert token.logp == pytest.approx(row[token.token_id], abs=1e-4)
        entropy = -(np.exp(row) * row).sum()
        assert token.entropy == pytest.approx(entropy, abs=1e-4)
        next_ids = np.array([token.token_id], dtype=np.int32)
        (context,), logits = model.extend([context], [next_ids])
    entropies = [t.entropy for t in watch_tokens]
    assert watch.entropy_rates[0] == pytest.approx(np.mean(entropies))
    assert watch_tokens[-1].entropy_rate == watch.entropy_rates[0]
    assert watch.tokens == (len(ids),)
    assert watch.alerts == (None,)


def test_the_processor_alone_sees_all_but_the_last_token(model: Any) -> None:
    found: list[GeneratedToken] = []
    watch = GenerationWatch(vocabulary=model.vocabulary, on_token=found.append)
    (ids,) = generated(model, watch, use="", max_new_tokens=9)
    assert [token.token_id for token in found] == ids[:-1].tolist()


class Nth:
    """Goes off with the n-th token."""

    renyi_orders = ()

    def __init__(self, n: int) -> None:
        self.n = n

    def start(self, _: Any) -> Nth:
        return Nth(self.n)

    def update(self, _: TokenStatistics) -> Alert | None:
        self.n -= 1
        return Alert(0, "count", 1.0, 0.0, "enough") if self.n == 0 else None


def test_an_alarm_ends_the_answer(model: Any) -> None:
    watch = GenerationWatch()
    watch._alarm = Nth(5)
    (ids,) = generated(model, watch)
    assert len(ids) == 5
    assert watch.alerts[0].reason == "enough"
    (again,) = generated(model, watch)  # a new answer, a new watch
    assert np.array_equal(again, ids)
    assert watch.tokens == (5,)


def test_rows_of_a_batch_are_watched_apart(model: Any) -> None:
    found: list[GeneratedToken] = []
    watch = GenerationWatch(vocabulary=model.vocabulary, on_token=found.append)
    ids = generated(model, watch, rows=3, max_new_tokens=40)
    end = set(model.vocabulary.end)
    for row in range(3):
        own = [t.token_id for t in found if t.row == row]
        expected = []
        for token in ids[row].tolist():
            expected.append(token)
            if token in end:
                break
        assert own == expected
    assert watch.tokens == tuple(sum(t.row == r for t in found) for r in range(3))


@pytest.mark.parametrize(
    ("sampling", "how"),
    [
        (Sampling(), {}),
        (Sampling(temperature=0.7, top_p=0.9), {"temperature": 0.7, "top_p": 0.9}),
        (Sampling(top_k=20), {"top_k": 20}),
    ],
)
def test_evidence_is_that_of_what_was_drawn_from(
    model: Any, sampling: Sampling, how: dict[str, Any]
) -> None:
    """The same tokens through nescio's own stream of steps give the same evidence."""
    alarm = MartingaleAlarm(1e-12)
    watch = GenerationWatch(alarm, sampling=sampling, vocabulary=model.vocabulary)
    (ids,) = generated(model, watch, **how)
    from nescio.decoding.answers import Draw, answer_trace
    from nescio.decoding.batch import Drawn
    from nescio.decoding.prompting import opening
    from nescio.decoding.recording import Detail
    from nescio.kernel import process, row_statistics

    decoding = Decoding(99, sampling, detail=Detail(renyi_processed=alarm.renyi_orders))
    asked = opening(model, PROMPT.decode(), chat=False)
    (context,), logits = model.extend([model.open()], [asked.token_ids])
    rows = []
    for token in ids.tolist():
        one = np.array([token], dtype=np.int32)
        processed = process(logits, sampling)
        step = Drawn(
            (0,),
            one,
            processed[:, token],
            row_statistics(logits, one, top=10),
            np.array([context.length]),
            (None,),
            row_statistics(processed, renyi=alarm.renyi_orders).log_renyi,
        )
        rows.append((step, 0))
        (context,), logits = model.extend([context], [one])
    trace = answer_trace(model, asked, rows, decoding=decoding, draw=Draw(0))
    evidence = watch._answers[0].watch.log_evidence
    assert log_martingale_of(trace)[-1] == pytest.approx(evidence, abs=1e-2)


def test_sampling_that_is_not_what_was_said_is_found(model: Any) -> None:
    watch = GenerationWatch(MartingaleAlarm(0.01), vocabulary=model.vocabulary)
    generated(model, watch, do_sample=False, max_new_tokens=60)
    assert watch.alerts[0] is not None
    assert watch.alerts[0].channel == "surprisal_down"
    assert "1 %" in watch.claims[0]


def test_an_alarm_fitted_here_serves_there_and_only_there(model: Any) -> None:
    how = Decoding(20, Sampling(temperature=0.9))
    draws = nescio.sample(model, "Once", n=30, decoding=how, chat=False)
    runs = [sample.trace for sample in draws.answers]
    plan = AlarmPlan(ChannelPlan(("entropy_up", "repetition")))
    alarm = fit(runs, horizon=20, alarm_rate=0.1, plan=plan)
    same = {"origin": model.origin, "sampling": how.sampling}
    watch = GenerationWatch(alarm, **same)
    generated(model, watch, temperature=0.9, max_new_tokens=20)
    assert watch.claims[0].startswith("at most 10 %")
    generated(model, watch, temperature=0.9, max_new_tokens=21)
    if watch.alerts == (None,) and watch.tokens == (21,):
        assert watch.claims[0].startswith("no claim past")
    with pytest.raises(InvalidInput, match="sampling"):
        GenerationWatch(alarm, origin=model.origin)
    other = replace(model.origin, model_digest="sha256:other")
    with pytest.raises(InvalidInput, match="model_digest"):
        GenerationWatch(alarm, origin=other, sampling=how.sampling)
    assert alert_of(runs[0], alarm) is None or alarm.runs


def test_memory_does_not_grow_with_the_answer() -> None:
    """The watch alone, fed as generate would feed it: no object stays behind."""
    watch = GenerationWatch(MartingaleAlarm(1e-300), on_token=lambda _: None)
    rng = np.random.default_rng(0)

    def feed(tokens: int, first: int) -> int:
        for place in range(tokens):
            ids = torch.zeros((1, first + place), dtype=torch.long)
            watch.processor(ids, torch.as_tensor(rng.normal(size=(1, 50))))
            chosen = torch.cat([ids, torch.randint(0, 50, (1, 1))], dim=1)
            watch.stopping(chosen, None)
        gc.collect()
        return first + tokens

    length = feed(30, 4)
    before = len(gc.get_objects())
    feed(120, length)
    assert watch.tokens == (150,)
    assert len(gc.get_objects()) - before < 60


def test_the_vocabulary_of_a_tokenizer_spells_its_ids() -> None:
    vocabulary = vocabulary_of(tiny_tokenizer(), VOCABULARY)
    assert vocabulary.spell(tiny_tokenizer()("né")["input_ids"]) == "né".encode()


def test_scores_are_left_as_they_are() -> None:
    watch, scores = GenerationWatch(), torch.randn(2, 9)
    before = scores.clone()
    assert watch.processor(torch.zeros((2, 3), dtype=torch.long), scores) is scores
    assert torch.equal(scores, before)


def test_beams_are_refused() -> None:
    watch = GenerationWatch()
    watch.processor(torch.zeros((2, 3), dtype=torch.long), torch.randn(2, 9))
    with pytest.raises(InvalidInput, match="num_beams=1"):
        watch.stopping(torch.zeros((4, 4), dtype=torch.long), None)
