"""The facts that measures eat and give: predictions, outcomes and estimates."""

from nescio.outcome.estimate import Estimate, EstimateKind, Recipe
from nescio.outcome.outcomes import Outcomes
from nescio.outcome.predictions import Predictions
from nescio.outcome.reading import read_outcomes
from nescio.outcome.storage import (
    load_outcomes,
    read_predictions,
    write_outcomes,
    write_predictions,
)

__all__ = [
    "Estimate",
    "EstimateKind",
    "Outcomes",
    "Predictions",
    "Recipe",
    "load_outcomes",
    "read_outcomes",
    "read_predictions",
    "write_outcomes",
    "write_predictions",
]
