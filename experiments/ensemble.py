"""Does an ensemble of smollm2 and gemma3-270m predict texts better than the better one?

Both read English (wikitext-2), Japanese and Chinese (messages of programs) and lists of
emoji as bytes, in every spelling. On what they say of each byte every rule is scored:
mean, posterior, product, power 0.5, min, max, switch, contrast; with equal weights,
with weights from each document's first bytes, and with weights learned on wikitext-2's
validation set or on other documents of the same kind. Which member is the better one is
decided on the documents that weights are learned on. Writes
``results/ensemble_runs.json`` and ``docs/ensemble-runs.svg``.

    python experiments/ensemble.py [--quick] [--scores FOLDER] [--out FILE]
        [--figure FILE]

What members say is kept in the folder (``build/ensemble_runs`` unless named), and the
same command goes on from there. The reference data are beside the checkout
(``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _calibration_telling import PROJECT, write
from _consistency_figures import differences_figure
from _ensemble_rules import (
    LEAD,
    STRENGTH,
    TEMPERATURE,
    Judged,
    estimates,
    learned,
    losses,
    weighting_told,
)
from _ensemble_texts import Texts, all_texts
from _precision import usual_precision

import nescio
from nescio.ensemble.byte_view import USUAL_PRUNE, ByteView
from nescio.ensemble.member_scores import (
    MemberScores,
    load_scores,
    member_scores,
    save_scores,
)

MODELS = ("smollm2", "gemma3-270m")
PRECISION = usual_precision()


@dataclass(frozen=True)
class Size:
    """How many documents each way, of how many bytes, and how many side by side."""

    documents: int
    english: int
    others: int
    together: int


FULL = Size(documents=20, english=LEAD + 400, others=LEAD + 200, together=12)
QUICK = Size(documents=6, english=LEAD + 24, others=LEAD + 24, together=6)


@dataclass
class Reader:
    """A member, loaded when something is not in the folder yet."""

    name: str
    folder: Path
    view: ByteView | None = None

    def scores(self, texts: Sequence[bytes], *, together: int) -> MemberScores:
        """What it says of each text, some of them side by side, kept in files."""
        parts = [
            self._part(texts[begin : begin + together])
            for begin in range(0, len(texts), together)
        ]
        numbers = [part.document + begin * together for begin, part in enumerate(parts)]
        return MemberScores(
            np.concatenate([part.logp for part in parts]),
            np.concatenate([part.symbols for part in parts]),
            np.concatenate(numbers),
            np.concatenate([part.missing for part in parts]),
        )

    def _part(self, texts: Sequence[bytes]) -> MemberScores:
        how = f"{self.name} {PRECISION} {USUAL_PRUNE} "
        key = how.encode() + b"\0".join(texts)
        path = self.folder / f"{self.name}_{hashlib.sha256(key).hexdigest()[:16]}.npz"
        if not path.is_file():
            begin = time.perf_counter()
            save_scores(path, member_scores([self.loaded()], texts))
            took = time.perf_counter() - begin
            size = sum(map(len, texts))
            print(f"{self.name}: {size} bytes, {took:.0f} s", flush=True)
        return load_scores(path)

    def loaded(self) -> ByteView:
        """The view, with the model."""
        if self.view is None:
            model = nescio.load(f"{self.name},precision={PRECISION}")
            self.view = ByteView(model, prune=USUAL_PRUNE)
        return self.view


def read_by_all(
    readers: Sequence[Reader], texts: Sequence[bytes], together: int
) -> MemberScores:
    """The members side by side."""
    each = [reader.scores(texts, together=together) for reader in readers]
    return MemberScores(
        np.concatenate([one.logp for one in each], axis=1),
        each[0].symbols,
        each[0].document,
        np.concatenate([one.missing for one in each], axis=1),
    )


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few bytes only")
    parser.add_argument(
        "--scores", type=Path, default=PROJECT / "build" / "ensemble_runs"
    )
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "results" / "ensemble_runs.json"
    )
    parser.add_argument(
        "--figure", type=Path, default=PROJECT / "docs" / "ensemble-runs.svg"
    )
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    given.scores.mkdir(parents=True, exist_ok=True)
    readers = [Reader(name, given.scores) for name in MODELS]
    kinds = all_texts(size.documents, size.english, size.others)
    read = {kind: _both(readers, texts, size) for kind, texts in kinds.items()}
    fits = {kind: learned(scores) for kind, (scores, _) in read.items()}
    result: dict[str, Any] = {}
    for kind, (known, scores) in read.items():
        better = int(known.behind(LEAD).own.mean(axis=0).argmax())
        judged = Judged(scores, MODELS, better)
        sources = {name: fits[name] for name in dict.fromkeys(("English", kind))}
        result[kind] = {
            "texts": dict(kinds[kind].source),
            "documents": len(scores.starts),
            "judged_bytes": len(judged.rest.symbols),
            "not_followed": dict(
                zip(MODELS, scores.missing.mean(axis=0).tolist(), strict=True)
            ),
            "better_member": MODELS[better],
            "weights": {name: weighting_told(one) for name, one in fits[kind].items()},
            "methods": estimates(judged, losses(judged, sources)),
        }
        _say(kind, result[kind]["methods"])
    write(
        given.out,
        {"members": _origins(readers), "kinds": result},
        precision=PRECISION,
        prune=USUAL_PRUNE,
        prompt_bytes=LEAD,
        prompt_temperature=TEMPERATURE,
        contrast_strength=STRENGTH,
        size=asdict(size),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    differences_figure(panels_of(result), given.figure)


def _both(
    readers: Sequence[Reader], texts: Texts, size: Size
) -> tuple[MemberScores, MemberScores]:
    return (
        read_by_all(readers, texts.learn, size.together),
        read_by_all(readers, texts.judge, size.together),
    )


def _origins(readers: Sequence[Reader]) -> dict[str, Any]:
    return {reader.name: reader.loaded().origin.to_dict() for reader in readers}


def _say(kind: str, methods: dict[str, Any]) -> None:
    print(kind)
    for name, one in methods.items():
        bits, less = one["bits_per_byte"], one["less_better_member"]
        print(
            f"  {bits['value']:.4f}  {less['value']:+.4f} [{less['low']:+.4f}, "
            f"{less['high']:+.4f}]  {name}",
            flush=True,
        )


def panels_of(result: dict[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """Bits a byte less those of the better member, a panel a kind of text."""
    shown = {
        "mean, equal": "mean",
        "posterior, equal": "posterior",
        "product, equal": "product",
        "product, by prompt": "product, by prompt",
        "mean, learned on {}": "mean, learned",
        "posterior, learned on {}": "posterior, learned",
        "product, learned on {}": "product, learned",
        "product, free power, learned on {}": "product, free power",
        "min, equal": "min",
        "switch, equal": "switch",
    }
    return {
        kind: [
            (label, one["methods"][name.format(kind)]["less_better_member"])
            for name, label in shown.items()
        ]
        for kind, one in result.items()
    }


if __name__ == "__main__":
    main()
