"""Which option of a multiple choice is right, as far as lm-eval stored it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

from nescio.errors import SchemaError
from nescio.imports.imported import Normalise

__all__ = ["Option", "choice_of", "conditional"]

_VERDICT: Mapping[Normalise, str] = {"none": "acc", "bytes": "acc_bytes"}


@dataclass(frozen=True)
class Option:
    """One option: what stood before it, its text, and what the model made of it."""

    context: str
    text: str
    logp: float
    greedy: bool | None

    @property
    def plain(self) -> str:
        """The option without the white space that the harness puts before it."""
        return self.text.lstrip()

    def score(self, normalise: Normalise) -> float:
        """Its log-likelihood, or that divided by the bytes of the plain option.

        Raises:
            SchemaError: an option without bytes.
        """
        if normalise == "none":
            return self.logp
        length = len(self.plain.encode())
        if not length:
            raise SchemaError("an option is empty: it has no log-likelihood per byte")
        return self.logp / length


def conditional(options: Sequence[Option]) -> Sequence[Option]:
    """The options given their question.

    For ``acc_mutual_info`` the harness scores every option a second time, alone.
    """
    half = len(options) // 2
    first, second = options[:half], options[half:]
    alone = all(not option.context for option in second)
    same = [o.plain for o in first] == [o.plain for o in second]
    paired = half > 0 and len(options) == 2 * half and alone and same
    return first if paired and any(o.context for o in first) else options


def choice_of(
    options: Sequence[Option], fields: Mapping[str, Any], normalise: Normalise
) -> tuple[tuple[int, ...], bool]:
    """The right options, empty where only the verdict is stored, and the verdict.

    The best option is the one of the highest score, the first of several, as the
    harness has it. What the harness says of it (``acc``, or ``acc_bytes``) and the
    target have to agree.

    Raises:
        SchemaError: neither is there, they contradict each other, or the target may
            mean two options; no option is possible.
    """
    scores = [option.score(normalise) for option in options]
    best = scores.index(max(scores))
    if scores[best] == -math.inf:
        raise SchemaError("every option has log-likelihood -inf: none can be chosen")
    stated = _stated(fields.get(_VERDICT[normalise]))
    readings = _readings(fields.get("target"), options)
    fitting = [r for r in readings if stated is None or (best in r) == stated]
    if readings and not fitting:
        raise SchemaError(
            f"{_VERDICT[normalise]} is {stated}, but the best option is number {best} "
            f"and the target is {short(fields.get('target'))}"
        )
    if len(fitting) > 1:
        raise SchemaError(
            f"the target {short(fields.get('target'))} is the number of one option and "
            "the text of another"
        )
    if fitting:
        return fitting[0], best in fitting[0]
    if stated is None:
        raise SchemaError(
            f"which option is right is not stored: the target is "
            f"{short(fields.get('target'))}, and there is no {_VERDICT[normalise]}"
        )
    return (), stated


def _stated(value: Any) -> bool | None:
    """A verdict of the harness, or None where there is none."""
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    return None


def _readings(target: Any, options: Sequence[Option]) -> list[tuple[int, ...]]:
    """What a target can mean, which the harness stored as text: numbers or a text.

    Nothing, where the options are contexts: the target is then what follows them all.
    """
    if not isinstance(target, str) or len({o.context for o in options}) > 1:
        return []
    found = [_numbers(target, len(options))]
    by_text = [i for i, option in enumerate(options) if option.plain == target.lstrip()]
    found.append(tuple(by_text) if len(by_text) == 1 else ())
    return [one for one in dict.fromkeys(found) if one]


def _numbers(target: str, options: int) -> tuple[int, ...]:
    """One number or several in brackets, counting options from 0; else none."""
    try:
        value = json.loads(target)
    except (RecursionError, ValueError):
        return ()
    numbers = value if isinstance(value, list) else [value]
    if all(type(n) is int and 0 <= n < options for n in numbers):
        return tuple(sorted(set(numbers)))
    return ()
