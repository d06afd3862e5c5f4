"""From a transformers model to an OpenVINO graph whose memory is paged.

The network is traced once over a flat row of tokens. Where it attends it calls an
operation of ours, which becomes OpenVINO's paged attention: keys and values live in
blocks outside the graph, and a table says which blocks a sequence consists of. So one
call reads tokens of many sequences of any length, without padding.

The graph has two ends that meet in the hidden rows after the last normalisation: the
*body* (token ids to ``hidden``) and the *head* (``rows`` to ``logits``). They are
compiled apart, so that [tokens x vocabulary] never exists.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nescio.errors import CapabilityError, NescioError
from nescio.models.openvino_runtime import LayerShape, openvino
from nescio.models.quiet import quiet

if TYPE_CHECKING:
    import torch

    from nescio.models.transformers import TransformersModel

__all__ = ["EXPORTER", "exported"]

EXPORTER = 1
"""Raised when a graph comes to be made otherwise: kept exports are made anew."""
_OPERATION = "nescio::paged_attention"
_IMPLEMENTATION = "nescio_paged"
_TABLES = (
    "past_lens",
    "subsequence_begins",
    "block_indices",
    "block_indices_begins",
    "max_context_len",
)
_NOT_PAGED = ("softcap", "s_aux", "position_bias", "alibi")
"""What some networks give their attention and OpenVINO's does not take."""
_FOREIGN = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass
class _Calls:
    """What the network's attention is called with, layer by layer."""

    tables: Sequence[Any] = ()
    keys: Sequence[Any] = ()
    values: Sequence[Any] = ()
    layers: list[tuple[int, LayerShape]] = field(default_factory=list)


def exported(reference: TransformersModel) -> Any:
    """An ``openvino.Model`` with the network's float32 weights; nothing is written.

    Its inputs are ``input_ids`` and ``position_ids`` [1, tokens], the five tables of
    paged attention, ``key_cache.N`` and ``value_cache.N`` of each layer, and ``rows``
    [rows, width]; its outputs ``hidden`` [tokens, width] and ``logits``.

    Raises:
        CapabilityError: a network whose attention cannot be paged, or not be traced.
    """
    network, name = reference.network, reference.name
    kind = type(network).__name__
    if not reference.origin.precision == "f32":
        raise CapabilityError(f"{name}: an export starts from float32 weights")
    try:
        with _silence(), _paging(network) as calls:
            layers = _layers(network, calls)
            return _converted(network, calls, layers)
    except NescioError:
        raise
    except (*_FOREIGN, *_frontend_failures()) as error:
        raise CapabilityError(
            f"{name}: {kind} cannot be exported to OpenVINO: {_reason(error)}"
        ) from error


def _frontend_failures() -> tuple[type[Exception], ...]:
    """What OpenVINO's conversion raises; they have no base but Exception."""
    openvino()
    from openvino import frontend

    return (
        frontend.GeneralFailure,
        frontend.InitializationFailure,
        frontend.NotImplementedFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
    )


def _reason(error: Exception) -> str:
    """The line that says it; an unconverted operation is named far below the first."""
    lines = str(error).strip().split("\n")
    telling = [line for line in lines if "No conversion rule" in line]
    return (telling or lines)[0].strip("- ")


@contextmanager
def _paging(network: Any) -> Iterator[_Calls]:
    """Let the network attend through our operation, for as long as this lasts."""
    from transformers.masking_utils import AttentionMaskInterface
    from transformers.modeling_utils import AttentionInterface

    calls, operation = _Calls(), _operation()

    def attend(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        _mask: object,
        **options: Any,
    ) -> tuple[torch.Tensor, None]:
        layer = _checked_layer(module, options)
        shape = (key.shape[1], key.shape[3], value.shape[3])
        calls.layers.append((layer, LayerShape(*map(int, shape))))
        scale = options.get("scaling")
        attended = operation(
            *map(_flat, (query, key, value)),
            calls.keys[layer],
            calls.values[layer],
            *calls.tables,
            float(query.shape[3] ** -0.5 if scale is None else scale),
            int(options.get("sliding_window") or 0),
        )
        return attended.reshape(1, query.shape[2], query.shape[1], -1), None

    own = network.config.get_text_config()._attn_implementation
    AttentionInterface.register(_IMPLEMENTATION, attend)
    AttentionMaskInterface.register(_IMPLEMENTATION, _no_mask)
    try:
        network.set_attn_implementation(_IMPLEMENTATION)
        yield calls
    finally:
        network.set_attn_implementation(own)
        for interface in (AttentionInterface, AttentionMaskInterface):
            interface._global_mapping.pop(_IMPLEMENTATION, None)


