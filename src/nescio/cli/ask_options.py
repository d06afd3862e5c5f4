"""The options of ``nescio ask``, and what they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.errors import InvalidInput

if TYPE_CHECKING:
    from nescio.consistency.adaptive_sampling import AdaptiveDraws
    from nescio.decoding import Draws
    from nescio.trace import Prompt

__all__ = [
    "Rows",
    "Way",
    "asked_draws",
    "asked_question",
    "asked_wordings",
    "check_similarities",
    "similarities",
    "split_judge",
]

_JUDGE, _EMBEDDING = "judge", "embedding"
_MOST_ASKED = 10_000


class Way(StrEnum):
    """How the answer is chosen."""

    majority = "majority"
    edit = "mbr:edit"
    ngram = "mbr:ngram"


Question = Annotated[
    str | None,
    typer.Argument(metavar="QUESTION", help="What is asked; - reads it."),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file", help="Ask every question of a .jsonl, .csv or .parquet file."
    ),
]
Field = Annotated[str, typer.Option(help="Of --file: the field of the question.")]
IdField = Annotated[
    str | None, typer.Option("--id", metavar="FIELD", help="Of --file: names a row.")
]
Gold = Annotated[
    list[str] | None,
    typer.Option(
        help="The right answer; may be repeated. With --file: the field that holds it."
    ),
]
N = Annotated[
    int | None,
    typer.Option(
        "-n", help="How often it is asked; default: 20, with --adaptive at most 40."
    ),
]
Adaptive = Annotated[
    bool,
    typer.Option("--adaptive", help="Stop as soon as one answer leads by enough."),
]
Lead = Annotated[
    float | None,
    typer.Option(
        metavar="CONFIDENCE",
        help="Of --adaptive: how sure the lead has to be; default: 0.95.",
    ),
]
Variant = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="TEXT",
        help="A wording with {question} in it; each of several is asked -n times.",
    ),
]
Prompts = Annotated[
    Path | None, typer.Option(help="A file of wordings, one a line; as --variant.")
]
Extract = Annotated[
    str | None,
    typer.Option(
        help="What of a reply is its answer: first-line, last-number, choice:ABCD, "
        "yes-no, regex:…; default: all of it."
    ),
]
Same = Annotated[
    str | None,
    typer.Option(
        help="When two answers are the same: normalised (default), exact, number, "
        "date, boolean, choice:letters=ABCD, or judge[:MODEL], which asks a model."
    ),
]
Similar = Annotated[
    list[str] | None,
    typer.Option(
        "--similarity",
        help="How samples are compared two by two: rouge_l (default), jaccard, edit, "
        "exact or embedding[:DIRECTORY]; may be repeated.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Join answers that are as similar as this, by the first."),
]
Calibrator = Annotated[
    Path | None,
    typer.Option(help="A calibrator of agreement: gives a probability of being right."),
]
Choose = Annotated[
    Way,
    typer.Option(
        help="The answer given: the most frequent, or that of least expected loss."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keep each answer there as it ends; the same command goes on from it.",
    ),
]
Level = Annotated[float, typer.Option(help="The coverage intervals aim at.")]
Seed = Annotated[int, typer.Option(help="Of all draws, and of resampling.")]
Resamples = Annotated[int, typer.Option(help="Of the intervals.")]
Html = Annotated[Path | None, typer.Option(help="Write one HTML page.")]
Measures = Annotated[
    bool, typer.Option("--measures", help="Print every measure of the samples, too.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No counts while samples come.")]


@dataclass(frozen=True)
class Rows:
    """The questions of a file, by the names of its fields; or the gold of one.

    Args:
        file: .jsonl, .csv or .parquet; None: one question was typed.
        field: of the question.
        id_field: of its name; None: ``id`` where every row has one, else its line.
        gold: the field of the right answer; of one question, the right answers.
    """

    file: Path | None
    field: str
    id_field: str | None
    gold: tuple[str, ...]


def asked_question(
    question: str | None, messages: Path | None, system: str | None
) -> Prompt:
    """What is asked: typed, from standard input, or messages of a file.

    Raises:
        InvalidInput: nothing, or two things at once.
    """
    import sys

    from nescio.cli.asking import asked_prompt
    from nescio.errors import InvalidText

    if question is not None and messages is not None:
        raise InvalidInput("give a QUESTION or --messages, not both")
    if messages is not None and system is not None:
        raise InvalidInput("--system goes with a QUESTION; put it into the messages")
    if question == "-":
        try:
            question = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidText(f"the question is not UTF-8: {error}") from error
    if question is not None and not question.strip():
        raise InvalidInput("the question is empty: there is nothing to ask")
    found = asked_prompt(question, messages, system)
    if found is None:
        raise InvalidInput("nothing to ask: give a QUESTION, --messages or --file")
    return found


def asked_draws(
    n: int | None, adaptive: bool, lead: float | None, seed: int
) -> Draws | AdaptiveDraws:
    """How many answers are drawn.

    Raises:
        InvalidInput: a lead without --adaptive; a number or a lead that is none.
    """
    from nescio.consistency.adaptive import AdaptiveRule
    from nescio.consistency.adaptive_sampling import AdaptiveDraws
    from nescio.decoding import Draws

    if n is not None and n > _MOST_ASKED:
        raise InvalidInput(f"-n is {n:,}: at most {_MOST_ASKED:,} times")
    if not adaptive:
        if lead is not None:
            raise InvalidInput("--lead goes with --adaptive")
        return Draws(20 if n is None else n, seed)
    most = 40 if n is None else n
    rule = AdaptiveRule(0.95 if lead is None else lead, most)
    return AdaptiveDraws(rule, seed=seed)


def asked_wordings(variants: list[str] | None, prompts: Path | None) -> list[str]:
    """The wordings: typed, and the lines of a file that are not blank.

    Raises:
        InvalidInput: no such file, nothing in it, or it is not UTF-8.
    """
    found = list(variants or ())
    if prompts is None:
        return found
    try:
        lines = prompts.read_text("utf-8").splitlines()
    except OSError as error:
        raise InvalidInput(f"{prompts}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{prompts} is not UTF-8: {error}") from error
    read = [line for line in lines if line.strip()]
    if not read:
        raise InvalidInput(f"{prompts} holds no wordings; one a line is needed")
    return found + read


def split_judge(same: str | None) -> tuple[str | None, str | None]:
    """An equivalence without a judge, and the judge: ``""`` is the model itself.

    Example:
        >>> split_judge("judge:smollm2"), split_judge("number"), split_judge("judge")
        ((None, 'smollm2'), ('number', None), (None, ''))
    """
    if same is None or same.partition(":")[0].strip() != _JUDGE:
        return same, None
    return None, same.partition(":")[2].strip()


def check_similarities(names: Sequence[str]) -> None:
    """Refuse an unknown similarity, or one twice, before anything is loaded.

    Raises:
        InvalidInput: naming those there are.

    Example:
        >>> check_similarities(["jaccard", "embedding"])
    """
    from nescio.consistency.similarity import SIMILARITIES

    for place, name in enumerate(names):
        if name.partition(":")[0] != _EMBEDDING and name not in SIMILARITIES:
            known = ", ".join([*SIMILARITIES, f"{_EMBEDDING}[:DIRECTORY]"])
            raise InvalidInput(f"unknown similarity {name!r:.60}: one of {known}")
        if name in names[:place]:
            raise InvalidInput(f"the similarity {name!r:.60} is named twice")


def similarities(names: Sequence[str]) -> tuple[Any, ...]:
    """Similarities by name; encoders are loaded, and fetched first if need be."""
    from nescio.cli.loading import fetching
    from nescio.evaluation.embedded import EmbeddedSimilarity
    from nescio.models.encoders import DEFAULT, encoder

    found: list[Any] = []
    for name in names:
        kind, _, which = name.partition(":")
        if kind != _EMBEDDING:
            found.append(name)
            continue
        with fetching() as report:
            found.append(EmbeddedSimilarity(encoder(which or DEFAULT, report=report)))
    return tuple(found)
