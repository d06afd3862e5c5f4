"""The layers of a transformers network, found by following its tensors, not by name.

One short text is read with every module watched. From the head's input the way leads
back from module to module, each the one that made the tensor, until a block is met: a
member of a list whose members hand their output to one another. What was passed on the
way (a norm, a projection, nothing) is the *tail*. Blocks and tail are what the lens
needs: the residual stream after each block, through the tail, is what the head would
have been given had the network ended there.

Only what checks out is used: the last layer's rows, through the head, have to be the
network's own logits. A stream that is normed twice, a scale between tail and head, or
blocks that hand on more than one tensor are refused by the name of the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import CapabilityError
from nescio.models.protocol import LayerBlock

if TYPE_CHECKING:
    import torch

    from nescio.models.transformers import TransformersModel

__all__ = ["Layers", "check_layers", "found_layers", "layer_blocks", "wanted_rows"]

_TOKENS = 24
_LARGEST_GAP = {"f32": 1e-4, "bf16": 0.5}
"""In logits, between the last layer through the head and the network itself."""
_FOREIGN = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)

States = Sequence["torch.Tensor"]
"""The residual stream before the first block and after each: [batch, columns, width]
each."""


@dataclass(frozen=True, eq=False)
class Layers:
    """Where the residual stream is, and what stands between it and the head.

    Args:
        architecture: the network's class.
        blocks: the modules whose outputs are the stream, in order.
        tail: what turns the stream into the head's input, in order; may be empty.
        names: of the tail's modules in the network.
    """

    architecture: str
    blocks: tuple[Any, ...] = field(repr=False)
    tail: tuple[Any, ...] = field(repr=False)
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many rows a token has: the embedding's, and one a block."""
        return len(self.blocks) + 1

    def normed(self, states: torch.Tensor) -> torch.Tensor:
        """The stream as the head is given it."""
        for module in self.tail:
            states = _first(module(states))
        return states

    @contextmanager
    def recording(self, keep: Callable[[int, States], None]) -> Iterator[None]:
        """Call ``keep`` with (how many passes there were before, the stream).

        The stream is copied: blocks may add to their input in place.
        """
        states: list[torch.Tensor] = []
        passes = 0

        def before(_module: Any, given: Any, named: Any) -> None:
            states[:] = [_hidden(given, named).clone()]

        def after(module: Any, _given: Any, output: Any) -> None:
            nonlocal passes
            states.append(_first(output).clone())
            if module is self.blocks[-1]:
                keep(passes, tuple(states))
                passes += 1

        handles = [self.blocks[0].register_forward_pre_hook(before, with_kwargs=True)]
        handles += [block.register_forward_hook(after) for block in self.blocks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def found_layers(model: TransformersModel) -> Layers:
    """The layers of a model, once its last one has been seen to give its logits.

    Raises:
        CapabilityError: this architecture has no lens; names it and says why.
    """
    kind = type(model.network).__name__
    try:
        calls, logits = _watched(model.network, _ids(model))
        layers = _followed(model.network, calls)
        logits[:, model.padded] = -np.inf
        _check(model, layers, logits)
    except _FOREIGN as error:
        raise CapabilityError(
            f"{model.name}: {kind} cannot be watched layer by layer: {error!r}"
        ) from error
    except _NoLens as reason:
        raise CapabilityError(
            f"{model.name}: {kind} has no layer lens here: {reason}"
        ) from reason
    return layers


def check_layers(model: TransformersModel) -> None:
    """Check again that the last layer, through the head, gives the model's logits.

    Raises:
        CapabilityError: it does not, to 1e-4 in f32.
    """
    _, logits = _watched(model.network, _ids(model))
    logits[:, model.padded] = -np.inf
    try:
        _check(model, model.layers, logits)
    except _NoLens as reason:
        kind = type(model.network).__name__
        raise CapabilityError(
            f"{model.name}: {kind} has no layer lens here: {reason}"
        ) from reason


def layer_blocks(
    layers: Layers,
    chunks: Iterator[tuple[int, torch.Tensor]],
    lengths: Sequence[int],
    *,
    skip: Sequence[int],
    rows: int,
) -> Iterator[LayerBlock]:
    """The normed rows of every layer, ``rows`` positions at a time.

    Args:
        layers: of the network.
        chunks: its passes, run as they are asked for: (first column, hidden rows).
        lengths: of the sequences.
        skip: the first position of each that is wanted.
        rows: how many positions a block holds.
    """
    import torch

    kept: list[States] = []
    while True:
        with torch.inference_mode(), layers.recording(lambda _, s: kept.append(s)):
            chunk = next(chunks, None)
        if chunk is None:
            return
        begin, states = chunk[0], kept.pop()
        wanted = wanted_rows(lengths, skip, begin, begin + states[0].shape[1])
        for first in range(0, len(wanted), rows):
            owner, place = wanted[first : first + rows].T
            with torch.inference_mode():
                picked = torch.stack([state[owner, place - begin] for state in states])
                normed = layers.normed(picked).float().numpy()
            yield LayerBlock(owner, place, normed)


def wanted_rows(
    lengths: Sequence[int], skip: Sequence[int], begin: int, end: int
) -> Int[np.ndarray, "rows 2"]:
    """(sequence, position) of each position that predicts, among some columns.

    Example:
        >>> wanted_rows([3, 5], [0, 2], 0, 4).tolist()
        [[0, 0], [0, 1], [1, 2], [1, 3]]
    """
    found = [
        (index, position)
        for index, length in enumerate(lengths)
        for position in range(max(skip[index], begin), min(length - 1, end))
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


class _NoLens(Exception):
    """Why the layers of an architecture cannot be used."""


@dataclass(frozen=True, eq=False)
class _Call:
    """One module's pass: what it was given and what it gave.

    Both are kept, so that no tensor's place in memory is used twice.
    """

    name: str
    module: Any
    given: Any
    gave: Any


def _watched(
    network: Any, ids: Int[np.ndarray, " n"]
) -> tuple[list[_Call], Float[np.ndarray, "rows vocab"]]:
    """Every module's pass in the order they ended, and the network's logits."""
    import torch

    calls: list[_Call] = []

    def watch(name: str, module: Any) -> Any:
        def seen(_module: Any, given: Any, named: Any, output: Any) -> None:
            calls.append(_Call(name, module, _hidden(given, named), _first(output)))

        return module.register_forward_hook(seen, with_kwargs=True)

    handles = [watch(name, module) for name, module in network.named_modules()]
    try:
        with torch.inference_mode():
            tokens = torch.as_tensor(ids.astype(np.int64))[None]
            logits = network(input_ids=tokens, use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return calls, logits.float().numpy().copy()


def _followed(network: Any, calls: Sequence[_Call]) -> Layers:
    """From the head's input back to the blocks."""
    head = network.get_output_embeddings()
    of_head = [call for call in calls if call.module is head]
    if len(of_head) != 1 or of_head[0].given is None:
        raise _NoLens(
            f"its head ran {len(of_head)} times in one pass; once on one tensor is "
            "needed"
        )
    lists = _lists(network)
    tail = _way_back(of_head[0].given, calls, lists, seen=frozenset())
    if tail is None:
        raise _NoLens("no chain of modules leads from a block to its head")
    last, *passed = tail
    blocks = _chain(calls, lists[id(last.module)], last)
    names = tuple(call.name for call in passed)
    modules = tuple(call.module for call in passed)
    return Layers(type(network).__name__, blocks, modules, names)


def _lists(network: Any) -> dict[int, Any]:
    """The list that each listed module stands in."""
    from torch.nn import ModuleList

    found = [module for module in network.modules() if isinstance(module, ModuleList)]
    return {id(member): owner for owner in found for member in owner}


def _way_back(
    wanted: Any, calls: Sequence[_Call], lists: dict[int, Any], *, seen: frozenset[int]
) -> list[_Call] | None:
    """The block that made a tensor, directly or through further modules; then those."""
    makers = [
        call for call in calls if _same(call.gave, wanted) and id(call) not in seen
    ]
    for call in makers:
        if id(call.module) in lists:
            return [call]
    for call in makers:
        if call.given is None or _same(call.given, wanted):
            continue
        before = _way_back(call.given, calls, lists, seen=seen | {id(call)})
        if before is not None:
            return [*before, call]
    return None


def _chain(calls: Sequence[_Call], owner: Any, last: _Call) -> tuple[Any, ...]:
    """The blocks of a list, each given what the one before gave, up to the last."""
    members = {id(member) for member in owner}
    passes = [call for call in calls if id(call.module) in members]
    if len({id(call.module) for call in passes}) != len(passes):
        raise _NoLens("a block runs more than once in one pass")
    if passes[-1] is not last:
        raise _NoLens("the block before its head is not the last one that runs")
    for before, call in pairwise(passes):
        if not _same(before.gave, call.given):
            raise _NoLens(f"{call.name} is not given what {before.name} gave")
    if passes[0].given is None:
        raise _NoLens(f"{passes[0].name} is given no tensor of hidden rows")
    return tuple(call.module for call in passes)


def _check(
    model: TransformersModel, layers: Layers, logits: Float[np.ndarray, "rows vocab"]
) -> None:
    """The last layer through the head beside the network's own logits."""
    ids = _ids(model)
    chunks = model.chunks([ids])
    (block,) = layer_blocks(layers, chunks, [len(ids)], skip=[0], rows=len(ids))
    found, own = model.head(block.rows[-1]), logits[:-1]
    known = np.isfinite(own)
    if not np.array_equal(known, np.isfinite(found)):
        raise _NoLens("its last layer through the head is not finite where its own is")
    gap = float(np.abs(found[known] - own[known]).max())
    allowed = _LARGEST_GAP[model.origin.precision]
    if not gap <= allowed:
        through = " and ".join(layers.names) or "no norm"
        raise _NoLens(
            f"its last layer through {through} and the head is {gap:.2g} off its own "
            f"logits, more than {allowed:g}"
        )


def _ids(model: TransformersModel) -> Int[np.ndarray, " n"]:
    """Some random text, the same every time."""
    texts = np.flatnonzero(~model.vocabulary.control)
    limit = min(_TOKENS, model.context_length or _TOKENS)
    return np.random.default_rng(0).choice(texts, size=limit).astype(np.int32)


def _hidden(given: Any, named: Any) -> Any:
    """The first tensor of floats among what a module was given, or None."""
    import torch

    for value in (*given, *named.values()):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value
    return None


def _first(output: Any) -> Any:
    """The tensor a module gave, or the first of several; None if there is none."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, tuple | list) and output:
        return _first(output[0])
    return None


def _same(one: Any, other: Any) -> bool:
    """Whether two tensors are one place in memory, views of the whole included."""
    if one is None or other is None:
        return False
    return one is other or (
        one.data_ptr() == other.data_ptr()
        and one.shape == other.shape
        and one.stride() == other.stride()
    )