def _no_mask(*_: object, **__: object) -> None:
    """Paged attention masks by itself."""


def _flat(heads: torch.Tensor) -> torch.Tensor:
    return heads.transpose(1, 2).reshape(heads.shape[2], -1)


def _checked_layer(module: Any, options: dict[str, Any]) -> int:
    for name in _NOT_PAGED:
        if options.get(name) is not None:
            raise CapabilityError(
                f"{type(module).__name__} attends with {name}, which OpenVINO's paged "
                "attention does not know"
            )
    return int(module.layer_idx)


def _operation() -> Any:
    """The operation a trace shows; what it computes by itself is never used."""
    import torch

    try:
        return torch.ops.nescio.paged_attention.default
    except AttributeError:
        pass

    def paged_attention(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        _key_cache: torch.Tensor,
        _value_cache: torch.Tensor,
        _past_lens: torch.Tensor,
        _subsequence_begins: torch.Tensor,
        _block_indices: torch.Tensor,
        _block_indices_begins: torch.Tensor,
        _max_context_len: torch.Tensor,
        _scale: float,
        _window: int,
    ) -> torch.Tensor:
        width = value.shape[1] * query.shape[1] // key.shape[1]
        return query.new_zeros((query.shape[0], width))

    schema = (
        "(Tensor query, Tensor key, Tensor value, Tensor key_cache, "
        "Tensor value_cache, Tensor past_lens, Tensor subsequence_begins, "
        "Tensor block_indices, Tensor block_indices_begins, Tensor max_context_len, "
        "float scale, int window) -> Tensor"
    )
    torch.library.custom_op(_OPERATION, paged_attention, mutates_args=(), schema=schema)
    return torch.ops.nescio.paged_attention.default


@contextmanager
def _silence() -> Iterator[None]:
    """Without the warnings a trace gives for every shape it passes."""
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        yield


def _example(layers: Sequence[LayerShape]) -> dict[str, Any]:
    import torch

    tokens, block = 5, 32
    tables = ([0], [0, tokens], [0], [0, 1], tokens)
    return {
        "input_ids": torch.ones((1, tokens), dtype=torch.long),
        "position_ids": torch.arange(tokens)[None],
        "tables": [torch.tensor(table, dtype=torch.int32) for table in tables],
        "keys": [torch.zeros((1, s.heads, block, s.key)) for s in layers],
        "values": [torch.zeros((1, s.heads, block, s.value)) for s in layers],
    }


def _layers(network: Any, calls: _Calls) -> tuple[LayerShape, ...]:
    """The shape of every layer's memory, found by running the network once."""
    import torch

    count = int(network.config.get_text_config().num_hidden_layers)
    with torch.inference_mode():
        _body(network, calls)(**_example([LayerShape(1, 1, 1)] * count))
    if [layer for layer, _ in calls.layers] != list(range(count)):
        raise CapabilityError(
            f"{type(network).__name__} does not attend once in each of its {count} "
            f"layers, but in {[layer for layer, _ in calls.layers]}"
        )
    return tuple(shape for _, shape in calls.layers)


def _body(network: Any, calls: _Calls) -> Any:
    import torch

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.get_decoder()

        def forward(  # noqa: PLR0917
            self,
            input_ids: torch.Tensor,
            position_ids: torch.Tensor,
            tables: list[torch.Tensor],
            keys: list[torch.Tensor],
            values: list[torch.Tensor],
        ) -> torch.Tensor:
            calls.tables, calls.keys, calls.values = tables, keys, values
            calls.layers.clear()
            output = self.network(
                input_ids=input_ids, position_ids=position_ids, use_cache=False
            )
            return output.last_hidden_state[0]

    return Body().eval()


