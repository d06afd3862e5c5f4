"""OpenVINO itself: imported without its telemetry, and told exactly what to compute.

Left to its defaults OpenVINO computes in bfloat16 and keeps the key-value memory in
8 bits, where the processor can. Here every precision is asked for and then read back
from what was compiled; a difference is refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from nescio.errors import CapabilityError, MissingDependency

__all__ = [
    "Compiled",
    "LayerShape",
    "check_installed",
    "check_precision",
    "compiled",
    "openvino",
    "thread_count",
]

_TELEMETRY = "openvino_telemetry"
_FUSED_THREADS = 2
_UNREACHED = 3e38


@dataclass(frozen=True)
class LayerShape:
    """What one layer keeps of a token: heads, and the width of a key and a value."""

    heads: int
    key: int
    value: int


@dataclass(frozen=True, eq=False)
class Compiled:
    """Both parts of a model, ready to run.

    Args:
        body: token ids to hidden rows.
        head: hidden rows to logits.
        layers: the shape of each layer's memory.
        block_size: how many tokens one block of that memory holds.
        memory: in what precision it is kept.
    """

    body: Any
    head: Any
    layers: tuple[LayerShape, ...]
    block_size: int
    memory: str


def openvino() -> Any:
    """The module ``openvino``, imported so that it reports to nobody.

    OpenVINO announces its import, and each conversion, over the network. It does so
    through a second package; where that cannot be imported, an empty stand-in of its
    own is used.

    Raises:
        MissingDependency: it is not installed.
    """
    check_installed()
    if "openvino" not in sys.modules and _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType]
        try:
            import openvino
        finally:
            del sys.modules[_TELEMETRY]
    import openvino

    telemetry = sys.modules.get(_TELEMETRY)
    if telemetry is not None:  # somebody else imported it: from now on it is silent
        telemetry.Telemetry.send_event = _say_nothing
    return openvino


def _say_nothing(*_: object, **__: object) -> None:
    pass


def check_installed() -> None:
    """Refuse where OpenVINO is not installed.

    Raises:
        MissingDependency: it is not.
    """
    if find_spec("openvino") is None:
        raise MissingDependency(
            "the engine 'openvino' needs openvino: pip install 'nescio[local]'"
        )


def check_precision(precision: str) -> None:
    """Refuse what this processor would only pretend to compute.

    Raises:
        CapabilityError: bf16, on a processor without it.
    """
    able = openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in able:
        raise CapabilityError(
            "this processor does not compute in bfloat16: OpenVINO would run in "
            "float32 and call it bf16. Use precision=f32, or --engine transformers"
        )


def thread_count() -> int:
    """How many threads to use: the cores one may use, or ``OMP_NUM_THREADS`` if fewer.

    More threads than cores gain nothing here, and OpenVINO's own count and ours would
    disagree.
    """
    usable = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(int(asked), usable) if asked.isdecimal() and int(asked) > 0 else usable


def compiled(model: Any, *, precision: str, name: str) -> Compiled:
    """Compile an exported model for this processor, and read back what it became.

    Args:
        model: an ``openvino.Model`` as `nescio.models.openvino_export` makes them.
        precision: f32 or bf16.
        name: of the model, for what is said.

    Raises:
        CapabilityError: OpenVINO would compute in another precision than asked for.
    """
    check_precision(precision)
    threads = thread_count()
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "KV_CACHE_PRECISION": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    }
    _tell_shapes(model)
    if precision == "bf16" and threads < _FUSED_THREADS:
        _keep_apart(model)
    names = [port.get_any_name() for port in model.inputs]
    reading = [name for name in names if name != "rows"]
    body = _part(model, inputs=reading, output="hidden", settings=settings)
    head = _part(model, inputs=["rows"], output="logits", settings=settings)
    for part in (body, head):
        _check_arithmetic(part, precision, name)
    return Compiled(body, head, *_memory(body, precision, name))


def _part(
    model: Any, *, inputs: Sequence[str], output: str, settings: dict[str, Any]
) -> Any:
    """The part of a graph between some of its inputs and one output, compiled."""
    ov: Any = openvino()
    result = model.output(output).get_node()
    parameters = [model.input(name).get_node() for name in inputs]
    part = ov.Model([result], parameters, output)
    try:
        return ov.Core().compile_model(part, "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[-1]
        raise CapabilityError(
            f"OpenVINO cannot compile this model: {reason}"
        ) from error


def _memory(
    body: Any, precision: str, name: str
) -> tuple[tuple[LayerShape, ...], int, str]:
    """What the compiled body wants its memory to be: shapes, block size, precision."""
    ports = {port.get_any_name(): port for port in body.inputs}
    shapes, kinds, sizes = {}, set[str](), set[int]()
    for port_name, port in ports.items():
        if "_cache." in port_name:
            _, heads, size, width = port.get_partial_shape()
            shapes[port_name] = heads.get_length(), width.get_length()
            kinds.add(port.get_element_type().get_type_name())
            sizes.add(size.get_length())
    if kinds != {precision} or len(sizes) != 1:
        raise CapabilityError(
            f"{name}: asked for a memory in {precision}, but OpenVINO keeps it in "
            f"{', '.join(sorted(kinds))}, blocks of {sizes}"
        )
    layers = tuple(
        LayerShape(*shapes[f"key_cache.{n}"], value=shapes[f"value_cache.{n}"][1])
        for n in range(len(shapes) // 2)
    )
    return layers, sizes.pop(), kinds.pop()


def _keep_apart(model: Any) -> None:
    """Prevent a fused layer of OpenVINO's that needs two threads.

    In bfloat16 it computes a gated layer as one, and divides by half the number of
    threads: with one it would end the process. Bounds that no number reaches, between
    the gate and the matrix behind it, keep them apart.
    """
    from openvino import opset13 as operations

    for node in model.get_ops():
        if node.get_type_name() == "MatMul":
            gated = node.input_value(0)
            if gated.get_node().get_type_name() == "Multiply":
                bounded: Any = operations.clamp(gated, -_UNREACHED, _UNREACHED)
                node.input(0).replace_source_output(bounded.output(0))


def _tell_shapes(model: Any) -> None:
    """Paged attention reads its shapes from notes, which a file does not keep."""
    for node in model.get_ops():
        if node.get_type_name() == "PagedAttentionExtension":
            notes = node.get_rt_info()
            for place, kind in ((3, "k"), (4, "v")):
                shape = node.input_value(place).get_partial_shape()
                notes[f"num_{kind}_heads"] = shape[1].get_length()
                notes[f"{kind}_head_size"] = shape[3].get_length()


def _check_arithmetic(part: Any, precision: str, name: str) -> None:
    found = part.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if found != precision:
        raise CapabilityError(
            f"{name}: asked for arithmetic in {precision}, but OpenVINO compiled "
            f"{found}"
        )
    products = {
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in part.get_runtime_model().get_ops()
        if node.get_rt_info()["layerType"].astype(str) == "FullyConnected"
    }
    if products - {precision}:
        raise CapabilityError(
            f"{name}: asked for matrix products in {precision}, but OpenVINO compiled "
            f"them in {', '.join(sorted(products))}"
        )
