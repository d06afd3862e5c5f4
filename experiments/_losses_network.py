"""A small transformer over bytes, its text, and how it is trained: for the losses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from _calibration_telling import data_folder
from _parts import Parts
from torch import Tensor, nn
from torch.nn import functional

from nescio.outcome import Estimate, Recipe
from nescio.training import token_logp

BYTES = 256
TEXT = "tinyshakespeare.txt"
HELD_OUT = 0.1  # the last part of the text, for judging


@dataclass(frozen=True)
class Shape:
    """Of a network."""

    width: int
    layers: int
    heads: int = 4
    context: int = 64


@dataclass(frozen=True)
class Fit:
    """How a network is fitted to text."""

    steps: int
    batch: int = 32
    rate: float = 3e-3


class Block(nn.Module):
    """Attention and a perceptron, each after a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = (
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(
        self, rows: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        size, tokens, width = rows.shape
        parts = self.asked(self.before(rows)).view(size, tokens, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if past is not None:
            key, value = (torch.cat(p, 2) for p in zip(past, (key, value), strict=True))
        found = functional.scaled_dot_product_attention(
            query, key, value, is_causal=past is None
        )
        rows = rows + self.joined(found.transpose(1, 2).reshape(size, tokens, width))
        more = self.narrow(functional.gelu(self.wide(self.between(rows))))
        return rows + more, (key, value)


class ByteNetwork(nn.Module):
    """A language model of bytes; the head is the embedding."""

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.shape = shape
        self.embedding = nn.Embedding(BYTES, shape.width)
        self.position = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next byte, [texts, bytes, 256]."""
        return self.read(ids, None)[0]

    def read(self, ids: Tensor, past: list[Any] | None) -> tuple[Tensor, list[Any]]:
        begin = 0 if past is None else past[0][0].shape[2]
        where = torch.arange(begin, begin + ids.shape[1])
        rows, kept = self.embedding(ids) + self.position(where), []
        for place, block in enumerate(self.blocks):
            rows, one = block(rows, None if past is None else past[place])
            kept.append(one)
        return functional.linear(self.norm(rows), self.embedding.weight), kept

    @torch.no_grad()
    def draw(self, prompts: Tensor, length: int, source: torch.Generator) -> Tensor:
        """Prompts with what the network goes on with at temperature 1."""
        logits, past = self.read(prompts, None)
        ids = [prompts]
        for _ in range(length):
            p = logits[:, -1].softmax(-1)
            ids.append(torch.multinomial(p, 1, generator=source))
            logits, past = self.read(ids[-1], past)
        return torch.cat(ids, 1)

    def like(self) -> ByteNetwork:
        """Another with the same weights."""
        other = ByteNetwork(self.shape, 0)
        other.load_state_dict(self.state_dict())
        return other

    def size(self) -> int:
        return sum(one.numel() for one in self.parameters())


def text_parts() -> tuple[Tensor, Tensor]:
    """Bytes to learn from and bytes to judge by."""
    raw = (data_folder() / "text" / TEXT).read_bytes()
    ids = torch.frombuffer(bytearray(raw), dtype=torch.uint8).long()
    cut = int(len(ids) * (1 - HELD_OUT))
    return ids[:cut], ids[cut:]


def windows(text: Tensor, count: int, size: int, source: torch.Generator) -> Tensor:
    """Stretches of a text drawn at random, [count, size]."""
    begins = torch.randint(len(text) - size + 1, (count, 1), generator=source)
    return text[begins + torch.arange(size)]


def rows_of(text: Tensor, size: int, most: int | None = None) -> Tensor:
    """A text cut into stretches side by side, [rows, size]."""
    count = len(text) // size
    count = count if most is None else min(count, most)
    return text[: count * size].reshape(count, size)


def log_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """Nats of each byte after the first, [texts, bytes - 1]."""
    return -token_logp(logits[:, :-1], ids[:, 1:])


def optimised(
    network: ByteNetwork, how: Fit, loss_at: Callable[[int], Tensor]
) -> list[float]:
    """Adam with a short warm-up and a cosine; the losses along the way."""
    optimiser = torch.optim.Adam(network.parameters(), lr=how.rate, betas=(0.9, 0.98))
    losses = []
    for step in range(how.steps):
        warm = min(1.0, (step + 1) / (0.1 * how.steps + 1))
        rate = how.rate * warm * (0.55 + 0.45 * math.cos(math.pi * step / how.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        loss = loss_at(step)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def fitted(shape: Shape, how: Fit, text: Tensor, seed: int) -> ByteNetwork:
    """A network fitted to the next byte of a text."""
    network, source = ByteNetwork(shape, seed), torch.Generator().manual_seed(seed)

    def loss_at(_step: int) -> Tensor:
        ids = windows(text, how.batch, shape.context, source)
        return log_loss(network(ids), ids).mean()

    optimised(network, how, loss_at)
    return network


class Kept(Parts):
    """What is finished, networks among it."""

    def tensors(
        self, name: str, make: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Tensors that are made once."""
        from safetensors.torch import load_file, save_file

        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            begin = time.perf_counter()
            beside = path.with_name(f".{path.name}")
            save_file(make(), beside)
            beside.replace(path)
            print(f"  {name}: {time.perf_counter() - begin:.0f} s", flush=True)
        return load_file(path)

    def network(
        self, name: str, shape: Shape, make: Callable[[], ByteNetwork]
    ) -> ByteNetwork:
        """A network that is trained once."""
        network = ByteNetwork(shape, 0)
        network.load_state_dict(self.tensors(name, lambda: make().state_dict()))
        return network


def base_network(shape: Shape, how: Fit, work: Path) -> ByteNetwork:
    """The network that several experiments begin with."""
    kept = Kept(work, "base", settings_of(shape, how))
    learning, _ = text_parts()
    return kept.network("base", shape, lambda: fitted(shape, how, learning, 0))


def over_seeds(
    name: str, values: Sequence[float], unit: str, *, level: float = 0.95
) -> Estimate:
    """The mean over seeds with Student's interval."""
    import numpy as np
    from scipy import stats

    column = np.array(values, dtype=np.float64)
    limits: dict[str, Any] = {}
    if len(column) > 1:
        error = float(column.std(ddof=1)) / math.sqrt(len(column))
        reach = float(stats.t.ppf(0.5 + level / 2, len(column) - 1)) * error
        mean = float(column.mean())
        limits = {"low": mean - reach, "high": mean + reach, "level": level}
    settings = {
        "interval": "Student's t over seeds",
        "values": list(map(float, column)),
    }
    population = "runs with other seeds, of the same networks, text and settings"
    recipe = Recipe(name, settings, ())
    value, count = float(column.mean()), len(column)
    return Estimate(
        name, value, unit, count, "confidence", population, recipe, **limits
    )


def settings_of(*parts: Any) -> dict[str, Any]:
    """Dataclasses as one dict of JSON values."""
    return {type(part).__name__: asdict(part) for part in parts}
