"""Do a translator and language models translate better together than the better one?

Sentences with human translations come from the message catalogues of installed
programs, English and Brazilian Portuguese, both ways. Members are a small translation
network, gemma3-270m and smollm2 (which are shown a few translations first), each by
itself, greedily and by beam search; then agreement-based beam search, the rules over
bytes (one of them under both policies for what the translator cannot write), and the
candidate of least risk among all of them. Weights are chosen on other programs'
sentences, by the likelihood of their translations. BLEU and chrF with paired intervals,
and bits per byte of the human translations. Writes ``results/translation_runs.json``.

    python experiments/translation.py --work DIR [--quick] [--direction en-pt]
        [--translators DIR] [--no-search] [--out FILE]

``DIR`` keeps what is finished: the same command goes on where it was stopped, and one
with other settings begins anew. ``--translators`` is a folder with ``en-pt`` and
``pt-en`` in it, instead of the catalogue's; ``--no-search`` leaves out the searches
(beam, ABE, least risk) and the policies. Needs sacrebleu, and a system with the
catalogues (Debian).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _calibration_telling import PROJECT, write
from _parts import Parts
from _precision import usual_precision
from _translation_data import Pair, pairs
from _translation_decoding import (
    agreed,
    byte_rows,
    escaped,
    greedy,
    joined,
    rejoined,
)
from _translation_members import (
    PRUNE,
    Direction,
    OneLine,
    Started,
    one_line,
    start_escaping,
    start_shown,
    start_translator,
    translator_from_package,
)
from _translation_scores import (
    Judge,
    bits_per_byte,
    chosen_weights,
    least_risk,
    nats,
    scores,
)

import nescio

RESULT = "translation_runs.json"
PRECISION = usual_precision()
LANGUAGE_MODELS = ("gemma3-270m", "smollm2")
RULES = ("mean", "product", "posterior", "switch")
POLICY_RULE = "mean"
DIRECTIONS = (("en", "pt"), ("pt", "en"))


@dataclass(frozen=True)
class Size:
    """How much is run."""

    shown: int
    choosing: int
    judging: int
    batch: int


FULL = Size(shown=8, choosing=24, judging=60, batch=60)
QUICK = Size(shown=3, choosing=6, judging=8, batch=4)


@dataclass(frozen=True, eq=False)
class Run:
    """Models, sentences, how much is run, and where what is finished is kept."""

    direction: Direction
    translator: Any
    shown: dict[str, OneLine]
    choosing: tuple[Pair, ...]
    judging: tuple[Pair, ...]
    size: Size
    parts: Parts
    searching: bool

    def started(self, some: Sequence[Pair]) -> list[Started]:
        """The translator and the language models before some sentences."""
        sources = [self.direction.text(p, self.direction.source) for p in some]
        members = [start_translator(self.translator, sources)]
        for name, model in self.shown.items():
            members.append(start_shown(name, model, self.direction, sources))
        return members

    def targets(self, some: Sequence[Pair]) -> list[str]:
        return [self.direction.text(pair, self.direction.target) for pair in some]

    def unwritable(self, texts: Sequence[str]) -> int:
        """How many texts have a character that the translator cannot write."""
        known = self.translator.pieces.source.ids
        return sum(any(c != " " and c not in known for c in text) for text in texts)

    def limits(self, some: Sequence[Pair]) -> list[int]:
        """The most bytes of a translation: twice and a half its source's, and 30."""
        source = self.direction.source
        return [
            30 + 5 * len(self.direction.text(p, source).encode()) // 2 for p in some
        ]


def weights_chosen(run: Run) -> dict[str, Any]:
    """Weights under which the other programs' translations cost least."""
    rows: list[dict[str, Any]] = []
    for begin in range(0, len(run.choosing), run.size.batch):
        some = run.choosing[begin : begin + run.size.batch]
        rows += byte_rows(run.started(some), run.targets(some))
    # Under the product a text that one member cannot write has no probability.
    writable = [text for text in rows if np.isfinite(text["logp"]).any(axis=2).all()]
    two = {rule: chosen_weights(writable, rule, 2) for rule in RULES}
    three = {rule: chosen_weights(writable, rule, 3) for rule in RULES[:3]}
    best = min(three, key=lambda rule: three[rule]["bits_per_byte"])
    alone = {}
    for number, name in enumerate(("marian", *run.shown)):
        part = [text | {"logp": text["logp"][:, [number]]} for text in writable]
        cost = float(nats(part, "mean", (1.0,)).sum())
        sizes = sum(len(text["symbols"]) - 1 for text in part)
        alone[name] = cost / np.log(2.0) / sizes
    return {
        "sentences": len(rows),
        "that_all_can_write": len(writable),
        "members_alone_bits_per_byte": alone,
        "two": two,
        "three": {best: three[best]},
    }


