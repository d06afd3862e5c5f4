"""A plain ``model.generate`` joined by other models, on tiny random networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nescio.ensemble.hugging_face import JoinedGeneration
from nescio.errors import InvalidInput
from nescio.models.transformers import TransformersModel
from tests.models.tiny import VOCABULARY, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def tiny() -> TransformersModel:
    model = tiny_model("llama")
    # A random network would write bytes that are no text; these make letters likely.
    with torch.no_grad():
        head = model.network.get_output_embeddings()
        head.bias = torch.nn.Parameter(torch.full((VOCABULARY,), -9.0))
        ids = model.encode(b"abcdefgh").tolist()
        head.bias[ids] = 0.0
        head.bias[VOCABULARY - 1] = -2.0
    return model


def answered(tiny: TransformersModel, together: JoinedGeneration, **how: Any) -> Any:
    inputs = tiny_tokenizer()("ab", return_tensors="pt", return_token_type_ids=False)
    start = torch.tensor([[VOCABULARY - 2]])
    ids = torch.cat([start, inputs["input_ids"]], dim=1)
    mask = torch.ones_like(ids)
    return tiny.network.generate(
        ids, attention_mask=mask, custom_generate=together, max_new_tokens=9, **how
    )


def test_a_network_joined_by_itself_writes_what_it_writes_alone(
    tiny: TransformersModel,
) -> None:
    together = JoinedGeneration(tiny_tokenizer(), [tiny], rule="product")
    found = answered(tiny, together, do_sample=False)
    alone = tiny.network.generate(
        found[:, :3],
        attention_mask=torch.ones_like(found[:, :3]),
        max_new_tokens=9,
        do_sample=False,
        suppress_tokens=[VOCABULARY - 2],
    )
    assert found.tolist() == alone.tolist()
    (trace,) = together.traces
    assert trace.origin.decoding["rule"] == "product"
    np.testing.assert_allclose(
        trace.columns["disagreement"].values[trace.scored], 0.0, atol=1e-6
    )


def test_torch_decides_what_is_drawn_and_rows_are_padded(
    tiny: TransformersModel,
) -> None:
    together = JoinedGeneration(tiny_tokenizer(), [tiny])
    how = {"do_sample": True, "top_k": 0, "num_return_sequences": 3}
    torch.manual_seed(3)
    one = answered(tiny, together, **how)
    torch.manual_seed(3)
    assert one.tolist() == answered(tiny, together, **how).tolist()
    assert one.shape[0] == len(together.traces) == 3
    assert 3 < one.shape[1] <= 3 + 9
    assert len({tuple(row) for row in one.tolist()}) > 1
    for row, trace in zip(one.tolist(), together.traces, strict=True):
        written = tiny.vocabulary.spell([t for t in row[3:] if t < VOCABULARY - 2])
        assert trace.completion.encode().startswith(written)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"repetition_penalty": 1.3}, "RepetitionPenaltyLogitsProcessor"),
        ({"num_beams": 2}, "num_beams"),
        ({"return_dict_in_generate": True}, "return_dict_in_generate"),
        ({"max_time": 5.0}, "MaxTimeCriteria"),
    ],
)
def test_what_is_made_for_tokens_is_refused_by_name(
    tiny: TransformersModel, how: dict[str, Any], words: str
) -> None:
    together = JoinedGeneration(tiny_tokenizer(), [tiny])
    with pytest.raises(InvalidInput, match=words):
        answered(tiny, together, do_sample=False, **how)


def test_a_prompt_with_control_tokens_is_refused(tiny: TransformersModel) -> None:
    together = JoinedGeneration(tiny_tokenizer(), [tiny])
    ids = torch.tensor([[VOCABULARY - 2, 5, VOCABULARY - 1, 6]])
    with pytest.raises(InvalidInput, match="control token </s>"):
        tiny.network.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            custom_generate=together,
            max_new_tokens=3,
            do_sample=False,
        )
