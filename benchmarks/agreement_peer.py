"""Agreement-based beam search beside its published code: the same texts, and how fast.

    git clone https://github.com/mjpost/abe CHECKOUT
    python benchmarks/agreement_peer.py --checkout CHECKOUT

The published code needs torch and transformers, which nescio has: both run the same
networks. It runs as it is and *even*: with the bytes and the ends that nescio reads
from each vocabulary, and not stopped before it has its finished texts; nescio's then
gives none up either (`published_abe.py` says how). Even, both have to find the same
list, token by token; what differs only as it is comes from what was made even. The
published code looks at cells that disagree, too, and some searches have millions of
them: a search that has looked at `--cells` of them is given up as not decided. Prints
both, writes results/abe_peer.json; ends with 1 where the even searches differ,
or where none was decided.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agreement_methods import BOTH, prepare
from measuring import (
    WORKER,
    Measured,
    Method,
    Ratio,
    ratio,
    serve,
    side_by_side,
    table,
    write_result,
)

SAME, SAME_TEXT, UNDECIDED = "the same", "the same text", "not decided"
TOLERANCE = 5e-3  # nats, of float32 sums over the tokens of a text
CELLS = 100_000
PROMPTS = (
    "The history of the town begins in the year 1204, when the first stone church was",
    "Yesterday evening my neighbour came to the door and asked me whether I could lend",
    "Water boils at a lower temperature in the mountains than at the sea, because the",
    "Three things are needed to make good bread at home: flour, a little salt, and",
    "The museum is open every day except Monday. Children under twelve need no ticket.",
    "She opened the old letter with care, read it twice, and then without a word she",
    "So the prince and the princess lived happily ever after by the sea.\n\nThe End",
    "The medicine that doctors call acetaminophen is known in Europe under the name of",
)


def jobs(tokens: int, most: int, cells: int) -> list[dict[str, Any]]:
    """What is searched: members, their weights, width, prompt, most tokens, cells."""

    def some(
        case: str, members: Sequence[str], width: int, count: int, **more: Any
    ) -> Iterator[dict[str, Any]]:
        weights = more.get("weights", [1.0] * len(members))
        for number in range(min(count, most)):
            yield {
                "case": f"{case}, width {width}",
                "members": list(members),
                "weights": weights,
                "width": width,
                "prompt": PROMPTS[-1 - number],
                "tokens": tokens,
                "cells": cells,
            }

    first, other = BOTH
    return [
        *some("both", BOTH, 1, len(PROMPTS)),
        *some("both", BOTH, 3, len(PROMPTS)),
        *some("both, weights 3 and 1", BOTH, 3, 3, weights=[3.0, 1.0]),
        *some(f"{first} with itself", (first, first), 3, 3),
        *some(f"{first} alone", (first,), 3, 3),
        *some(f"{other} alone", (other,), 3, 2),
    ]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """In what two lists of finished texts differ."""
    if ours["prompts"] != theirs["prompts"]:
        return ["the prompts' tokens"]
    pairs = list(zip(ours["finished"], theirs["finished"], strict=False))
    found = [
        f"{name} of text {number}"
        for number, (one, other) in enumerate(pairs)
        for name in ("text", "tokens")
        if one[name] != other[name]
    ]
    if len(ours["finished"]) != len(theirs["finished"]):
        found.append("how many finished")
    if not found and apart(ours, theirs) > TOLERANCE:
        found.append("log-probabilities")
    return found


def apart(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """The largest difference of a member's log-probability or a sum, nats."""
    pairs = zip(ours["finished"], theirs["finished"], strict=True)
    both = (([*a["logp"], a["total"]], [*b["logp"], b["total"]]) for a, b in pairs)
    found = (abs(a - b) for one, two in both for a, b in zip(one, two, strict=True))
    return max(found, default=0.0)


def best(found: Mapping[str, Any]) -> str | None:
    """The text that an answer would be; None: no text."""
    return found["finished"][0]["text"] if found["finished"] else None


