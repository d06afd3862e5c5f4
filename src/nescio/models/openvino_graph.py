"""Exported graphs as files: OpenVINO writes paged attention, but does not read it.

Its reader knows no such operation. So a stand-in of that name is registered, which
knows only its own shape, and each is replaced by the real one after reading.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from nescio.models.openvino_runtime import openvino

__all__ = ["GRAPH", "WEIGHTS", "read_graph", "write_graph"]

GRAPH, WEIGHTS = "graph.xml", "graph.bin"
_ATTENTION = "PagedAttentionExtension"


def write_graph(model: Any, directory: Path) -> None:
    """Write a graph and its weights, in float32, into a directory that exists.

    Raises:
        OSError, RuntimeError: the disk refuses.
    """
    openvino().save_model(model, directory / GRAPH, compress_to_fp16=False)


def read_graph(directory: Path) -> Any:
    """The ``openvino.Model`` that was written there; weights stay in the file.

    Raises:
        RuntimeError: the files are not what was written.
    """
    ov = openvino()
    core = ov.Core()
    core.add_extension(_stand_in())
    model = core.read_model(directory / GRAPH)
    for node in model.get_ordered_ops():
        if node.get_type_name() == _ATTENTION:
            attention = ov.op._PagedAttentionExtension(node.input_values())
            node.output(0).replace(attention.output(0))
    model.validate_nodes_and_infer_types()
    return model


@cache
def _stand_in() -> Any:
    ov = openvino()

    class StandIn(ov.Op):
        class_type_info = ov.DiscreteTypeInfo(_ATTENTION, "extension")

        def __init__(self, inputs: Any = None) -> None:
            super().__init__(self)
            if inputs is not None:
                self.set_arguments(inputs)
                self.constructor_validate_and_infer_types()

        def validate_and_infer_types(self) -> None:
            kind = self.get_input_element_type(0)
            widths = [self._width(place) for place in range(3)]
            width = -1 if None in widths else widths[0] * widths[2] // widths[1]
            self.set_output_type(0, kind, ov.PartialShape([-1, width]))
            for unused in (1, 2):
                self.set_output_type(unused, kind, ov.PartialShape([-1]))

        def _width(self, place: int) -> Any:
            shape = self.get_input_partial_shape(place)
            if shape.rank.is_dynamic or shape[1].is_dynamic:
                return None
            return shape[1].get_length()

        def clone_with_new_inputs(self, inputs: Any) -> StandIn:
            return StandIn(inputs)

        def get_type_info(self) -> Any:
            return StandIn.class_type_info

        def visit_attributes(self, _visitor: Any) -> bool:
            return True

    return StandIn
