"""What has to be the same for an alarm to speak of an answer: model and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nescio.errors import InvalidInput
from nescio.trace import Origin, Trace

__all__ = ["check_same_settings", "is_plain", "settings_of", "settings_of_all"]

_OF_ORIGIN = ("model_digest", "tokenizer_digest", "template_digest", "precision")
_OF_DECODING = ("kind", "sampling", "stop", "chat")

_NEUTRAL = {"top_p": 1, "min_p": 0, "typical_p": 1}


def is_plain(origin: Origin) -> bool:
    """Whether a text was drawn from the model's own distribution, nothing cut off.

    Example:
        >>> import nescio
        >>> coin = nescio.load("table:coin")
        >>> cold = nescio.Decoding(2, nescio.Sampling(temperature=0.5))
        >>> is_plain(nescio.generate(coin, "H", decoding=nescio.Decoding(2)).origin)
        True
        >>> is_plain(nescio.generate(coin, "H", decoding=cold).origin)
        False
    """
    drawn = origin.decoding.get("sampling")
    if not isinstance(drawn, Mapping) or drawn.get("temperature") != 1:
        return False  # a temperature that is not known may be any
    return all(
        name == "temperature" or value is None or value == _NEUTRAL.get(name)
        for name, value in drawn.items()
    )


def settings_of(origin: Origin) -> dict[str, Any]:
    """Model, precision, template and decoding of an answer, as JSON values.

    Example:
        >>> origin = Origin("m", "sha256:1", "sha256:2", "table", "f64")
        >>> settings_of(origin)["model_digest"]
        'sha256:1'
    """
    found: dict[str, Any] = {name: getattr(origin, name) for name in _OF_ORIGIN}
    found |= {name: origin.decoding.get(name) for name in _OF_DECODING}
    found["stop"] = sorted(found["stop"] or ())
    return found


def settings_of_all(traces: Sequence[Trace]) -> dict[str, Any]:
    """The settings that all traces share.

    Raises:
        InvalidInput: no traces; two that differ, with what they differ in.
    """
    if not traces:
        raise InvalidInput("no traces: an alarm is fitted on healthy answers")
    first = settings_of(traces[0].origin)
    for number, trace in enumerate(traces[1:], start=1):
        if differences := _differences(first, settings_of(trace.origin)):
            raise InvalidInput(
                f"trace {number} is not of the same model and settings as trace 0: "
                f"{differences}; fit one alarm for each"
            )
    return first


def check_same_settings(fitted: Mapping[str, Any], origin: Origin) -> None:
    """Refuse an answer of another model or of other settings than were fitted.

    Raises:
        InvalidInput: with what differs.
    """
    if differences := _differences(fitted, settings_of(origin)):
        raise InvalidInput(
            f"the alarm was fitted on other answers: {differences}; fit one on healthy "
            "answers of this model with these settings"
        )


def _differences(fitted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What differs, each as name: fitted, not found."""
    return "; ".join(
        f"{name} {_short(fitted[name])}, not {_short(found[name])}"
        for name in found
        if fitted[name] != found[name]
    )


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        set_ones = {k: v for k, v in value.items() if v is not None}
        return str(set_ones)
    return repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:37]}…"
