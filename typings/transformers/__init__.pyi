# transformers is checked as Any: to read its own code triples the time of a check.
from typing import Any

def __getattr__(name: str) -> Any: ...
