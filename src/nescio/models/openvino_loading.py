"""Loading a model onto OpenVINO: from a kept export, or exported, tested and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.errors import CapabilityError, NescioError
from nescio.models.fetching import Report
from nescio.models.openvino import OpenVinoModel
from nescio.models.openvino_cache import Facts, Place
from nescio.models.openvino_export import exported
from nescio.models.openvino_graph import read_graph, write_graph
from nescio.models.openvino_network import PagedNetwork
from nescio.models.openvino_runtime import check_precision, compiled
from nescio.models.self_test import check_export
from nescio.models.tokenizer import Tokenizer
from nescio.trace import Origin

if TYPE_CHECKING:
    from nescio.models.transformers import TransformersModel

__all__ = ["Source", "converted", "load_openvino"]


@dataclass(frozen=True, eq=False)
class Source:
    """What is needed to load a model onto OpenVINO.

    Args:
        name: the specification.
        digest: of the weights.
        place: where its export is kept; None: it is not kept, because what the
            weights are is not known.
        reference: loads the float32 model that is exported and compared with.
        tokenizer: makes the tokenizer, from how many rows the head has and which
            tokens end a text.
        start: the document start.
    """

    name: str
    digest: str
    place: Place | None
    reference: Callable[[], TransformersModel]
    tokenizer: Callable[[int, tuple[int, ...]], Tokenizer]
    start: tuple[int, ...]


def load_openvino(source: Source, *, precision: str, report: Report) -> OpenVinoModel:
    """The model, compiled for this processor.

    Where the export cannot be kept (a cache that is full, or read-only) it is made in
    memory, and ``report`` is told so.

    Raises:
        MissingDependency: OpenVINO is not installed.
        CapabilityError: OpenVINO cannot run this model, or not in this precision, or
            it gives other numbers than transformers.
    """
    check_precision(precision)
    graph, facts = _graph(source, report)
    if facts.refused is not None:
        raise CapabilityError(facts.refused)
    report("compiling", None)
    tokenizer = source.tokenizer(facts.rows, facts.end)
    origin = Origin(source.name, source.digest, tokenizer.digest, "", precision)
    return _compiled(graph, facts, origin, tokenizer=tokenizer, start=source.start)


def converted(reference: TransformersModel, *, precision: str = "f32") -> OpenVinoModel:
    """A loaded float32 model on OpenVINO, compared with itself on torch first.

    Nothing is written.

    Raises:
        CapabilityError: as `load_openvino`.
    """
    graph, facts = exported(reference), _facts(reference)
    check_export(_like(reference, graph, facts, "f32"), reference)
    return _like(reference, graph, facts, precision)


def _compiled(
    graph: Any,
    facts: Facts,
    origin: Origin,
    *,
    tokenizer: Tokenizer,
    start: tuple[int, ...],
) -> OpenVinoModel:
    parts = compiled(graph, precision=origin.precision, name=origin.model)
    engine = f"openvino {version('openvino')}, cache {parts.memory}"
    labels = tokenizer.vocabulary.labels.values()
    if padded := sum(label.startswith("<pad:") for label in labels):
        engine += f", {padded} padded rows masked"
    named = replace(origin, engine=engine)
    return OpenVinoModel(
        origin.model,
        named,
        tokenizer,
        start,
        facts.context_length,
        PagedNetwork(parts),
    )


def _like(
    reference: TransformersModel, graph: Any, facts: Facts, precision: str
) -> OpenVinoModel:
    origin = replace(reference.origin, precision=precision)
    return _compiled(
        graph,
        facts,
        origin,
        tokenizer=reference.tokenizer,
        start=reference.start,
    )


def _facts(reference: TransformersModel, refused: str | None = None) -> Facts:
    return Facts(
        network=type(reference.network).__name__,
        rows=reference.vocabulary.size,
        context_length=reference.context_length,
        end=tuple(reference.vocabulary.end),
        refused=refused,
    )


def _graph(source: Source, report: Report) -> tuple[Any, Facts]:
    """The graph of a kept export; else made, tested and, where possible, kept."""
    if source.place is None:
        return _made(source, None, report)
    if (facts := source.place.facts()) is None:
        with _turn(source.place, report):
            if (facts := source.place.facts()) is None:
                return _made(source, source.place, report)
    return _read(source.place, facts), facts


def _read(place: Place, facts: Facts) -> Any:
    return None if facts.refused is not None else read_graph(place.directory)


@contextmanager
def _turn(place: Place, report: Report) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(place.alone(report))
        except (OSError, NotImplementedError) as error:
            report(f"the export will not be kept: {_reason(error)}", None)
        yield


def _made(source: Source, place: Place | None, report: Report) -> tuple[Any, Facts]:
    report(f"exporting {source.name} to OpenVINO, once", None)
    reference = source.reference()
    try:
        graph = exported(reference)
        facts = _facts(reference)
        if place is not None:
            kept = _kept(graph, facts, reference=reference, place=place, report=report)
            if kept:
                del graph
                return _read(place, facts), facts
        check_export(_like(reference, graph, facts, "f32"), reference)
    except CapabilityError as refusal:
        words = str(refusal).replace(source.name, "this model")  # it may be moved
        facts = _facts(reference, words)
        if place is not None and refusal.__cause__ is None:
            _kept(None, facts, reference=reference, place=place, report=report)
        return None, facts
    return graph, facts


def _kept(
    graph: Any,
    facts: Facts,
    *,
    reference: TransformersModel,
    place: Place,
    report: Report,
) -> bool:
    """Whether an export could be kept: written, read back, and tested as it is there.

    So is a refusal, which has no graph: the next load need not try again. What is
    not kept is an error of a library, for it may have come from the circumstances.
    """

    def write(directory: Path) -> None:
        if graph is not None:
            write_graph(graph, directory)
            report("comparing the export with torch", None)
            there = read_graph(directory)
            check_export(_like(reference, there, facts, "f32"), reference)

    try:
        place.put(facts, write)
    except NescioError:
        raise
    except (OSError, RuntimeError) as error:
        report(f"the export is not kept: {_reason(error)}", None)
        return False
    return True


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[-1]
