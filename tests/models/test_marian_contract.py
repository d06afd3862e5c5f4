"""What every engine promises, checked on a translation model."""

from __future__ import annotations

import numpy as np
import pytest

from nescio.models.marian import MarianModel, read_translator
from tests.models.test_contract import (  # noqa: F401
    test_a_batch_equals_its_members_alone_so_padding_is_masked,
    test_a_context_of_another_engine_is_refused,
    test_a_forked_context_equals_a_fresh_one_and_leaves_its_parent,
    test_a_parent_stepped_in_place_is_still_what_it_was,
    test_a_rewind_beyond_what_was_read_is_refused,
    test_a_rewound_context_equals_a_fresh_one,
    test_capabilities_are_what_the_protocols_say,
    test_every_row_of_every_sequence_comes_once_and_is_a_distribution,
    test_leaving_and_joining_a_batch_changes_nothing,
    test_ragged_contexts_stepped_together_equal_each_alone,
    test_runs_of_unequal_length_into_contexts_of_unequal_length,
    test_scoring_equals_stepping,
    test_skipped_positions_are_not_computed,
    test_what_cannot_be_cut_into_blocks_is_refused,
)
from tests.models.tiny_marian import write_translator

TEXTS = [b"ab cab. cab fi bca. abca ab", b"a fi.", "cé cé abca ab. bca".encode()]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MarianModel:
    """A tiny translator's translations of one source."""
    folder = write_translator(tmp_path_factory.mktemp("tiny"))
    return read_translator(folder).translate_from("ab cab fi")


@pytest.fixture
def tolerance() -> float:
    """How far two float32 computations of one number may lie apart."""
    return 2e-5


@pytest.fixture
def sequences(model: MarianModel) -> list[np.ndarray]:
    """Texts of unequal length as token ids behind the start."""
    return [np.array([*model.start, *model.encode(text)]) for text in TEXTS]
