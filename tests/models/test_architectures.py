"""Many architectures, tiny and random: every path equals one plain forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

import nescio
from nescio.errors import CapabilityError
from nescio.kernel import log_softmax
from nescio.models.tokenizer import tokenizer_of
from nescio.models.transformers import TransformersModel
from nescio.trace import Origin
from tests.models.tiny import VOCABULARY, tiny_tokenizer

TOLERANCE = 2e-4
TEXTS = (
    b"The quick brown fox jumps over the lazy dog.",
    b"A short one.",
    "七転び八起き — naïve café".encode(),
)
IDS = {
    "vocab_size": VOCABULARY,
    "bos_token_id": VOCABULARY - 2,
    "eos_token_id": VOCABULARY - 1,
    "pad_token_id": VOCABULARY - 1,
}
HEADS = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32}
OLD = {"n_layer": 3, "n_head": 4, "initializer_range": 0.3}
SHAPE = IDS | HEADS | {"intermediate_size": 48, "max_position_embeddings": 96}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
OPT = {"ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 96}
WINDOW = {"sliding_window": 8}

ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(n_embd=32, n_positions=96, **IDS, **OLD)
    ),
    "gemma2": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(
            **SHAPE,
            **GROUPED,
            **WINDOW,
            final_logit_softcapping=3.0,
            attn_logit_softcapping=2.0,
            query_pre_attn_scalar=8,
        )
    ),
    "cohere": lambda: hf.CohereForCausalLM(
        hf.CohereConfig(**SHAPE, num_key_value_heads=2, logit_scale=0.3)
    ),
    "granite": lambda: hf.GraniteForCausalLM(
        hf.GraniteConfig(
            **SHAPE,
            num_key_value_heads=2,
            logits_scaling=4.0,
            embedding_multiplier=2.0,
            residual_multiplier=0.5,
        )
    ),
    "mistral": lambda: hf.MistralForCausalLM(
        hf.MistralConfig(**SHAPE, **GROUPED, **WINDOW)
    ),
    "opt": lambda: hf.OPTForCausalLM(hf.OPTConfig(**IDS, **HEADS, **OPT)),
    "bloom": lambda: hf.BloomForCausalLM(
        hf.BloomConfig(hidden_size=32, **IDS, **OLD),
    ),
    "qwen2": lambda: hf.Qwen2ForCausalLM(
        hf.Qwen2Config(
            **SHAPE,
            **WINDOW,
            num_key_value_heads=2,
            use_sliding_window=True,
            max_window_layers=1,
        )
    ),
    "gpt_neox": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SHAPE)),
}


def built(name: str, make: Callable[[], Any]) -> TransformersModel:
    """A random network, every matrix wide enough that each part of it matters."""
    torch.manual_seed(7)
    network = make().eval()
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.25)
    tokenizer = tokenizer_of(tiny_tokenizer(), VOCABULARY)
    origin = Origin(name, "random", tokenizer.digest, "transformers", "f32")
    return TransformersModel(name, origin, tokenizer, (VOCABULARY - 2,), network)


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def model(request: pytest.FixtureRequest) -> Any:
    """One architecture after the other, as loading would accept it."""
    model = built(request.param, ARCHITECTURES[request.param])
    model.self_test()
    return model


@pytest.fixture(scope="module")
def sequences(model: Any) -> list[np.ndarray]:
    """Texts of unequal length as token ids behind the document start."""
    start = np.array(model.start, dtype=np.int32)
    return [np.concatenate([start, model.encode(text)]) for text in TEXTS]


@pytest.fixture(scope="module")
def expected(model: Any, sequences: list[np.ndarray]) -> list[np.ndarray]:
    """Log-probabilities after every position: one forward pass of each text alone."""
    return [plain(model.network, ids) for ids in sequences]


def plain(network: Any, ids: np.ndarray) -> np.ndarray:
    """transformers' own log-probabilities: no cache, no batch, no tiles."""
    with torch.inference_mode():
        tokens = torch.as_tensor(ids)[None].long()
        logits = network(input_ids=tokens, use_cache=False).logits[0]
    return torch.log_softmax(logits.double(), dim=-1).numpy()


def check(logits: np.ndarray, rows: list[np.ndarray]) -> None:
    found = log_softmax(logits)
    np.testing.assert_allclose(found, np.stack(rows), rtol=0, atol=TOLERANCE)


