"""How much of the past an LSTM and a transformer of one size use: both memory curves.

Both are trained on the same crops of Shakespeare's plays, character by character, and
then write on their own. I_τ = H(next | last τ) - H(next | all), in their own text, is
bounded from above by their loss when all but the last τ characters are hidden; the
context gain is the same difference on held-out plays. Writes
``results/memory_runs.json`` and ``docs/drift-memory.svg``.

    python experiments/memory.py [--work DIR] [--quick] [--out FILE] [--figure FILE]

``DIR`` keeps what is finished: the same command goes on where it was stopped, and one
with other settings begins anew. The reference data are beside the checkout
(``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _calibration_telling import PROJECT, data_folder, write
from _memory_networks import (
    NETWORKS,
    Training,
    characters,
    model_of,
    parameters,
    trained,
)
from _parts import Parts

from nescio import Decoding, Trace, Window, score_texts
from nescio.decoding import Detail, Draws, sample_stream
from nescio.drift.curves import DriftCurve, Limits, Named, resampled_number
from nescio.drift.memory import Truncation, context_gain, memory_curve
from nescio.plot.colours import LINES
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import log_axis

RESULT = "memory_runs.json"
HELD_OUT = 0.1
LEVEL = 0.95
DRAWN_FROM = 4  # characters back: before, both fall alike and hide the rest
PAIR = ("LSTM", "transformer")
MEASURES = {
    "memory": "upper bound on I_τ in its own text",
    "context gain": "gain in held-out plays",
}


@dataclass(frozen=True)
class Size:
    """How much is run."""

    training: Training
    seeds: int
    texts: int
    length: int
    tokens_back: tuple[int, ...]
    positions: int


FULL = Size(Training(700, 16, 128), 3, 200, 128, (1, 2, 4, 8, 16, 32, 64), 16)
QUICK = Size(Training(8, 4, 32), 2, 8, 32, (1, 4, 16), 4)


@dataclass(frozen=True)
class Plays:
    """The plays, to train on and held out, and the vocabulary of both."""

    train: np.ndarray
    held_out: list[str]
    tokenizer: Any


def plays(size: Size) -> Plays:
    """The last tenth is held out, in stretches evenly spread over it."""
    text = (data_folder() / "text" / "tinyshakespeare.txt").read_text("utf-8")
    tokenizer = characters(text)
    cut = int(len(text) * (1.0 - HELD_OUT))
    first = np.linspace(cut, len(text) - size.length, size.texts).astype(int)
    held_out = [text[at : at + size.length] for at in first.tolist()]
    return Plays(tokenizer.encode(text[:cut].encode()), held_out, tokenizer)


def own_texts(model: Any, size: Size, seed: int) -> list[Trace]:
    """What the network writes from nothing, drawn at temperature 1."""
    how = Decoding(size.length, detail=Detail(top=0), batch=size.texts)
    drawn = sample_stream(model, [""], Draws(size.texts, seed), decoding=how)
    found = {answer.draw: answer.trace for _, answer in drawn}
    traces = [found[number] for number in sorted(found)]
    return [trace for trace in traces if trace is not None]


def mean_of(name: str, traces: Sequence[Trace], column: str) -> dict[str, Any]:
    """The mean of a column over tokens, texts resampled."""
    sums = [
        [float(values.sum(dtype=np.float64)), float(len(values))]
        for values in (getattr(trace, column)[trace.scored] for trace in traces)
    ]
    named = Named(name, "nats/token", "texts like these")
    found = resampled_number(
        np.array(sums), lambda m: m[..., 0] / m[..., 1], named=named, limits=Limits()
    )
    return found.to_dict()


def curve_told(curve: DriftCurve) -> dict[str, Any]:
    return curve.to_dict()


def one_network(kind: str, seed: int, size: Size, some: Plays) -> dict[str, Any]:
    """A network trained, and its curves."""
    begin = time.perf_counter()
    vocabulary = some.tokenizer.vocabulary.size
    network = trained(kind, some.train, vocabulary, size.training, seed=seed)
    seconds = time.perf_counter() - begin
    model = model_of(kind, network, some.tokenizer)
    own = own_texts(model, size, seed)
    detail, window = Detail(top=0), Window(sliding=False)
    human = list(score_texts(model, some.held_out, window=window, detail=detail))
    how = Truncation(size.tokens_back, size.positions)
    limits = Limits(seed=seed)
    gain = context_gain(model, human, truncation=how, limits=limits)
    return {
        "parameters": parameters(network),
        "seconds of training": seconds,
        "held-out log loss": mean_of("mean_surprisal", human, "surprisal"),
        "entropy rate of own text": mean_of("entropy_rate", own, "entropy"),
        "memory": memory_curve(
            model, own, truncation=how, less="surprisal", limits=limits
        ).to_dict(),
        "context gain": gain.to_dict(),
    }


def across(values: Sequence[float]) -> dict[str, float | int]:
    """The mean over trainings, with Student's interval."""
    from scipy.stats import t

    found = np.array(values)
    error = found.std(ddof=1) / np.sqrt(len(found))
    reach = float(t.ppf((1.0 + LEVEL) / 2.0, len(found) - 1) * error)
    mean = float(found.mean())
    return {"value": mean, "low": mean - reach, "high": mean + reach, "of": len(found)}


