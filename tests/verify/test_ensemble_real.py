"""Real models as models of bytes: they sum to 1, the chain rule, what pruning loses."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.ensemble.branches import END, Candidate, Spelled
from nescio.ensemble.byte_view import START, USUAL_PRUNE, ByteContext, ByteView
from nescio.ensemble.canonical import that_may_be_canonical
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.rules import RULES
from tests.ensemble.chain import check_chain
from tests.models.tiny import computes_bf16
from tests.results import write_result

pytestmark = [pytest.mark.verify, pytest.mark.local_model]

PRECISION = "bf16" if computes_bf16() else "f32"
MODELS = (f"smollm2,precision={PRECISION}", f"gemma3-270m,precision={PRECISION}")
TEXTS = {
    "English": "The old harbour of the town was rebuilt in 1887, after a fire had "
    "destroyed most of its warehouses. Ships from Lisbon and Hamburg brought wine, "
    "wool and, now and then, a letter; the clerks wrote it all down.",
    "Japanese": "雨が降ると、猫は窓のそばで外を見ています。駅までの道は遠いですが、"
    "彼女は毎朝歩いて学校へ行きます。",
    "Chinese": "昨天下午我在图书馆看书,外面突然下起了大雨。"
    "朋友打电话来,说晚上一起吃饭。",
    "emoji": "Great game! ⚽🎉 See you on 🌞day 👩‍👩‍👧 and bring 🍕🍕, ok? 👍🏽 ❤️ 🇧🇷",
}
BYTES = int(os.environ.get("NESCIO_ENSEMBLE_BYTES", "200"))
ALL = (*RULES, "posterior", "power:-1", "power:2")
FOUND: dict[str, Any] = {}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> Any:
    return nescio.load(request.param)


def text_of(name: str) -> bytes:
    """A text's beginning of some bytes, which may end within a character."""
    return TEXTS[name].encode()[:BYTES]


def walked(view: ByteView, text: bytes) -> list[ByteContext]:
    """The contexts along a text; every symbol's probability checked on the way."""
    (context,), _ = view.extend([view.open()], [np.array([START])])
    found = [context]
    exactly = 0
    for byte in text:
        assert np.exp(context.logp).sum() == pytest.approx(1.0, abs=1e-9)
        (longer,), _ = view.extend([context], [np.array([byte])])
        exactly += check_chain(context, byte, longer)
        context = longer
        found.append(context)
    assert exactly > len(text) / 10
    return found


SPLIT = {
    "plays": "Citizen:\nBefore we proceed, hear me speak.\n\nAll:\nSpeak, speak.\n\n",
    "code": "def f(x):\n\n\n    return x\n\t\tif (y):\n\n  }\r\n\r\n  \r\n\t\t1\t\t(",
    "numbers": "In  1987  12,345.678  x1234567  3's they'll I'M don't\n\n 7",
    "spaces": "12  人工知能は。\n\n\n もっと…  don't\u00a0here  e\u0301 🦙  🦙",
}


@pytest.mark.parametrize("name", [*TEXTS, *SPLIT])
def test_the_tokenizers_own_spelling_is_never_refused_on_its_way(
    model: Any, name: str
) -> None:
    text = (TEXTS | SPLIT)[name].encode()
    tokens, nothing = None, np.array([], dtype=np.int64)
    for token in model.encode(text).tolist():
        tokens = Spelled.of(tokens, token)
        ended = (Candidate(None, tokens, 0.0),)
        assert that_may_be_canonical(model, ended, prompt=nothing) == ended


def test_two_line_breaks_are_read_in_its_own_spelling(model: Any) -> None:
    text = SPLIT["plays"].encode()[:62]
    view = ByteView(model, prune=USUAL_PRUNE, spelling="canonical")
    (context,), _ = view.extend([view.open()], [np.array([START, *text])])
    trace = nescio.score(model, text.decode())
    # Steps and passes round differently in bf16.
    assert context.log_kept >= float(np.nansum(trace.logp[trace.scored])) - 0.5


@pytest.mark.parametrize("name", TEXTS)
def test_it_sums_to_1_at_every_byte_and_keeps_the_chain_rule(
    model: Any, name: str
) -> None:
    text = text_of(name)
    found = walked(ByteView(model, prune=USUAL_PRUNE), text)
    said = sum(float(c.logp[b]) for c, b in zip(found[:-1], text, strict=True))
    assert found[-1].log_said == pytest.approx(said, abs=1e-9)
    less = walked(ByteView(model, prune=USUAL_PRUNE / 10), text)
    for near, nearer in zip(found, less, strict=True):
        low, high = near.bounds
        # What is computed in batches of other sizes differs by rounding.
        assert low <= nearer.bounds[1] + 0.05
        assert nearer.log_kept <= high + 0.05
    nats = {"usual": -said, "ten times less": -less[-1].log_said}
    FOUND.setdefault(model.name, {})[name] = {
        "bytes": len(text),
        "bits_per_byte": nats["usual"] / len(text) / np.log(2),
        "bits_per_byte_pruned_ten_times_less": nats["ten times less"]
        / len(text)
        / np.log(2),
        "spellings_alive": float(np.mean([len(c.branches) for c in found])),
        "missing_estimate": found[-1].missing,
        "kept_less_than_with_ten_times_less_nats": less[-1].log_kept
        - found[-1].log_kept,
        "doubt_after_10_bytes": found[10].doubt,
        "doubt_at_the_end": found[-1].doubt,
    }
    write_result(
        "byte_views",
        FOUND,
        precision=PRECISION,
        prune=USUAL_PRUNE,
        texts={name: text_of(name).decode(errors="replace") for name in TEXTS},
    )
    assert abs(nats["usual"] - nats["ten times less"]) < 0.05 * nats["usual"]


def test_a_model_with_itself_is_itself_under_every_rule(model: Any) -> None:
    view = ByteView(model, prune=0.01)
    text = "Tea, 茶".encode()
    alone = walked(view, text)[-1]
    for rule in ALL:
        both = Ensemble((view, view), rule=rule, weights=(1, 3))
        run = np.array([START, *text])
        (context,), _ = both.extend([both.open()], [run])
        np.testing.assert_allclose(
            np.exp(context.joined), np.exp(alone.logp), atol=1e-9
        )
        assert context.disagreement == pytest.approx(0.0, abs=1e-9)


def test_a_prompt_in_one_pass_says_nearly_what_all_its_spellings_say(
    model: Any,
) -> None:
    prompt = b"The capital of France is Paris. The capital of Ital"
    whole = walked(ByteView(model, prune=1e-3), prompt)[-1]
    context = ByteView(model, prune=1e-3).begin(prompt, chat=False)
    apart = np.abs(np.exp(whole.logp) - np.exp(context.logp)).sum() / 2
    assert apart < 0.05
    assert chr(int(context.logp[:END].argmax())) == "y"
    closed = ByteView(model, prune=1e-3, reopen=0).begin(prompt, chat=False)
    worse = np.abs(np.exp(whole.logp) - np.exp(closed.logp)).sum() / 2
    assert apart <= worse
    FOUND.setdefault(model.name, {})["prompt"] = {
        "text": prompt.decode(),
        "total_variation_to_all_spellings": float(apart),
        "without_opening_its_last_tokens": float(worse),
    }
