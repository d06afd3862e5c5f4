"""The chain rule of a view as bytes: what a byte leaves is what it was given."""

from __future__ import annotations

import numpy as np
import pytest

from nescio.ensemble.byte_context import ByteContext

__all__ = ["check_chain"]


def check_chain(before: ByteContext, byte: int, after: ByteContext) -> bool:
    """No mass of a text appears or vanishes with a byte.

    Returns:
        Whether it was followed to the last share: nothing that waited was asked, nor
        anything given up, so that what is kept and was just set aside is what the byte
        was given.
    """
    given = float(before.log_masses[byte])
    whole = np.logaddexp(after.log_kept, after.log_lost)
    assert whole <= np.logaddexp(given, before.log_lost) + 1e-9
    assert whole >= given - 1e-9
    waits = {id(one.wanted) for one in after.waiting}
    asked = any(id(one.wanted) not in waits for one in before.waiting)
    if asked or after.log_followed_gone != before.log_followed_gone:
        return False
    assert after.prompt is not None
    fresh = [one.log_weight for one in after.waiting if one.age == 0]
    kept = np.logaddexp.reduce([*fresh, after.log_kept + after.prompt.log_weight])
    assert kept - after.prompt.log_weight == pytest.approx(given, abs=1e-9)
    return True
