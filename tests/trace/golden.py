"""The traces in tests/golden/trace_v*.parquet; run this file to write a new schema's.

A file that is there is never written anew: a reader of a later schema has to read it
as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nescio.trace import (
    SCHEMA_VERSION,
    Candidates,
    Column,
    Origin,
    Trace,
    write_traces,
)
from tests.traces import make_candidates, make_trace

GOLDEN = (
    Path(__file__).resolve().parents[1] / "golden" / f"trace_v{SCHEMA_VERSION}.parquet"
)


def full_trace() -> Trace:
    """A trace in which nothing is absent."""
    return make_trace(
        [b"", "Was ist ", b"\xe6\x97", b"\xa5\xe6\x9c", b"\xac", "?\n", b""],
        [-1.0, -0.5, -2.25, -np.inf, 0.0, -7.5, -0.125],
        unscored=[0, 1],
        segment=[2, 0, 1, 1, 1, 1, 1],
        token_ids=np.array([1, 5, 900, 7, 3, 40_000, 2], dtype=np.int32),
        role=np.array([0, 2, 3, 3, 3, 3, 0], dtype=np.int8),
        context_used=np.arange(7, dtype=np.int32),
        logp_processed=np.array(
            [np.nan, np.nan, -2.0, -np.inf, 0.0, -8.0, np.nan], dtype=np.float32
        ),
        entropy=[9.0, 9.0, 1.5, 0.25, 0.0, 3.0, 0.5],
        varentropy=[9.0, 9.0, 0.5, 1.0, 0.0, 2.0, 0.25],
        rank=np.array([0, 0, 3, 40_000, 1, 120, 1], dtype=np.int32),
        candidates=Candidates(
            offsets=np.array([0, 0, 0, 2, 2, 3, 5, 6]),
            ids=np.array([11, 12, 13, 14, 15, 2], dtype=np.int32),
            logp=np.array([-0.5, -2.5, 0.0, -1.0, -np.inf, -0.125], dtype=np.float32),
            buffer=b"a<b>\xe6\xa5",
            byte_offsets=np.array([0, 1, 4, 5, 6, 6, 6]),
            labels={5: "<|end|>"},
        ),
        renyi=np.array([[np.nan, np.nan]] * 2 + [[0.5, -1.0]] * 5, dtype=np.float32),
        renyi_orders=(0.5, -1.0),
        columns={
            "look-ahead": Column(
                np.array([np.nan, 0, 1, 2, 3, np.inf, 5], dtype=np.float32), "nats"
            )
        },
        labels={0: "<|start|>", 6: "<|end|>"},
        stop="eos",
        origin=Origin(
            "smollm2,precision=f32",
            "sha256:aa",
            "sha256:bb",
            "transformers 5.23",
            "f32",
            template_digest="sha256:cc",
            conditioned_on="<|start|>",
            decoding={"temperature": 0.7, "top_p": None, "stop": ["\n"]},
            seed=7,
        ),
    )


def golden_traces() -> tuple[Trace, ...]:
    """A full trace, a bare one, one of bounds, one without tokens."""
    return (
        full_trace(),
        make_trace(["a", "b"], [-1.0, -2.0], token_ids=None),
        make_trace(
            ["x", "y"],
            -0.5,
            entropy_low=0.25,
            entropy_high=[0.5, np.inf],
            candidates=make_candidates([[(b"x", -0.5)], []]),
            stop="length",
        ),
        make_trace([], []),
    )


if __name__ == "__main__":
    if GOLDEN.exists():
        raise SystemExit(f"{GOLDEN.name} is there")
    write_traces(GOLDEN, golden_traces())
