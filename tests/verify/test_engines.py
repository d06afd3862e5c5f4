"""Engines and precisions on 100 kB of real text: how far apart their numbers lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import nescio
from nescio import Detail, Trace, Window
from tests.results import write_result

BYTES = 100_000
WINDOW = Window(size=1024, stride=896)
REFERENCE = ("transformers", "f32")
READINGS = (
    REFERENCE,
    ("openvino", "f32"),
    ("transformers", "bf16"),
    ("openvino", "bf16"),
)
FOUND: dict[str, Any] = {}


@pytest.fixture(scope="module")
def text(reference_data: Path) -> str:
    """The first 100 kB of wikitext-2's test set, whole lines."""
    raw = (reference_data / "text" / "wikitext-2.test.txt").read_bytes()[:BYTES]
    return raw[: raw.rindex(b"\n")].decode("utf-8")


def reading(name: str, engine: str, precision: str, text: str) -> Trace:
    model = nescio.load(f"{name},precision={precision}", engine=engine)
    assert model.origin.precision == precision
    assert engine in model.origin.engine
    return nescio.score(model, text, window=WINDOW, detail=Detail(top=0))


@pytest.mark.verify
@pytest.mark.reference_data
@pytest.mark.parametrize("name", ["smollm2", "gemma3-270m"])
def test_engines_and_precisions_differ_by_no_more_than_stated(
    name: str, text: str
) -> None:
    traces = {how: reading(name, *how, text) for how in READINGS}
    reference = traces[REFERENCE]
    found: dict[str, Any] = {}
    for how, trace in traces.items():
        rate = nescio.bits_per_byte(trace)
        apart = nescio.bits_per_byte_difference(trace, reference)
        found[" ".join(how)] = {
            "bits_per_byte": brief(rate),
            "difference_from_transformers_f32": brief(apart),
            "engine": trace.origin.engine,
        }
    ours = nescio.bits_per_byte_difference(
        traces["openvino", "bf16"], traces["openvino", "f32"]
    )
    found["openvino bf16 from openvino f32"] = brief(ours)
    FOUND[name] = found | {"tokens": int(reference.scored.sum())}
    write_result(
        "engines",
        FOUND,
        text=f"the first {len(text.encode())} bytes of wikitext-2's test set",
        window=WINDOW.settings(nescio.load("table:coin")) | {"size": WINDOW.size},
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    exact = found["openvino f32"]["difference_from_transformers_f32"]
    assert abs(exact["value"]) < 1e-5
    for engine in ("openvino", "transformers"):
        rounded = found[f"{engine} bf16"]["difference_from_transformers_f32"]
        assert abs(rounded["value"]) < 0.01


def brief(estimate: Any) -> dict[str, Any]:
    return {
        key: getattr(estimate, key)
        for key in ("value", "low", "high", "level", "unit", "population")
    }