def test_scores_equal_a_plain_forward_pass(
    model: Any, sequences: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    traces = nescio.score_texts(model, TEXTS)
    for trace, ids, rows in zip(traces, sequences, expected, strict=True):
        np.testing.assert_array_equal(trace.token_ids, ids[1:])
        before = rows[:-1]
        logp = before[np.arange(len(before)), ids[1:]]
        np.testing.assert_allclose(trace.logp, logp, rtol=0, atol=TOLERANCE)
        entropy = -(np.exp(before) * before).sum(axis=1)
        np.testing.assert_allclose(trace.entropy, entropy, rtol=0, atol=TOLERANCE)
        assert trace.scored.all()


def test_stepping_token_by_token_equals_a_plain_forward_pass(
    model: Any, sequences: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    context, found = model.open(), []
    for token in sequences[1]:
        (context,), logits = model.extend([context], [np.array([token])])
        found.append(logits[0])
    check(np.stack(found), list(expected[1]))


def test_ragged_runs_into_ragged_contexts_equal_a_plain_forward_pass(
    model: Any, sequences: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    cuts = (20, 4, 11)
    heads = [ids[:cut] for ids, cut in zip(sequences, cuts, strict=True)]
    contexts, logits = model.extend([model.open()] * 3, heads)
    check(logits, [rows[cut - 1] for rows, cut in zip(expected, cuts, strict=True)])
    tails = [ids[cut:-1] for ids, cut in zip(sequences, cuts, strict=True)]
    contexts, logits = model.extend(contexts, tails)
    check(logits, [rows[-2] for rows in expected])
    _, logits = model.extend(contexts, [ids[-1:] for ids in sequences])
    check(logits, [rows[-1] for rows in expected])


def test_forks_and_rewinds_equal_a_plain_forward_pass(
    model: Any, sequences: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    ids, other = sequences[0], sequences[2]
    (parent,), _ = model.extend([model.open()], [ids[:30]])
    _, logits = model.extend([parent, parent], [ids[30:], other[3:6]])
    branch = plain(model.network, np.concatenate([ids[:30], other[3:6]]))
    check(logits, [expected[0][-1], branch[-1]])
    for kept in (29, 12, 1):
        _, logits = model.extend([parent.rewind(kept)], [other[3:8]])
        branch = plain(model.network, np.concatenate([ids[:kept], other[3:8]]))
        check(logits, [branch[-1]])
    _, logits = model.extend([parent], [ids[30:]])
    check(logits, [expected[0][-1]])


@pytest.mark.parametrize("name", ["gemma2", "cohere", "granite"])
def test_what_stands_behind_the_head_matters_here(name: str) -> None:
    """Else the tests above would not see it left out."""
    model = built(name, ARCHITECTURES[name])
    ids = np.array([VOCABULARY - 2, *model.encode(TEXTS[0])])
    with torch.inference_mode():
        body = model.network.get_decoder()
        hidden = body(input_ids=torch.as_tensor(ids)[None].long()).last_hidden_state
        bare = model.network.get_output_embeddings()(hidden)[0].numpy()
    apart = np.abs(log_softmax(bare) - plain(model.network, ids))
    assert apart.max() > 0.1


@pytest.mark.parametrize("name", ["mistral", "gemma2", "qwen2"])
def test_the_sliding_window_matters_here(name: str) -> None:
    windowed = built(name, ARCHITECTURES[name])
    network = windowed.network
    ids = np.array([VOCABULARY - 2, *windowed.encode(TEXTS[0])])
    config = type(network.config).from_dict(
        network.config.to_dict() | {"sliding_window": 96}
    )
    wide = type(network)(config).eval()
    wide.load_state_dict(network.state_dict())
    apart = np.abs(plain(wide, ids) - plain(network, ids))
    assert apart[:8].max() < TOLERANCE
    assert apart[8:].max() > 0.01


def test_a_recurrent_model_is_refused() -> None:
    """Its state cannot be padded, forked or rewound, so its numbers would be wrong."""
    mamba = hf.MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **IDS)
    model = built("mamba", lambda: hf.MambaForCausalLM(mamba))
    with pytest.raises(CapabilityError, match="mamba"):
        model.self_test()
