"""A trace refuses to be built from what does not fit together."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from nescio.errors import SchemaError
from nescio.trace import Candidates, Column
from tests.trace.golden import full_trace
from tests.traces import make_candidates, make_trace

TRACE = full_trace()


def test_a_trace_knows_its_text_and_its_tokens():
    assert TRACE.text == "Was ist 日本?\n"
    assert TRACE.completion == "日本?\n"
    assert len(TRACE) == 7
    assert TRACE.token_bytes(3) == b"\xa5\xe6\x9c"
    assert TRACE.byte_counts.tolist() == [0, 8, 2, 3, 1, 2, 0]
    assert TRACE.surprisal[2:].tolist() == [2.25, np.inf, 0.0, 7.5, 0.125]
    assert np.isnan(TRACE.surprisal[:2]).all()


def test_a_token_is_shown_with_nothing_hidden():
    shown = [TRACE.token_text(i) for i in range(len(TRACE))]
    assert shown[0] == "<|start|>"
    assert shown[2] == "⟨e6⟩⟨97⟩"
    assert shown[5] == "?␊"
    hostile = make_trace(["\x1b[31m", "\u202e"], -1.0)
    assert hostile.token_text(0) == "␛[31m"
    assert hostile.token_text(1) == "⟨202e⟩"


def test_candidates_are_found_by_token():
    assert TRACE.candidates.at(2) == [("a", -0.5), ("<b>", -2.5)]
    assert TRACE.candidates.at(3) == []
    assert TRACE.candidates.at(6) == [("<|end|>", -0.125)]


@pytest.mark.parametrize(
    "name",
    [
        "token_ids",
        "segment",
        "role",
        "context_used",
        "logp",
        "logp_processed",
        "entropy",
        "varentropy",
        "rank",
        "renyi",
    ],
)
def test_a_column_of_another_length_is_refused(name):
    # Annotations stop what is built by keyword; a file is stopped by the check itself.
    shorter = getattr(TRACE, name)[:-1]
    with pytest.raises((SchemaError, TypeError)):
        replace(TRACE, **{name: shorter})


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 8, 10, 13, 14, 16, 16], "over 7 tokens; got 7"),
        ([1, 0, 8, 10, 13, 14, 16, 16], "run from 0"),
        ([0, 0, 8, 10, 13, 14, 16, 15], "run from 0 to 16"),
        ([0, 9, 8, 10, 13, 14, 16, 16], "offsets fall"),
    ],
)
def test_offsets_that_do_not_tile_the_text_are_refused(offsets, message):
    with pytest.raises(SchemaError, match=message):
        replace(TRACE, offsets=np.array(offsets))


def changed(name, place, value):
    array = np.array(getattr(TRACE, name))
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (changed("logp", 2, np.nan), "logp has to be NaN exactly where"),
        (changed("logp", 0, -1.0), "logp has to be NaN exactly where"),
        (changed("logp", 2, 0.5), r"logp\[2\] is 0\.5"),
        (changed("logp_processed", 2, 0.5), r"logp_processed\[2\] is 0\.5"),
        (changed("entropy", 3, np.nan), "entropy has to be NaN"),
        (changed("entropy", 3, -1.0), r"entropy\[3\] is -1"),
        (changed("entropy", 3, np.inf), r"entropy\[3\] is inf"),
        (changed("varentropy", 3, -1.0), r"varentropy\[3\] is -1"),
        (changed("rank", 2, 0), "rank has to be"),
        (changed("rank", 0, 1), "rank has to be"),
        (changed("rank", 2, -5), "rank has to be"),
        (changed("context_used", 2, -1), "context_used"),
        (changed("segment", 2, 3), r"segment\[2\] is 3"),
        (changed("segment", 2, -1), r"segment\[2\] is -1"),
        (changed("role", 2, 5), r"role\[2\] is 5"),
        (changed("scored", 0, True), "NaN exactly where"),
        ({"labels": {7: "x"}}, "label at 7 of 7"),
        ({"labels": {-1: "x"}}, "label at -1"),
        ({"renyi": None}, "0 Rényi columns for 2 orders"),
        ({"renyi_orders": (1.0,)}, "2 Rényi columns for 1 orders"),
        ({"entropy_low": TRACE.entropy, "entropy_high": TRACE.entropy}, "not both"),
        ({"entropy": None, "entropy_low": TRACE.entropy}, "come in pairs"),
        (
            {
                "entropy": None,
                "entropy_low": np.where(TRACE.scored, 9.0, np.nan).astype("f4"),
                "entropy_high": TRACE.entropy,
            },
            r"entropy_low\[2\] is above",
        ),
        (
            {"columns": {"x": Column(np.zeros(3), "nats")}},
            "column 'x' has 3 rows for 7 tokens",
        ),
        ({"candidates": make_candidates([[]])}, "7 positions"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes, message):
    with pytest.raises(SchemaError, match=message):
        replace(TRACE, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": np.array([0, 3])}, "candidate offsets have to run from 0 to 2"),
        ({"offsets": np.array([0, 2, 1, 2])}, "candidate offsets fall"),
        ({"offsets": np.array([], dtype=np.int64)}, "candidate offsets"),
        ({"byte_offsets": np.array([0, 1, 9])}, "candidate bytes have to run"),
        ({"byte_offsets": np.array([0, 2])}, "2 byte offsets for 2 candidates"),
        ({"logp": np.array([0.5, -1.0])}, "candidate 0 has log-probability 0.5"),
        ({"logp": np.array([-1.0, np.nan])}, "candidate 1 has log-probability nan"),
    ],
)
def test_candidates_that_do_not_fit_together_are_refused(changes, message):
    fields = {
        "offsets": np.array([0, 2]),
        "ids": None,
        "logp": np.array([-0.5, -1.5]),
        "buffer": b"ab",
        "byte_offsets": np.array([0, 1, 2]),
    }
    assert len(Candidates(**fields).at(0)) == 2
    with pytest.raises(SchemaError, match=message):
        Candidates(**(fields | changes))


def test_rounding_of_a_server_is_not_refused():
    assert make_trace(["a"], 5e-5).logp[0] > 0


def test_a_trace_cannot_be_changed_and_takes_nothing_from_the_caller():
    mine = np.array([-1.0, -2.0], dtype=np.float32)
    trace = replace(make_trace(["a", "b"], 0.0), logp=mine)
    mine[0] = -9.0
    assert trace.logp.tolist() == [-1.0, -2.0]
    assert mine.flags.writeable
    for array in (
        trace.logp,
        trace.offsets,
        trace.scored,
        TRACE.candidates.logp,
        TRACE.columns["look-ahead"].values,
        TRACE.renyi,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(FrozenInstanceError):
        trace.logp = mine


def test_traces_are_equal_by_value():
    assert full_trace() == TRACE
    assert replace(TRACE, stop="length") != TRACE
    assert replace(TRACE, **changed("logp", 2, -2.0)) != TRACE
    assert replace(TRACE, candidates=None) != TRACE
    assert replace(TRACE, columns={}) != TRACE
    assert TRACE != "a trace"
    with pytest.raises(TypeError):
        hash(TRACE)


def test_html_shows_hostile_text_and_runs_none_of_it():
    hostile = "<script>alert(1)</script>"
    trace = make_trace(
        [hostile, "\x1b[2J", b""],
        -1.0,
        labels={2: "<img src=x onerror=alert(1)>"},
        origin=replace(TRACE.origin, model=hostile),
    )
    shown = trace._repr_html_()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\x1b" not in shown
    assert "&lt;script&gt;" in shown
