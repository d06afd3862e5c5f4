"""Entropies of spectra: how many different things a matrix of similarities holds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput

__all__ = ["effective_number", "entropy_terms"]

_NEGATIVE = -1e-6  # of an eigenvalue over n; above it rounding is to blame


def effective_number(
    matrices: Float[np.ndarray, "sets items items"],
    counts: Float[np.ndarray, "sets items"],
) -> Float[np.ndarray, " sets"]:
    """exp of the entropy of the eigenvalues of W/n: how many items differ in effect.

    Args:
        matrices: W, similarities with a diagonal of 1, positive semi-definite.
        counts: how often each item stands in its set; 0 for none.

    Returns:
        In [1, n], n the sum of the counts.

    Raises:
        InvalidInput: a matrix that is no kernel.

    Example:
        >>> float(effective_number(np.eye(2)[None], np.array([[1.0, 1.0]]))[0].round(9))
        2.0

    Source: Friedman & Dieng (2023), The Vendi Score, definition 3.1.
    """
    size = counts.sum(axis=-1)
    scale = np.sqrt(counts / size[..., None])
    values = np.linalg.eigvalsh(matrices * scale[..., :, None] * scale[..., None, :])
    least = float(values.min())
    if least < _NEGATIVE:
        raise InvalidInput(
            f"similarities with the eigenvalue {least:.3g} n are no positive "
            "semi-definite kernel: use exact, jaccard or a cosine"
        )
    return np.clip(np.exp(entropy_terms(values).sum(axis=-1)), 1.0, size)


def entropy_terms(values: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """-x log x, and 0 where rounding left x below 0."""
    logs = np.log(values, out=np.zeros_like(values), where=values > 0.0)
    return -np.maximum(values, 0.0) * logs
