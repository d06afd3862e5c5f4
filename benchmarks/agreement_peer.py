"""Agreement-based beam search beside its published code: the same texts, and how fast.

    git clone https://github.com/mjpost/abe CHECKOUT
    python benchmarks/agreement_peer.py --checkout CHECKOUT

The published code needs torch and transformers, which nescio has: both run the same
networks. It runs as it is and *even*: with the bytes and the ends that nescio reads
from each vocabulary, and not stopped before it has its finished texts; nescio's then
gives none up either (`published_abe.py` says how). Even, both have to find the same
list, token by token; what differs only as it is comes from what was made even. Prints
both, writes results/abe_peer.json; ends with 1 where the even searches differ.
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
    ratio,
    serve,
    side_by_side,
    table,
    write_result,
)

TOLERANCE = 5e-3  # nats, of float32 sums over the tokens of a text
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


def jobs(tokens: int, most: int) -> list[dict[str, Any]]:
    """What is searched: members, their weights, width, prompt, most tokens."""

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


def compared(
    wanted: Sequence[Mapping[str, Any]], measured: Sequence[Measured]
) -> list[dict[str, Any]]:
    """Every job: what the first engine found beside what the published code found."""
    mine, theirs = measured[0], measured[-1]
    rows = []
    for number, job in enumerate(wanted):
        one = mine.answer["answers"][number]
        other = theirs.answer["answers"][number]
        unlike = differences(one["even"], other["even"])
        same = best(one["as it is"]) == best(other["as it is"])
        rows.append(
            {
                **job,
                "even": unlike or "the same",
                "nats apart": None if unlike else apart(one["even"], other["even"]),
                "as it is": "the same text" if same else "another text",
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


def show(rows: Sequence[Mapping[str, Any]], measured: Sequence[Measured]) -> list[Any]:
    """Print the table of cases; what it says, for the result."""
    *mine, theirs = [one.method.label for one in measured]
    speeds = [(label, mode) for label in mine for mode in ("even", "as it is")]
    speeds = [one for one in speeds if ", ".join(one) in rows[0]["seconds"]]
    head = ["case", "jobs", "even: the same", "nats apart", "as it is: best the same"]
    lines, told = [], []
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        same = [row for row in own if row["even"] == "the same"]
        texts = sum(row["as it is"] == "the same text" for row in own)
        most = max((row["nats apart"] for row in same), default=float("nan"))
        times = {
            f"{label}, {mode}": ratio(
                [row["seconds"][f"{label}, {mode}"] for row in own],
                [row["seconds"][f"{theirs}, {mode}"] for row in own],
            )
            for label, mode in speeds
        }
        numbers = [str(len(own)), str(len(same)), f"{most:.1g}", str(texts)]
        lines.append([case, *numbers, *map(str, times.values())])
        told.append(
            {"case": case, "jobs": len(own), "even: the same": len(same)}
            | {"as it is: the same best text": texts}
            | {"times as fast": {name: asdict(one) for name, one in times.items()}}
        )
    print("\n" + table([*head, *map(": ".join, speeds)], lines))
    for row in rows:
        if row["even"] != "the same":
            print(f"differs: {row['case']}, {row['prompt']!r}: {row['even']}")
    print("speeds are times as fast as the published code, which keeps no cache")
    return told


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
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.checkout:
        parser.error("--checkout says where the published code is")
    from nescio.models.catalogue import installed_directory

    wanted = jobs(arguments.tokens, 1 if arguments.quick else arguments.prompts)
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
    told = show(rows, measured)
    path = write_result(
        "abe",
        {"cases": told, "jobs": rows},
        published=measured[-1].facts,
        tolerance=TOLERANCE,
        tokens=arguments.tokens,
        threads=arguments.threads,
    )
    path = path.rename(path.with_name("abe_peer.json"))
    print(f"\n{path}")
    if any(row["even"] != "the same" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        serve(sys.argv[2], prepare)
    else:
        main()
