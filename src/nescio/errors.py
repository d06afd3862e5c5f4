"""Every refusal of nescio, as one tree.

::

    NescioError
    ├── InvalidInput            the caller's data cannot be measured
    │   ├── InvalidDistribution     NaN, +inf, all -inf, unnormalised probabilities
    │   ├── InvalidText             empty text, bytes that are not UTF-8
    │   ├── ContextOverflow         text longer than the context, windowing off
    │   ├── NotEnoughData           sound data, but too little for an interval
    │   └── SchemaError             a file or object that is not what it claims to be
    ├── ModelError              a model cannot be had, or cannot do what was asked
    │   ├── UnknownModel            no model of that name or specification
    │   ├── CapabilityError         the model lacks a capability the measure needs
    │   ├── LicenceNotAccepted      terms that have to be accepted first
    │   ├── DownloadFailed          the package index gave no such file
    │   ├── WrongHash               a file is not the file it should be
    │   ├── ConversionFailed        no disk, unreadable weights
    │   └── EndpointError           a server cannot be reached, or refuses
    │       ├── ResponseError           what a server said cannot be right
    │       └── BudgetExhausted         the requests or tokens allowed are used up
    └── MissingDependency       an optional library is not installed

Each message says what was wrong, the value, and what to do. The command line turns
every one of them into a single line on standard error and exit code 2.
"""

from __future__ import annotations

__all__ = [
    "BudgetExhausted",
    "CapabilityError",
    "ContextOverflow",
    "ConversionFailed",
    "DownloadFailed",
    "EndpointError",
    "InvalidDistribution",
    "InvalidInput",
    "InvalidText",
    "LicenceNotAccepted",
    "MissingDependency",
    "ModelError",
    "NescioError",
    "NotEnoughData",
    "ResponseError",
    "SchemaError",
    "UnknownModel",
    "WrongHash",
]


class NescioError(Exception):
    """The root of every refusal."""


class InvalidInput(NescioError, ValueError):
    """The caller's data cannot be measured."""


class InvalidDistribution(InvalidInput):
    """A row is not a distribution: NaN, +inf, all -inf, or not normalised."""


class InvalidText(InvalidInput):
    """A text cannot be measured: it is empty or not valid UTF-8."""


class ContextOverflow(InvalidInput):
    """A text is longer than the model's context and windowing is off."""


class NotEnoughData(InvalidInput):
    """The data are sound, but too few to say how far a number may be off."""


class SchemaError(InvalidInput):
    """A file or object is not what it claims to be."""


class ModelError(NescioError):
    """A model cannot be had, or cannot do what was asked."""


class UnknownModel(ModelError, LookupError):
    """There is no model of that name or specification."""


class CapabilityError(ModelError):
    """The model lacks a capability the measure needs."""


class LicenceNotAccepted(ModelError):
    """The model's terms have to be accepted first."""


class DownloadFailed(ModelError, OSError):
    """The package index did not give the file."""


class WrongHash(ModelError):
    """A file is not the file it should be."""


class ConversionFailed(ModelError, OSError):
    """Weights could not be read or written."""


class EndpointError(ModelError, OSError):
    """A server cannot be reached, or does not do what was asked."""


class ResponseError(EndpointError, ValueError):
    """What a server said cannot be right, or is not what was asked for."""


class BudgetExhausted(EndpointError):
    """The requests or tokens that were allowed are used up."""


class MissingDependency(NescioError, ImportError):
    """An optional library is not installed."""
