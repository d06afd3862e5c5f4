"""A stream with an alarm: what each event says, and that it ends when it goes off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.decoding import Alert, Decoding, Detail, TokenStatistics, stream
from nescio.trace import Origin


@dataclass
class Third:
    """Goes off with the third token."""

    orders: tuple[float, ...] = ()
    seen: list[TokenStatistics] = field(default_factory=list)
    origin: Any = None

    @property
    def renyi_orders(self) -> tuple[float, ...]:
        return self.orders

    def start(self, origin: Origin | None) -> Third:
        self.origin = origin
        return self

    def update(self, token: TokenStatistics) -> Alert | None:
        self.seen.append(token)
        return Alert(2, "count", 3.0, 2.0, "enough") if len(self.seen) == 3 else None


def test_an_alarm_ends_the_answer_and_says_why() -> None:
    model, alarm = nescio.load("table:topics"), Third()
    watched = stream(model, "a", decoding=Decoding(20), seed=1, alarm=alarm)
    events = list(watched)
    assert [event.alert for event in events[:2]] == [None, None]
    assert events[2].alert.reason == "enough"
    assert [event.stop for event in events] == [None, None, "alarm"]
    assert watched.trace.stop == "alarm"
    assert len(watched.trace.completion) == 3
    assert list(watched) == []  # nothing more is drawn
    assert watched.watch is alarm


def test_what_the_alarm_is_told_is_what_the_events_say() -> None:
    model, alarm = nescio.load("table:topics"), Third(orders=(0.5, -1.0))
    watched = stream(model, "a", decoding=Decoding(20), seed=1, alarm=alarm)
    events = list(watched)
    for event, token in zip(events, alarm.seen, strict=True):
        assert (token.token, token.logp) == (event.token_id, event.logp)
        assert (token.entropy, token.logp_processed) == (
            event.entropy,
            event.logp_processed,
        )
        assert len(token.log_renyi) == 2
    trace = watched.trace
    assert alarm.origin == trace.origin
    assert alarm.origin.decoding["kind"] == "generate"
    column = trace.columns["log_renyi_processed[0.5]"]
    assert column.unit == "nats"
    assert np.isnan(column.values[0])  # the prompt
    sums = [token.log_renyi[0] for token in alarm.seen]
    np.testing.assert_allclose(column.values[1:], sums, rtol=1e-6)


def test_the_running_rate_is_the_mean_entropy_so_far() -> None:
    model = nescio.load("table:topics")
    events = list(stream(model, "a", decoding=Decoding(9), seed=2))
    entropies = [event.entropy for event in events]
    rates = [np.mean(entropies[: i + 1]) for i in range(9)]
    assert [event.entropy_rate for event in events] == pytest.approx(rates)


def test_texts_are_whole_characters() -> None:
    model = nescio.load("table:pieces")
    for seed in range(20):
        watched = stream(model, "", decoding=Decoding(12), seed=seed)
        texts = [event.text for event in watched]
        assert "".join(texts) == watched.trace.completion


def test_a_character_comes_with_its_last_byte() -> None:
    """Bytes of "é" are two tokens of a table that writes nothing else."""
    model = _accents()
    texts = [e.text for e in stream(model, "x", decoding=Decoding(5))]
    assert texts == ["", "é", "", "é", "�"]  # cut at the end


def test_without_an_alarm_an_answer_is_what_it_was() -> None:
    model, how = nescio.load("table:topics"), Decoding(30)
    plain = stream(model, "a", decoding=how, seed=3)
    list(plain)
    assert plain.watch is None
    assert plain.trace == nescio.generate(model, "a", decoding=how, seed=3)
    assert plain.trace.columns == {}
    kept = Decoding(30, detail=Detail(renyi_processed=(0.5,)))
    with_sums = nescio.generate(model, "a", decoding=kept, seed=3)
    assert np.array_equal(with_sums.token_ids, plain.trace.token_ids)


def _accents() -> Any:
    import json
    import tempfile
    from pathlib import Path

    from nescio.models.table import read_table

    tokens = ["x", {"hex": "c3"}, {"hex": "a9"}]
    rows = [
        {"after": [], "p": [0, 1, 0]},
        {"after": [{"hex": "c3"}], "p": [0, 0, 1]},
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accents.json"
        path.write_text(json.dumps({"tokens": tokens, "rows": rows}))
        return read_table(path)
