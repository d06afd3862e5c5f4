"""Look-ahead recalibration: one parameter that weighs how unsure a token leaves one.

Q_a(w | before) ∝ Q(w | before) exp(-a H(Q(. | before, w))): with a > 0 tokens after
which the model would be unsure become less probable, with a < 0 more. The parameter is
the one of least cross-entropy on people's text; in it the cross-entropy is convex.

At the optimum the look-ahead of what people write equals, on average, that of what Q_a
would write in the same places; the entropies are those of the *original* Q, the places
people's. The cross-entropy is never worse on the text of the fit. That does not make
the entropy rate of Q_a's own text equal its cross-entropy: report the entropy gap
before and after (`entropy_gap_change`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from nescio.drift.curves import Limits, Named, resampled_number
from nescio.drift.lookahead_problem import Problem, searched, standard_error
from nescio.drift.lookahead_rows import LookAheadRows
from nescio.drift.storing import read_json, write_json
from nescio.errors import InvalidInput, SchemaError
from nescio.outcome import Estimate, Recipe
from nescio.outcome.fields import object_of
from nescio.uncertainty import MINIMUM_UNITS

__all__ = [
    "LookAhead",
    "cross_entropy_change",
    "fit_look_ahead",
    "read_look_ahead",
    "write_look_ahead",
]

_SOURCE = "Braverman et al. (2020), section 4, calibrating with one step of look-ahead"
_SANDWICH = "White (1982), Maximum Likelihood Estimation of Misspecified Models"
_SCHEMA = 1


@dataclass(frozen=True)
class LookAhead:
    """A fitted look-ahead.

    Args:
        a: the parameter, 1/nats; 0 leaves the model as it is.
        standard_error: of a, robust to a model that is not true, by document; None
            for fewer than 5 documents.
        candidates: how many tokens are looked at; None: all.
        n, documents: predictions and documents of the fit.
        cross_entropy_before, cross_entropy_after: of the text of the fit, nats/token.
        condition: what is left of the first-order condition, nats.
        converged, iterations: of the search.
        settings: the model and how the text was read.
    """

    a: float
    standard_error: float | None
    candidates: int | None
    n: int
    documents: int
    cross_entropy_before: float
    cross_entropy_after: float
    condition: float
    converged: bool
    iterations: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def estimate(self, level: float = 0.95) -> Estimate:
        """The parameter with its interval, that of a normal distribution.

        Args:
            level: in (0, 1).

        Raises:
            InvalidInput: another level.
        """
        if not 0.0 < level < 1.0:
            raise InvalidInput(f"level {level} is not between 0 and 1, such as 0.95")
        settings = dict(self.settings) | {
            "candidates": self.candidates,
            "standard error": "sandwich, by document",
        }
        bare = Estimate(
            "look_ahead_parameter",
            self.a,
            "1/nats",
            self.n,
            "confidence",
            "documents like these",
            Recipe("fit_look_ahead", settings, (_SOURCE, _SANDWICH)),
            n_clusters=self.documents,
        )
        if self.standard_error is None:
            few = f"{self.documents} documents, at least {MINIMUM_UNITS} are needed"
            return replace(bare, population=f"{bare.population}; no interval: {few}")
        from scipy.special import stdtrit

        far = float(stdtrit(self.documents - 1, (1.0 + level) / 2.0))
        far *= self.standard_error
        return replace(bare, low=self.a - far, high=self.a + far, level=level)

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads, the same to the last bit."""
        return {"look_ahead": _SCHEMA, **asdict(self), "settings": dict(self.settings)}

    @staticmethod
    def from_dict(fields: Any) -> LookAhead:
        """The look-ahead that `to_dict` wrote.

        Raises:
            SchemaError: anything else; the message names the field.
        """
        given = dict(object_of(fields, ("look_ahead", *_FIELDS), "look-aheads"))
        version = given.pop("look_ahead")
        if isinstance(version, bool) or version != _SCHEMA:
            raise SchemaError(
                f"look_ahead is {short(version)}, not {_SCHEMA}; a larger one needs a "
                "newer nescio"
            )
        for name, fits in _FIELDS.items():
            if not fits(given[name]):
                raise SchemaError(f"{name} is {short(given[name])}: it cannot be")
        for name, cell in given.items():
            if isinstance(cell, int) and name in _NUMBERS:
                given[name] = float(cell)
        return LookAhead(**given)


def _is_number(cell: Any) -> bool:
    number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return number and math.isfinite(cell)


def _is_count(cell: Any) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool) and cell >= 0


