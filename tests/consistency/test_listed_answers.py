"""What an ensemble lists is evidence for the answer of least risk."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nescio.consistency.minimum_bayes_risk import minimum_bayes_risk
from nescio.ensemble.agreed import Agreement
from nescio.ensemble.agreement import agreement_beam
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.listed import agreed_samples, byte_beam, particle_samples
from nescio.ensemble.particles import Swarm, draw_particles
from nescio.errors import InvalidInput
from nescio.models.table import read_table
from tests.ensemble.tables import ended, prefix, random_table


def test_a_wide_byte_beam_lists_every_text_with_its_probability() -> None:
    table = random_table(4)
    tokens = map(table.vocabulary.token, range(table.vocabulary.size))
    letters = sorted(set(b"".join(tokens)))
    listed = byte_beam(ByteView(table), "", width=400, max_bytes=3)
    found = {}
    for answer in listed.answers:
        trace = answer.trace
        assert trace is not None
        assert trace.token_ids is not None
        spelled = bytes(symbol for symbol in trace.token_ids.tolist() if symbol < 256)
        found[spelled, trace.stop] = answer.log_weight
    for length in range(4):
        for text in itertools.product(letters, repeat=length):
            spelled = bytes(text)
            stop = "length" if length == 3 else "eos"
            p = prefix(table, spelled) if length == 3 else ended(table, spelled)
            if p == 0.0:
                assert (spelled, stop) not in found
            else:
                assert found[spelled, stop] == pytest.approx(np.log(p), abs=1e-9)
    assert [a.log_weight for a in listed.answers] == sorted(
        found.values(), reverse=True
    )


def test_a_beam_of_an_ensemble_ranks_by_what_the_ensemble_says() -> None:
    both = Ensemble((random_table(4), random_table(5)), rule="product")
    listed = byte_beam(both, "", width=3, max_bytes=3)
    for answer in listed.answers:
        assert answer.trace is not None
        symbols = answer.trace.token_ids
        assert symbols is not None
        (context,), _ = both.extend([both.open()], [np.array([START])])
        total = 0.0
        for symbol in symbols.tolist():
            total += float(context.joined[symbol])
            (context,), _ = both.extend([context], [np.array([symbol])])
        assert answer.log_weight == pytest.approx(total)


def test_lists_are_evidence_for_the_answer_of_least_risk() -> None:
    topics = read_table("topics")
    pair = Ensemble((topics, topics), rule="product")
    text = topics.vocabulary.spell([0, 1]).decode()
    beams = byte_beam(pair, text, width=4, max_bytes=4)
    plan = Agreement(6, max_tokens=3, early=False)
    agreed = agreement_beam([topics, topics], text, plan=plan)
    drawn = draw_particles(pair, text, swarm=Swarm(8, 2, 4), chat=False)
    for listed in (
        beams,
        agreed_samples(text, agreed),
        particle_samples(text, drawn),
    ):
        shares = np.exp([answer.log_weight for answer in listed.answers])
        best = minimum_bayes_risk(listed, loss="edit", evidence="log_weight")
        assert best.text in listed.texts
        assert len(set(listed.texts)) == len(listed.texts)
        assert 0.0 < shares.sum() <= 1.0 + 1e-9
        assert list(shares) == sorted(shares, reverse=True)
    with pytest.raises(InvalidInput, match="nothing to list"):
        agreed_samples(text, ())
