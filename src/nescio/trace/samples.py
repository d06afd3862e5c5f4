"""Samples: several answers to one prompt, with where each comes from."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput, NescioError, SchemaError
from nescio.trace.encoding import from_dict as trace_from_dict
from nescio.trace.encoding import to_dict as trace_to_dict
from nescio.trace.prompt import Prompt
from nescio.trace.trace import Stop, Trace
from nescio.visible import visible

__all__ = ["Sample", "Samples"]


@dataclass(frozen=True)
class Sample:
    """One answer.

    Args:
        text: the answer.
        model, variant, draw: its origin: which model, which wording of the prompt,
            which draw (counted from 0).
        trace: the full trace, or None for bare text.
        log_weight: for beams and particles, else 0.
        total_logp: log-probability of the whole answer in nats, or None.
        token_count: of the answer, or None.

    Raises:
        InvalidInput: a NaN weight, or a positive or NaN log-probability.
    """

    text: str
    model: str = ""
    variant: str = ""
    draw: int = 0
    trace: Trace | None = None
    log_weight: float = 0.0
    total_logp: float | None = None
    token_count: int | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.log_weight) or self.log_weight == math.inf:
            raise InvalidInput(f"draw {self.draw}: log_weight is {self.log_weight}")
        if self.total_logp is not None and not self.total_logp <= 1e-4:
            raise InvalidInput(
                f"draw {self.draw}: total_logp is {self.total_logp}, not a "
                "log-probability (it is at most 0)"
            )

    @property
    def stop(self) -> Stop | None:
        """Why the answer ended, where the trace says so."""
        return None if self.trace is None else self.trace.stop


@dataclass(frozen=True)
class Samples:
    """Several answers to one prompt. Frozen.

    Raises:
        InvalidInput: no answers.

    Example:
        >>> samples = Samples.of("7 + 5 =", ["12", "12", "13"])
        >>> len(samples), samples.texts[2]
        (3, '13')
    """

    prompt: Prompt
    answers: tuple[Sample, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if not self.answers:
            raise InvalidInput("no samples: at least one answer is needed")

    @staticmethod
    def of(prompt: Prompt | str, texts: Sequence[str], *, model: str = "") -> Samples:
        """Samples from bare texts, drawn in the order given."""
        if isinstance(texts, str):
            raise InvalidInput("texts is one text; give a list of answers")
        answers = (Sample(text, model, draw=i) for i, text in enumerate(texts))
        return Samples(Prompt.of(prompt), tuple(answers))

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers' texts."""
        return tuple(sample.text for sample in self.answers)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "prompt": self.prompt.to_dict(),
            "answers": [_sample_to_dict(sample) for sample in self.answers],
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Samples:
        """The samples that `to_dict` wrote.

        Raises:
            SchemaError: a field is missing.
        """
        try:
            answers = tuple(_sample_from_dict(f) for f in fields["answers"])
            return Samples(Prompt.from_dict(fields["prompt"]), answers)
        except (
            AttributeError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            if isinstance(error, NescioError):
                raise
            raise SchemaError(f"not samples written by nescio: {error!r}") from error

    def write(self, path: str | Path) -> None:
        """Append these samples as one line of a JSON lines file."""
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.to_dict()) + "\n")

    @staticmethod
    def read(path: str | Path) -> tuple[Samples, ...]:
        """All samples of a JSON lines file.

        Raises:
            SchemaError: a line that is not samples; names it.
            InvalidInput: there is no such file.
        """
        found = []
        if not Path(path).is_file():
            raise InvalidInput(f"{path}: there is no such file")
        try:
            lines = Path(path).read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise SchemaError(f"{Path(path).name}: not UTF-8: {error}") from error
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise SchemaError(f"samples are an object, not {record!r:.40}")
                found.append(Samples.from_dict(record))
            except (RecursionError, ValueError) as error:
                name = Path(path).name
                raise SchemaError(f"{name} line {number}: {error}") from error
        return tuple(found)

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li style='white-space:pre-wrap'>{html.escape(visible(text))}</li>"
            for text in self.texts
        )
        return f"<p>{len(self)} samples</p><ol start='0'>{items}</ol>"


def _sample_to_dict(sample: Sample) -> dict[str, Any]:
    trace = None if sample.trace is None else trace_to_dict(sample.trace)
    return {
        **{name: getattr(sample, name) for name in ("text", "model", "variant")},
        "draw": sample.draw,
        "trace": trace,
        "log_weight": _finite(sample.log_weight),
        "total_logp": _finite(sample.total_logp),
        "token_count": sample.token_count,
    }


def _sample_from_dict(fields: Mapping[str, Any]) -> Sample:
    trace = fields["trace"]
    logp = fields["total_logp"]
    return Sample(
        fields["text"],
        fields["model"],
        fields["variant"],
        fields["draw"],
        None if trace is None else trace_from_dict(trace),
        float(fields["log_weight"]),
        None if logp is None else float(logp),
        fields["token_count"],
    )


def _finite(number: float | None) -> float | str | None:
    return "-Infinity" if number == -math.inf else number
