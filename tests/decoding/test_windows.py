"""How windows are put together into batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nescio.decoding.windows import Job, batches


def work(lengths: list[int]) -> list[Job]:
    return [
        Job(text, np.zeros(length, dtype=np.int32), 0, 0, 0)
        for text, length in enumerate(lengths)
    ]


def test_by_hand():
    found = [
        [job.text for job in b] for b in batches(work([10, 95, 100, 9]), budget=999)
    ]
    assert found == [[2, 1], [0, 3]]


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 5000))
def test_every_job_runs_once_within_the_budget_and_with_little_padding(lengths, budget):
    found = list(batches(work(lengths), budget=budget))
    assert sorted(job.text for b in found for job in b) == list(range(len(lengths)))
    for batch in found:
        sizes = [len(job.ids) for job in batch]
        padded = max(sizes) * len(sizes)
        assert len(batch) == 1 or padded <= min(budget, 1.1 * sum(sizes))