def as_they_are(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Whether the best text is the same."""
    if not theirs["decided"]:
        return UNDECIDED
    return SAME_TEXT if best(ours) == best(theirs) else "another text"


def in_one_order(found: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of a model with itself, the two readings of each in an order of their own.

    What one member spells so and the other otherwise is as likely the other way round:
    which of the two a search finds first is a tie.
    """
    texts = []
    for one in found["finished"]:
        pairs = sorted(zip(one["tokens"], one["logp"], strict=True))
        tokens, logp = (list(column) for column in zip(*pairs, strict=True))
        texts.append({**one, "tokens": tokens, "logp": logp})
    return {**found, "finished": texts}


def verdict(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str] | str:
    """What a pair of even searches says: `SAME`, `UNDECIDED` or in what they differ."""
    if not theirs["decided"]:
        return UNDECIDED
    return differences(ours, theirs) or SAME


def compared(
    wanted: Sequence[Mapping[str, Any]], measured: Sequence[Measured]
) -> list[dict[str, Any]]:
    """Every job: what the first engine found beside what the published code found."""
    mine, theirs = measured[0], measured[-1]
    rows = []
    for number, job in enumerate(wanted):
        one = mine.answer["answers"][number]
        other = theirs.answer["answers"][number]
        pair = one["even"], other["even"]
        if len(set(job["members"])) == 1:
            pair = in_one_order(pair[0]), in_one_order(pair[1])
        even = verdict(*pair)
        rows.append(
            {
                **job,
                "even": even,
                "nats apart": apart(*pair) if even == SAME else None,
                "as it is": as_they_are(one["as it is"], other["as it is"]),
                "ours": one,
                "theirs": other,
                "seconds": {
                    f"{method.method.label}, {mode}": found["seconds"]
                    for method in measured
                    for mode, found in method.answer["answers"][number].items()
                },
            }
        )
    return rows


def speed(
    rows: Sequence[Mapping[str, Any]], label: str, mode: str, theirs: str
) -> Ratio | None:
    """How many times as fast, of the searches that the published code ended."""
    ended = [row["seconds"] for row in rows if row[mode] != UNDECIDED]
    if not ended:
        return None
    return ratio(
        [seconds[f"{label}, {mode}"] for seconds in ended],
        [seconds[f"{theirs}, {mode}"] for seconds in ended],
    )


def summed(
    rows: Sequence[Mapping[str, Any]], measured: Sequence[Measured]
) -> list[dict[str, Any]]:
    """Every case: how many searches found the same, and how fast."""
    *mine, theirs = [one.method.label for one in measured]
    speeds = [(label, mode) for label in mine for mode in ("even", "as it is")]
    speeds = [one for one in speeds if ", ".join(one) in rows[0]["seconds"]]
    told = []
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        same = [row["nats apart"] for row in own if row["even"] == SAME]
        times = {", ".join(one): speed(own, *one, theirs) for one in speeds}
        told.append(
            {
                "case": case,
                "jobs": len(own),
                "even: the same": len(same),
                "even: not decided": sum(row["even"] == UNDECIDED for row in own),
                "nats apart": max(same, default=None),
                "as it is: the same best text": sum(
                    row["as it is"] == SAME_TEXT for row in own
                ),
                "as it is: not decided": sum(
                    row["as it is"] == UNDECIDED for row in own
                ),
                "times as fast": {
                    name: None if one is None else asdict(one)
                    for name, one in times.items()
                },
            }
        )
    return told


def show(told: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of cases, and what differs."""
    *head, fast = told[0]
    lines = [
        [
            *("–" if one[name] is None else f"{one[name]:.3g}" for name in head[1:]),
            *("–" if r is None else str(Ratio(**r)) for r in one[fast].values()),
        ]
        for one in told
    ]
    cases = [[one["case"], *line] for one, line in zip(told, lines, strict=True)]
    print("\n" + table([*head, *told[0][fast]], cases))
    for row in rows:
        if isinstance(row["even"], list):
            print(f"differs: {row['case']}, {row['prompt']!r}: {row['even']}")
    print("speeds are times as fast as the published code, which keeps no cache,")
    print("of searches that it ended")


def main() -> None:
    """Read the options, run, compare, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--checkout", help="the published code, mjpost/abe")
    parser.add_argument("--engines", nargs="+", default=["transformers"])
    parser.add_argument("--tokens", type=int, default=8, help="at most, of a text")
    parser.add_argument(
        "--prompts", type=int, default=len(PROMPTS), help="of each case"
    )
    parser.add_argument("--quick", action="store_true", help="one prompt of each case")
    parser.add_argument(
        "--cells", type=int, default=CELLS, help="the published code may look at"
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.checkout:
        parser.error("--checkout says where the published code is")
    from nescio.models.catalogue import installed_directory

    most = 1 if arguments.quick else arguments.prompts
    wanted = jobs(arguments.tokens, most, arguments.cells)
    with tempfile.TemporaryDirectory() as folder:
        task: dict[str, Any] = {"jobs": wanted, "words": f"{folder}/words.json"}
        methods = [
            Method(engine, "ours", task | {"engine": engine, "even": not place})
            for place, engine in enumerate(arguments.engines)
        ]
        task["directories"] = {name: str(installed_directory(name)) for name in BOTH}
        task["checkout"] = arguments.checkout
        methods.append(Method("published", "published", task))
        measured, left_out = side_by_side(
            __file__, methods, rounds=len(wanted), threads=arguments.threads
        )
    if left_out:
        sys.exit(f"not measured: {left_out}")
    rows = compared(wanted, measured)
    told = summed(rows, measured)
    show(told, rows)
    path = write_result(
        "abe",
        {"cases": told, "jobs": rows},
        published=measured[-1].facts,
        tolerance=TOLERANCE,
        tokens=arguments.tokens,
        cells=arguments.cells,
        threads=arguments.threads,
    )
    path = path.rename(path.with_name("abe_peer.json"))
    print(f"\n{path}")
    if not any(row["even"] == SAME for row in rows):
        sys.exit("no even search found the same: nothing was compared")
    if any(isinstance(row["even"], list) for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        serve(sys.argv[2], prepare)
    else:
        main()
