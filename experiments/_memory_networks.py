"""An LSTM and a transformer over characters, equally large, with the same training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from nescio.models.protocol import LogitBlock
from nescio.models.tokenizer import Tokenizer, tokenizer_of
from nescio.models.transformers import TransformersModel
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

START = "<s>"
CONTEXT = 160  # tokens the transformer can see


@dataclass(frozen=True)
class Training:
    """How long and how fast a network is trained: the same crops for both."""

    steps: int
    batch: int
    length: int
    rates: dict[str, float] = field(
        default_factory=lambda: {"LSTM": 8e-3, "transformer": 3e-3}
    )


def characters(text: str) -> Tokenizer:
    """A vocabulary of the bytes of a text, one id each, and a document start."""
    byte_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    used = sorted({c for piece, _ in byte_of.pre_tokenize_str(text) for c in piece})
    backend = Backend(models.BPE({piece: n for n, piece in enumerate(used)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(START, special=True)])
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=START)
    return tokenizer_of(fast, len(used) + 1)


class Recurrent(torch.nn.Module):
    """One LSTM layer; the head is the embedding, as in the transformer."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, width)
        self.lstm = torch.nn.LSTM(width, width, batch_first=True)
        torch.nn.init.normal_(self.embedding.weight, std=width**-0.5)

    def forward(self, ids: torch.Tensor, state: Any = None) -> tuple[Any, Any]:
        hidden, state = self.lstm(self.embedding(ids), state)
        return hidden, state

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.embedding.weight.T


def recurrent(vocabulary: int) -> Recurrent:
    return Recurrent(vocabulary, 168)


def transformer(vocabulary: int) -> Any:
    shape = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=96,
        intermediate_size=272,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=vocabulary - 1,
        eos_token_id=None,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(shape)


NETWORKS: dict[str, Callable[[int], Any]] = {
    "LSTM": recurrent,
    "transformer": transformer,
}


def parameters(network: Any) -> int:
    """How many numbers are trained; shared ones count once."""
    return sum(one.numel() for one in network.parameters())


def logits_of(network: Any, ids: torch.Tensor) -> torch.Tensor:
    """Logits after every position."""
    if isinstance(network, Recurrent):
        return network.head(network(ids)[0])
    return network(ids).logits


def trained(
    kind: str, ids: np.ndarray, vocabulary: int, training: Training, *, seed: int
) -> Any:
    """A network trained to predict crops of a text, each behind the document start."""
    torch.manual_seed(seed)
    network = NETWORKS[kind](vocabulary)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=training.rates[kind], weight_decay=0.01
    )
    warm = max(1, training.steps // 20)

    def rate(step: int) -> float:
        along = min(1.0, step / training.steps)
        return min(1.0, (step + 1) / warm) * 0.5 * (1.0 + math.cos(math.pi * along))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    text = torch.from_numpy(ids.astype(np.int64))
    start = torch.full((training.batch, 1), vocabulary - 1)
    for _ in range(training.steps):
        first = rng.integers(0, len(ids) - training.length, training.batch)
        crops = torch.stack([text[f : f + training.length] for f in first.tolist()])
        given = torch.cat([start, crops[:, :-1]], dim=1)
        logits = logits_of(network, given)
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, vocabulary), crops.reshape(-1)
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return network.eval()


def digest_of(network: Any) -> str:
    """SHA-256 over all weights."""
    digest = hashlib.sha256()
    for name, weights in network.state_dict().items():
        digest.update(name.encode() + weights.contiguous().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def model_of(kind: str, network: Any, tokenizer: Tokenizer) -> Any:
    """A network as a model of nescio."""
    origin = Origin(kind, digest_of(network), tokenizer.digest, "torch", "f32")
    start = (tokenizer.vocabulary.size - 1,)
    if isinstance(network, Recurrent):
        return RecurrentModel(kind, origin, tokenizer, start, network)
    return TransformersModel(kind, origin, tokenizer, start, network)


@dataclass(frozen=True, eq=False)
class State:
    """What an LSTM keeps of what it has read; None: nothing."""

    length: int = 0
    cells: tuple[torch.Tensor, torch.Tensor] | None = None

    def rewind(self, length: int) -> State:
        """An LSTM can not go back."""
        raise NotImplementedError(f"to {length}: read the tokens again")


@dataclass(frozen=True, eq=False)
class RecurrentModel:
    """The seam of nescio around an LSTM: it scores, and it steps."""

    name: str
    origin: Origin
    tokenizer: Tokenizer
    start: tuple[int, ...]
    network: Recurrent

    @property
    def vocabulary(self) -> Vocabulary:
        return self.tokenizer.vocabulary

    @property
    def context_length(self) -> int | None:
        return None

    def encode(self, text: bytes) -> np.ndarray:
        return self.tokenizer.encode(text)

    def open(self) -> State:
        return State()

    def extend(
        self, contexts: Sequence[State], tokens: Sequence[np.ndarray]
    ) -> tuple[tuple[State, ...], np.ndarray]:
        """Runs of one length together, as they come from a sampler."""
        if len({len(run) for run in tokens}) > 1:
            raise NotImplementedError("runs of several lengths")
        width = self.network.lstm.hidden_size
        cells = [c.cells or (torch.zeros(width), torch.zeros(width)) for c in contexts]
        with torch.inference_mode():
            ids = torch.from_numpy(np.stack(tokens).astype(np.int64))
            state = tuple(torch.stack(one)[None] for one in zip(*cells, strict=True))
            hidden, (h, c) = self.network(ids, state)
            logits = self.network.head(hidden[:, -1]).numpy()
        longer = tuple(
            State(old.length + len(run), (h[0, row], c[0, row]))
            for row, (old, run) in enumerate(zip(contexts, tokens, strict=True))
        )
        return longer, logits

    def logit_blocks(
        self, sequences: Sequence[np.ndarray], *, skip: Sequence[int], rows: int = 128
    ) -> Iterator[LogitBlock]:
        """Logits after each position from ``skip`` on, but the last, in blocks."""
        width = max(map(len, sequences))
        padded = np.zeros((len(sequences), width), dtype=np.int64)
        for row, ids in enumerate(sequences):
            padded[row, : len(ids)] = ids
        where = np.array(
            [
                (row, place)
                for row, (ids, first) in enumerate(zip(sequences, skip, strict=True))
                for place in range(first, len(ids) - 1)
            ],
            dtype=np.int64,
        ).reshape(-1, 2)
        with torch.inference_mode():
            hidden, _ = self.network(torch.from_numpy(padded))
            for begin in range(0, len(where), rows):
                sequence, position = where[begin : begin + rows].T
                logits = self.network.head(hidden[sequence, position]).numpy()
                yield LogitBlock(sequence, position, logits)
