"""What an endpoint can do, as it was found by asking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from nescio.errors import SchemaError

__all__ = ["CapabilityReport", "PromptScoring"]

PromptScoring = Literal["echo", "prompt_logprobs"]


@dataclass(frozen=True)
class CapabilityReport:
    """What a server does, each line found by a request, not by its name.

    Args:
        url, model: what was asked.
        server: what it calls itself, with its version; ``"unknown"``.
        fingerprint: of the model, where the server gives one.
        precision: of the weights, as it calls them; ``"unknown"``.
        completions, chat: whether it continues texts, whether it answers messages.
        completion_logprobs, chat_logprobs: how many candidates a token it gives at
            most, of the numbers that were tried; 0: no log-probabilities.
        before_sampling: whether log-probabilities are the model's own whatever the
            temperature; None: not found out.
        prompt_logprobs: how it scores a text; None: it does not.
        several: whether one request gives several answers.
        seeded: whether the same seed gave the same answer; None: not found out.
        extensions: whether it takes settings beyond OpenAI's (top_k, min_p …).
        honours: of ``top_p``, ``top_k``, ``min_p``: those that were seen to work.
        streams: whether it sends tokens one by one.
        length_name: how it calls the longest answer.
        vocabulary_size: how many tokens it predicts over; None: it does not say.
        context_length: how many tokens it sees; None: it does not say.
        rounding: by how much the probabilities of a prediction may be off in all.
        rounding_measured: whether that was measured on a whole prediction.
        requests, tokens: what finding out has cost.
    """

    url: str
    model: str
    server: str = "unknown"
    fingerprint: str = ""
    precision: str = "unknown"
    completions: bool = False
    chat: bool = False
    completion_logprobs: int = 0
    chat_logprobs: int = 0
    before_sampling: bool | None = None
    prompt_logprobs: PromptScoring | None = None
    several: bool = False
    seeded: bool | None = None
    extensions: bool = False
    honours: tuple[str, ...] = ()
    streams: bool = False
    length_name: str = "max_tokens"
    vocabulary_size: int | None = None
    context_length: int | None = None
    rounding: float = 0.0
    rounding_measured: bool = False
    requests: int = 0
    tokens: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> CapabilityReport:
        """The report that `to_dict` wrote.

        Raises:
            SchemaError: fields are missing or unknown.
        """
        names = {field.name for field in fields(CapabilityReport)}
        if set(given) != names:
            raise SchemaError(
                f"a capability report has the fields {sorted(names)}; got "
                f"{sorted(given)!r:.200}"
            )
        return CapabilityReport(**{**given, "honours": tuple(given["honours"])})
