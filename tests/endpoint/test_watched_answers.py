"""Alarms over the answers of a server: what it reveals is enough, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

import nescio
from nescio.decoding import Alert, TokenStatistics
from nescio.drift.channels import ChannelPlan, Running, Standard
from nescio.drift.martingale import MartingaleAlarm
from nescio.errors import CapabilityError
from nescio.trace import Origin
from tests.endpoint.test_streams import FOUR, connected, piece, streaming


class Second:
    """Goes off with the second token."""

    renyi_orders: tuple[float, ...] = ()

    def __init__(self) -> None:
        self.seen: list[TokenStatistics] = []
        self.origin: Any = None

    def start(self, origin: Origin | None) -> Second:
        self.origin = origin
        return self

    def update(self, token: TokenStatistics) -> Alert | None:
        self.seen.append(token)
        return Alert(1, "count", 2.0, 1.0, "enough") if len(self.seen) == 2 else None


def test_an_alarm_ends_the_answer_of_a_server(server: Any) -> None:
    model = connected(server, streaming(piece(), piece(), piece(), piece()))
    alarm = Second()
    stream = nescio.stream(model, "x", decoding=FOUR, alarm=alarm)
    events = list(stream)
    assert [event.text for event in events] == [" a", " a"]
    assert [event.alert is None for event in events] == [True, False]
    assert stream.trace.stop == "alarm"
    assert stream.trace.completion == " a a"
    assert list(stream) == []
    assert alarm.origin == stream.trace.origin
    for event, token in zip(events, alarm.seen, strict=True):
        assert (token.logp, token.entropy) == (event.logp, event.entropy_low)
        assert token.token in (event.token_id, event.buffer)
    running = Running(
        ChannelPlan(("entropy_up",), memory=1), {"entropy_up": Standard(0.0, 1.0)}
    )
    assert running.update(alarm.seen[0])[0] == pytest.approx(events[0].entropy_low)


def test_what_a_server_does_not_reveal_is_refused(server: Any) -> None:
    model = connected(server, streaming(piece(), piece()))
    with pytest.raises(CapabilityError, match="Rényi"):
        nescio.stream(model, "x", decoding=FOUR, alarm=MartingaleAlarm())
    silent = connected(server, streaming(piece(top=0), piece(top=0, finish="length")))
    with pytest.raises(CapabilityError, match="log-probabilities"):
        list(nescio.stream(silent, "x", decoding=FOUR, alarm=Second()))
