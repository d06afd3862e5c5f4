"""Drift: what happens to a model's entropy as it goes on writing.

How unsure a model is along a text (`rate`), whether it is as unsure of its own text as
it is surprised by people's (`entropy_gap`, `protocol`), a one-parameter correction that
looks one token ahead (`lookahead`), and how much of what was written long ago still
tells it something (`memory`). Closed forms for enumerable tables stand in `exact`. Two
alarms watch a text as it is written: `alarm` for degradation, `martingale` for text
that is not what the model says it would write.
"""

from nescio.drift import alarm, martingale

__all__ = ["alarm", "martingale"]
