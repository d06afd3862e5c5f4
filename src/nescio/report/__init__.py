"""What people read: one-file pages, pictures, the terminal, tables and JSON."""

from nescio.report.summary import estimates_json
from nescio.report.terminal import Painter, running, scale, summary_table
from nescio.report.trace_page import trace_page
from nescio.report.trace_picture import trace_picture

__all__ = [
    "Painter",
    "estimates_json",
    "running",
    "scale",
    "summary_table",
    "trace_page",
    "trace_picture",
]
