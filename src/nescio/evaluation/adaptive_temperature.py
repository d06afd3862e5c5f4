"""Adaptive temperature: a temperature for every row, read off its hidden state.

Logits are multiplied by the exponential of what a head says, at most ``most``. Rows
whose most probable answer is right are trained by cross-entropy, wrong ones by the
cross-entropy to the uniform distribution, in one of two weightings that are both about:
see `nescio.training.temperature_losses`. **Neither is a proper loss**: of a calibrated
source the plain one makes an underconfident one, and the published one an overconfident
one where right answers are rare and a very underconfident one where they are frequent.
"""

from __future__ import annotations

from collections.abc import Sequence

from nescio.errors import InvalidInput
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_temperature import LearnedTemperature, Learning

__all__ = ["fit"]

_WEIGHTINGS = ("published", "plain")


def fit(
    tasks: Sequence[AnswerStates],
    *,
    weighting: str = "published",
    alpha: float | int = 0.5,
    most: float | int = 10.0,
    learning: Learning | None = None,
) -> LearnedTemperature:
    """Train on the rows of some tasks, all together.

    Args:
        tasks: of one model, each by its own name.
        weighting: ``"published"`` (the rarer of right and wrong rows dominates) or
            ``"plain"`` (every row counts alike).
        alpha: the weight of wrong rows, 0 to 1.
        most: what β is clipped at, above 0.
        learning: the head, steps, batch and the like; None: a head of one layer.

    Raises:
        InvalidInput: no tasks, tasks of several models, an unknown weighting, an alpha
            outside [0, 1]; tasks without texts for a head that reads them.
        MissingDependency: torch is not installed.

    Example:
        >>> fit([], weighting="even")
        Traceback (most recent call last):
        ...
        nescio.errors.InvalidInput: weighting 'even': one of ('published', 'plain')

    Source: Xie et al. (2024).
    """
    if weighting not in _WEIGHTINGS:
        raise InvalidInput(f"weighting {weighting!r:.60}: one of {_WEIGHTINGS}")
    if not 0.0 <= alpha <= 1.0 or not 0.0 < most < float("inf"):
        raise InvalidInput(
            f"alpha is {alpha} (0 to 1), most is {most} (a finite number above 0)"
        )
    from nescio.evaluation.learned_fitting import fit_adaptive

    settings = {"weighting": weighting, "alpha": float(alpha), "most": float(most)}
    return fit_adaptive(tasks, learning or Learning(head="linear"), settings)