def translated(
    run: Run, begin: int, some: Sequence[Pair], weights: dict[str, Any]
) -> Any:
    """Members and rules on some sentences, and what the human ones cost."""
    members = run.started(some)
    limits, two = run.limits(some), members[:2]
    make: dict[str, Callable[[], list[str]]] = {}
    for member in members:
        make[f"{member.name}, greedy"] = partial(greedy, member, limits)
    for rule in RULES:
        own = weights["two"][rule]["weights"]
        make[f"bytes, {rule}"] = partial(joined, two, limits, rule, own)
    for rule, found in weights["three"].items():
        name = f"bytes, {rule} of three"
        make[name] = partial(joined, members, limits, rule, found["weights"])
    systems = {
        name: run.parts.made(f"{name}, from {begin}", made)
        for name, made in make.items()
    }
    return {"systems": systems, "costs": _costs(run, members, some, weights)}


def policies(run: Run, some: Sequence[Pair], weights: dict[str, Any]) -> Any:
    """One rule under both policies for what the translator cannot write.

    Returns:
        The translations, and in how many of them each policy acted.
    """
    translator, model, *_ = run.started(some)
    sources = [run.direction.text(p, run.direction.source) for p in some]
    how = (run.limits(some), POLICY_RULE, weights["two"][POLICY_RULE]["weights"])
    both = {
        "escape": escaped([start_escaping(run.translator, sources), model], *how),
        "suspend": rejoined([translator, model], *how),
    }
    return {
        "systems": {_under(p): texts for p, (texts, _) in both.items()},
        "acted": {policy: acted for policy, (_, acted) in both.items()},
    }


def _under(policy: str) -> str:
    return f"bytes, {POLICY_RULE}, {policy}"


def searched(run: Run, some: Sequence[Pair], weights: dict[str, Any]) -> Any:
    """Searches on some sentences: the translations each found, the best first."""
    translator, model, *_ = run.started(some)
    limits = run.limits(some)
    shares = weights["two"]["product"]["weights"]
    return {
        "marian, beam": agreed([translator], limits, None),
        f"{model.name}, beam": agreed([model], limits, None),
        "ABE, equal weights": agreed([translator, model], limits, None),
        "ABE, chosen weights": agreed([translator, model], limits, shares),
    }


def of_least_risk(
    searches: dict[str, list[list[str]]], systems: dict[str, list[str]]
) -> list[str]:
    """Of all that was found of each sentence what is nearest to the rest."""
    count = len(next(iter(systems.values())))
    return [
        least_risk(
            [text for found in searches.values() for text in found[place]]
            + [texts[place] for texts in systems.values()]
        )
        for place in range(count)
    ]


def _costs(
    run: Run, members: list[Started], some: Sequence[Pair], weights: dict[str, Any]
) -> dict[str, list[float | None]]:
    """What each human translation costs, nats; None where it cannot be written."""
    rows = byte_rows(members, run.targets(some))
    found = {}
    for number, member in enumerate(members):
        part = [text | {"logp": text["logp"][:, [number]]} for text in rows]
        found[member.name] = nats(part, "mean", (1.0,))
    for rule in RULES:
        own = weights["two"][rule]["weights"]
        found[f"bytes, {rule}"] = nats(rows, rule, own)
    for rule, chosen in weights["three"].items():
        found[f"bytes, {rule} of three"] = nats(rows, rule, chosen["weights"])
    return {
        name: [float(one) if np.isfinite(one) else None for one in cost]
        for name, cost in found.items()
    }


