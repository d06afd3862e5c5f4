"""What a generation or a scored text leaves behind."""

from nescio.trace.prompt import Message, Prompt
from nescio.trace.samples import Sample, Samples
from nescio.trace.spans import Span, spans, units
from nescio.trace.storage import TraceWriter, read_traces, write_traces
from nescio.trace.trace import SCHEMA_VERSION, Candidates, Column, Origin, Trace

__all__ = [
    "SCHEMA_VERSION",
    "Candidates",
    "Column",
    "Message",
    "Origin",
    "Prompt",
    "Sample",
    "Samples",
    "Span",
    "Trace",
    "TraceWriter",
    "read_traces",
    "spans",
    "units",
    "write_traces",
]
