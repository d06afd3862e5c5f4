"""The facts that measures eat and give: predictions, outcomes and estimates."""

from nescio.outcome.estimate import Estimate, EstimateKind, Recipe
from nescio.outcome.outcomes import Outcomes
from nescio.outcome.predictions import Predictions
from nescio.outcome.reading import read_outcomes

__all__ = [
    "Estimate",
    "EstimateKind",
    "Outcomes",
    "Predictions",
    "Recipe",
    "read_outcomes",
]