def measured(run: Run) -> dict[str, Any]:
    """One direction from its weights to its scores."""
    weights = run.parts.made("weights", lambda: weights_chosen(run))
    systems: dict[str, list[str]] = {}
    costs: dict[str, list[float | None]] = {}
    acted: dict[str, int] = {}
    for begin in range(0, len(run.judging), run.size.batch):
        some = run.judging[begin : begin + run.size.batch]
        found = all_of_a_batch(run, begin, some, weights)
        for into, part in ((systems, found["systems"]), (costs, found["costs"])):
            for name, values in part.items():
                into.setdefault(name, []).extend(values)
        for policy, count in found["acted"].items():
            acted[policy] = acted.get(policy, 0) + count
    references = run.targets(run.judging)
    alone = [name for name in systems if name.split(",")[0] in ("marian", *run.shown)]
    found = scores(Judge(references), systems, alone)
    plain = f"bytes, {POLICY_RULE}"
    if run.searching:
        others = {_under(policy): systems[_under(policy)] for policy in acted}
        compared = scores(Judge(references), {plain: systems[plain], **others}, [plain])
        for name in others:
            found["systems"][name]["from_leaving"] = {
                metric: compared["systems"][name][metric]
                for metric in ("bleu_difference", "chrf_difference")
            }
    return {
        "weights": weights,
        "sentences": len(references),
        "what_the_translator_cannot_write": {
            "references": run.unwritable(references),
            "translations": {n: run.unwritable(texts) for n, texts in systems.items()},
            "policies_acted_in": acted,
        },
        **found,
        "likelihood": likelihood(costs, references),
    }


def all_of_a_batch(
    run: Run, begin: int, some: Sequence[Pair], weights: dict[str, Any]
) -> dict[str, Any]:
    """All systems on some sentences, each part kept once it is made."""
    found = run.parts.made(
        f"sentences-{begin}", lambda: translated(run, begin, some, weights)
    )
    if not run.searching:
        return {**found, "acted": {}}
    lists = run.parts.made(f"searches-{begin}", lambda: searched(run, some, weights))
    kept = run.parts.made(f"policies-{begin}", lambda: policies(run, some, weights))
    first = {name: [own[0] for own in all_of] for name, all_of in lists.items()}
    risk = {"least risk": of_least_risk(lists, found["systems"])}
    systems = {**found["systems"], **kept["systems"], **first, **risk}
    return {**found, "systems": systems, "acted": kept["acted"]}


def likelihood(
    costs: dict[str, list[float | None]], references: Sequence[str]
) -> dict[str, Any]:
    """Bits per byte of the human translations that every system can write."""
    table = np.array(
        [[np.nan if c is None else c for c in own] for own in costs.values()]
    )
    there = np.isfinite(table).all(axis=0)
    sizes = np.array([len(text.encode()) for text in references])[there]
    rows = dict(zip(costs, table[:, there], strict=True))
    members = [name for name in rows if not name.startswith("bytes")]
    better = min(members, key=lambda name: rows[name].sum())
    found = {}
    for name, own in rows.items():
        found[name] = {"bits_per_byte": bits_per_byte(own, sizes)}
        if name != better:
            found[name]["difference"] = bits_per_byte(own, sizes, rows[better])
    return {"sentences": int(there.sum()), "better_member": better, "systems": found}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--direction", choices=["en-pt", "pt-en"])
    parser.add_argument("--translators", type=Path)
    parser.add_argument("--no-search", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    data = pairs(size.judging, size.shown + size.choosing)
    if len(data.judging) < size.judging:
        sys.exit(f"only {len(data.judging)} sentences: are catalogues installed?")
    models = {
        name: nescio.load(f"{name},precision={PRECISION}") for name in LANGUAGE_MODELS
    }
    lines = {name: one_line(model) for name, model in models.items()}
    found, origins = {}, {name: m.origin.to_dict() for name, m in models.items()}
    for source, target in DIRECTIONS:
        direction = Direction(source, target, data.choosing[: size.shown])
        if asked.direction not in (None, direction.name):
            continue
        print(direction.name, flush=True)
        translator = translator_from_package(direction.name, asked.translators)
        origins[translator.name] = translator.origin.to_dict()
        members = {name: origins[name] for name in (translator.name, *models)}
        choosing = data.choosing[size.shown :]
        shown = {n: line.behind(direction.examples) for n, line in lines.items()}
        both = (choosing, data.judging)
        parts = Parts(
            asked.work,
            direction.name,
            {
                "size": asdict(size),
                "data": data.provenance,
                "members": members,
                "prune": PRUNE,
            },
        )
        run = Run(direction, translator, shown, *both, size, parts, not asked.no_search)
        found[direction.name] = measured(run)
        for name, one in found[direction.name]["systems"].items():
            print(
                f"  {name:<28} BLEU {one['bleu']['value']:5.1f}  "
                f"chrF {one['chrf']['value']:5.1f}",
                flush=True,
            )
    out = asked.out or (asked.work if asked.quick else PROJECT / "results") / RESULT
    result = {"directions": found, "data": data.provenance, "members": origins}
    recipe = {"size": asdict(size), "precision": PRECISION, "prune": PRUNE}
    write(out, result, **recipe)
    print(out)


if __name__ == "__main__":
    main()