def compared(networks: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over trainings at every τ, and the LSTM's less the transformer's."""
    found: dict[str, Any] = {}
    for measure in MEASURES:
        places = networks[PAIR[0]][0][measure]["place"]
        rows = {
            kind: np.array([one[measure]["value"] for one in networks[kind]])
            for kind in PAIR
        }
        rows["LSTM less transformer"] = rows[PAIR[0]] - rows[PAIR[1]]
        found[measure] = {
            name: {
                "tokens_back": places,
                "at": [across(column.tolist()) for column in values.T],
            }
            for name, values in rows.items()
        }
    for number in ("held-out log loss", "entropy rate of own text"):
        rows = {kind: [one[number]["value"] for one in networks[kind]] for kind in PAIR}
        apart = [a - b for a, b in zip(rows[PAIR[0]], rows[PAIR[1]], strict=True)]
        found[number] = {name: across(values) for name, values in rows.items()}
        found[number]["LSTM less transformer"] = across(apart)
    return found


def figure(found: Mapping[str, Any], path: Path) -> None:
    """Both curves of both networks: own text whole, held-out plays dashed."""
    curves = []
    for measure in MEASURES:
        for place, kind in enumerate(PAIR):
            one = found[measure][kind]
            x = np.array(one["tokens_back"], dtype=np.float64)
            shown = x >= DRAWN_FROM
            y, low, high = (
                np.array([at[end] for at in one["at"]])[shown]
                for end in ("value", "low", "high")
            )
            name = f"{kind}, {'own text' if measure == 'memory' else 'plays'}"
            dashed, band = measure != "memory", (low, high)
            curves.append(
                Curve(name, x[shown], y, *band, colour=LINES[place], dashed=dashed)
            )
    first, last = curves[0].x[0], curves[0].x[-1]
    x_axis = log_axis("characters back", first, last, ticks=tuple(curves[0].x.tolist()))
    svg = curve_chart(curves, x=x_axis, y="nats a character", size=(640, 360))
    path.write_text(svg + "\n", encoding="utf-8")


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "memory_runs")
    parser.add_argument("--quick", action="store_true", help="a few steps only")
    parser.add_argument("--out", type=Path, default=PROJECT / "results" / RESULT)
    parser.add_argument(
        "--figure", type=Path, default=PROJECT / "docs" / "drift-memory.svg"
    )
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    threads = torch.get_num_threads()
    some = plays(size)
    text = hashlib.sha256(some.train.tobytes()).hexdigest()
    settings = {"size": asdict(size), "text": text, "torch": torch.__version__}
    parts = Parts(given.work, "networks", settings)
    networks = {
        kind: [
            parts.made(f"{kind}-{seed}", partial(one_network, kind, seed, size, some))
            for seed in range(size.seeds)
        ]
        for kind in NETWORKS
    }
    found = {"networks": networks, "compared": compared(networks)}
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    figure(found["compared"], given.figure)
    write(
        given.out,
        found,
        measures=MEASURES,
        text="tinyshakespeare, characters; the last tenth held out",
        level=LEVEL,
        intervals="of each curve over texts; of means over trainings, Student's",
        size=asdict(size),
        torch=torch.__version__,
        threads=os.environ.get("OMP_NUM_THREADS", threads),
    )


if __name__ == "__main__":
    main()
