"""THERMOMETER: one temperature for a task nobody has labelled, learned on others.

A head on the hidden state where the answer begins says 1/T of every question; over the
questions of a task its mean is taken. It is trained on tasks with known answers, a
random one a step, by the log loss at that one temperature and a Gamma prior on T. On a
new task it needs questions, and no answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_temperature import LearnedTemperature, Learning

__all__ = ["fit"]


def fit(
    tasks: Sequence[AnswerStates],
    *,
    learning: Learning | None = None,
    prior_weight: float | int = 0.01,
    prior_shape: float | int = 1.25,
    prior_scale: float | int = 4.0,
) -> LearnedTemperature:
    """Train on some tasks.

    Args:
        tasks: of one model, each by its own name; published with dozens.
        learning: steps, batch and the like.
        prior_weight: of -log Gamma(T; shape, scale) beside the log loss.
        prior_shape, prior_scale: of T; those given have their mode at 1.

    Raises:
        InvalidInput: no tasks, tasks of several models, no layer between.
        MissingDependency: torch is not installed.

    Example:
        >>> import numpy as np
        >>> from nescio.outcome import Predictions
        >>> from nescio.trace import Origin
        >>> origin = Origin("made", "digest", "digest", "none", "f32").to_dict()
        >>> rows = Predictions.of([[4.0, 0.0]] * 40, [0, 0, 0, 1] * 10, "logit")
        >>> states = np.ones((40, 2), dtype=np.float32)
        >>> names = tuple(str(number) for number in range(40))
        >>> task = AnswerStates("made", rows, states, origin, ids=names)
        >>> quick = Learning(hidden=4, steps=300, learning_rate=0.02, validation=0)
        >>> fitted = fit([task], learning=quick)
        >>> round(fitted.temperature(task).value)    # 4 / log 3 is 3.64
        4

    Source: Shen et al. (2024).
    """
    from nescio.evaluation.learned_fitting import fit_thermometer
    from nescio.training.temperature_losses import GammaPrior

    prior = GammaPrior(prior_weight, prior_shape, prior_scale)
    return fit_thermometer(tasks, learning or Learning(), prior)