_NUMBERS = (
    "a",
    "standard_error",
    "cross_entropy_before",
    "cross_entropy_after",
    "condition",
)
_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "a": _is_number,
    "standard_error": lambda cell: cell is None or (_is_number(cell) and cell >= 0),
    "candidates": lambda cell: cell is None or (_is_count(cell) and cell >= 2),
    "n": _is_count,
    "documents": _is_count,
    "cross_entropy_before": _is_number,
    "cross_entropy_after": _is_number,
    "condition": _is_number,
    "converged": lambda cell: isinstance(cell, bool),
    "iterations": _is_count,
    "settings": lambda cell: isinstance(cell, Mapping),
}


def fit_look_ahead(rows: LookAheadRows) -> LookAhead:
    """The look-ahead of least cross-entropy on these predictions.

    Newton steps on a convex function of one number, inside a bracket that holds its
    minimum; where a step leaves the bracket it is halved.

    Args:
        rows: of people's text, with the candidates that will be used.

    Raises:
        InvalidInput: no candidate's look-ahead differs from another's; what came has
            always the least (or the largest) look-ahead, so that no finite parameter
            is best.

    Example:
        >>> half, low = np.log([[0.5, 0.5]] * 5), np.log(2) * np.array([[0.0, 1.0]] * 5)
        >>> came = np.log(2) * np.array([0.0, 0.0, 0.0, 0.0, 1.0])      # A four times
        >>> none, place = np.full(5, -np.inf), np.arange(5)
        >>> rows = LookAheadRows(half, low, none, came, half[:, 0], came, place)
        >>> round(fit_look_ahead(rows).a, 9)                            # log2(.8 / .2)
        2.0

    Source: Braverman et al. (2020), section 4.
    """
    problem = Problem.of(rows)
    low, high = problem.bracket()
    a, steps, converged = searched(problem, low, high)
    before, after = problem.loss(0.0), problem.loss(a)
    if after > before:  # by rounding only: the function is convex
        a, after = 0.0, before
    candidates = rows.settings.get("candidates")
    return LookAhead(
        a,
        standard_error(problem, rows, a),
        None if candidates is None else int(candidates),
        len(rows),
        len(np.unique(rows.document)),
        before,
        after,
        problem.slope(a),
        converged,
        steps,
        dict(rows.settings),
    )


def cross_entropy_change(
    fitted: LookAhead, rows: LookAheadRows, *, limits: Limits | None = None
) -> dict[str, Estimate]:
    """What the look-ahead does to the cross-entropy of a text, with intervals.

    Args:
        fitted: the look-ahead.
        rows: of the text, read with as many candidates.
        limits: level, seed and resamples; documents are resampled, 5 at least.

    Returns:
        ``cross_entropy_before``, ``cross_entropy_after`` and ``cross_entropy_change``
        (after - before, below 0 is better), nats/token.

    Raises:
        InvalidInput: rows with other candidates or of another model.
    """
    _check_same(fitted, rows)
    problem = Problem.of(rows, needed=False)
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    losses = np.stack([problem.losses(0.0), problem.losses(fitted.a)], axis=1)
    columns = np.concatenate([weight[:, None] * losses, weight[:, None]], axis=1)
    names, owner = np.unique(rows.document, return_inverse=True)
    sums = np.stack([np.bincount(owner, c, len(names)) for c in columns.T], axis=1)
    statistics = {
        "cross_entropy_before": lambda m: m[:, 0] / m[:, 2],
        "cross_entropy_after": lambda m: m[:, 1] / m[:, 2],
        "cross_entropy_change": lambda m: (m[:, 1] - m[:, 0]) / m[:, 2],
    }
    settings = dict(rows.settings) | {"a": fitted.a}
    return {
        name: resampled_number(
            sums,
            statistic,
            named=Named(
                name,
                "nats/token",
                "documents like these",
                settings=settings,
                sources=(_SOURCE,),
            ),
            limits=limits or Limits(),
        )
        for name, statistic in statistics.items()
    }


def write_look_ahead(path: str | Path, fitted: LookAhead) -> None:
    """Write a fitted look-ahead as JSON; a file is replaced only when it is whole.

    Raises:
        InvalidInput: the file cannot be written.
    """
    write_json(Path(path), fitted.to_dict())


def read_look_ahead(path: str | Path) -> LookAhead:
    """The look-ahead that was written, the same to the last bit.

    Raises:
        InvalidInput: there is no such file.
        SchemaError: it is not what `write_look_ahead` wrote; names the field.
    """
    try:
        return LookAhead.from_dict(read_json(Path(path)))
    except SchemaError as error:
        raise SchemaError(f"{Path(path).name}: {error}") from error


def _check_same(fitted: LookAhead, rows: LookAheadRows) -> None:
    for name in ("candidates", "model_digest", "tokenizer_digest"):
        one, other = fitted.settings.get(name), rows.settings.get(name)
        if one != other:
            raise InvalidInput(
                f"the look-ahead was fitted with {name} {one!r:.40} and the rows have "
                f"{other!r:.40}: read the text as it was read for the fit"
            )
