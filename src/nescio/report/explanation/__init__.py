"""A measure explained: its formula, the same with the numbers in it, step by step.

Computing is `nescio.information`'s; here are the words.
"""

from __future__ import annotations

from nescio.report.explanation.distributions import (
    explain_cross_entropy,
    explain_entropy,
    explain_kl,
)
from nescio.report.explanation.likelihood import explain_likelihood, explain_perplexity
from nescio.report.explanation.words import Explanation, explanation_text

__all__ = [
    "Explanation",
    "explain_cross_entropy",
    "explain_entropy",
    "explain_kl",
    "explain_likelihood",
    "explain_perplexity",
    "explanation_text",
]