def _head(network: Any) -> Any:
    import torch

    from nescio.models.head import raw_logits

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = network.get_output_embeddings()

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return raw_logits(network.config, self.output, rows)

    return Head().eval()


def _converted(network: Any, calls: _Calls, layers: Sequence[LayerShape]) -> Any:
    import torch
    from openvino.frontend.pytorch import ConversionExtension

    ov = openvino()
    extension = ConversionExtension(_OPERATION, _paged_attention)
    width = network.get_output_embeddings().weight.shape[1]
    with torch.inference_mode():
        body = ov.convert_model(
            _body(network, calls),
            example_input=_example(layers),
            extension=[extension],
        )
        head = ov.convert_model(
            _head(network), example_input={"rows": torch.zeros((3, width))}
        )
    caches = [f"key_cache.{n}" for n in range(len(layers))]
    caches += [f"value_cache.{n}" for n in range(len(layers))]
    shapes = [[-1, s.heads, -1, s.key] for s in layers]
    shapes += [[-1, s.heads, -1, s.value] for s in layers]
    names = ("input_ids", "position_ids", *_TABLES, *caches)
    for port, name in zip(body.inputs, names, strict=True):
        port.get_tensor().set_names({name})
    for name in ("input_ids", "position_ids"):
        body.input(name).get_node().set_partial_shape(ov.PartialShape([1, -1]))
    for name, shape in zip(caches, shapes, strict=True):
        node = body.input(name).get_node()
        node.set_partial_shape(ov.PartialShape(shape))
        node.set_element_type(ov.Type.dynamic)  # whatever the memory is compiled to
    head.inputs[0].get_tensor().set_names({"rows"})
    head.inputs[0].get_node().set_partial_shape(ov.PartialShape([-1, width]))
    body.outputs[0].get_tensor().set_names({"hidden"})
    head.outputs[0].get_tensor().set_names({"logits"})
    body.validate_nodes_and_infer_types()
    head.validate_nodes_and_infer_types()
    return ov.Model(
        [*body.get_results(), *head.get_results()],
        [*body.get_parameters(), *head.get_parameters()],
        "nescio",
    )


def _paged_attention(context: Any) -> list[Any]:
    """Our operation as OpenVINO's, with everything optional left out."""
    from openvino import op as operations
    from openvino import opset13 as opset

    def constant(value: Any, kind: type[np.generic], shape: Sequence[int] = ()) -> Any:
        filled = np.full(shape, value, dtype=kind)
        return opset.constant(filled).output(0)

    none: Any = constant(0, np.int32, (0,))
    real: Any = constant(0, np.float32, (0,))
    zero: Any = constant(0, np.int32)
    *given, longest = (context.get_input(place) for place in range(10))
    scale = float(context.get_values_from_const_input(10))
    window = int(context.get_values_from_const_input(11))
    arguments = {
        "query … block_indices_begins": given,
        "scale": [constant(scale, np.float32)],
        "sliding_window": [constant(window, np.int32)],
        "alibi_slopes": [real],
        "max_context_len": [longest],
        "score_aggregation_window": [none],
        "rotated_block_indices, rotation_deltas": [none, none],
        "rotation_trig_lut": [real],
        "xattention_threshold": [real],
        "xattention_block_size, xattention_stride": [zero, zero],
        "sinks": [constant(0, np.float32, (0, 0, 0, 0))],
        "adaptive_rkv": [zero, none, none, none],
        "token_type_ids": [none],
        "qq_bias": [constant(0, np.uint8, (0,))],
        "qq_bias_begins": [none],
    }
    paged_attention: Any = vars(operations)["_PagedAttentionExtension"]
    flat = [port for ports in arguments.values() for port in ports]
    return [paged_attention(flat).output(0)]
