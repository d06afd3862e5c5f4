"""Where an endpoint is, and what is allowed there: read from a specification."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nescio.errors import InvalidInput, UnknownModel

__all__ = ["OPTIONS", "Address", "Key", "address_of", "key_of"]

OPTIONS = (
    "vocabulary",
    "key",
    "concurrency",
    "timeout",
    "retries",
    "max_requests",
    "max_tokens_total",
)
_OPENAI = "api.openai.com"
_KEY_VARIABLE, _OPENAI_KEY_VARIABLE = "NESCIO_API_KEY", "OPENAI_API_KEY"
_SHORTEST_KEY = 6


@dataclass(frozen=True)
class Address:
    """An endpoint and the rules of talking to it.

    Args:
        url: without a slash at its end, e.g. ``http://127.0.0.1:8080/v1``.
        model: its name there; empty: the only one that is served.
        vocabulary: how many tokens the model has, where the server does not say.
        key: the environment variable that holds the key; empty: `key_of` decides.
        concurrency: how many requests are under way at most.
        timeout: seconds until a request counts as failed.
        retries: how often a failed request is repeated.
        max_requests: how many may be sent in all, probe included; None: no limit.
        max_tokens_total: how many tokens may be generated in all; None: no limit.
    """

    url: str
    model: str = ""
    vocabulary: int | None = None
    key: str = ""
    concurrency: int = 4
    timeout: float = 300.0
    retries: int = 5
    max_requests: int | None = None
    max_tokens_total: int | None = None

    @property
    def specification(self) -> str:
        """What names the model in traces: URL and model, no options."""
        return f"{self.url}#{self.model}" if self.model else self.url

    @property
    def is_here(self) -> bool:
        """Whether it is this machine, talked to without encryption."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and _is_here(parts.hostname or "")

    @property
    def root(self) -> str:
        """The server without the version of its API: where llama.cpp has its own."""
        return self.url.removesuffix("/v1")


@dataclass(frozen=True)
class Key:
    """The key of an endpoint; it never shows itself.

    Args:
        value: what is sent; empty: nothing.
        variable: the environment variable it came from.
    """

    value: str = field(default="", repr=False)
    variable: str = ""

    def hidden(self, text: str) -> str:
        """A text in which the key, if it is there, cannot be read."""
        if len(self.value) < _SHORTEST_KEY:
            return text
        return text.replace(self.value, f"<{self.variable}>")

    def inside(self, raw: bytes) -> bool:
        """Whether somebody repeats the key."""
        if len(self.value) < _SHORTEST_KEY:
            return False
        # JSON may write a slash with a backslash.
        return self.value.encode() in raw or self.value.encode() in raw.replace(
            b"\\/", b"/"
        )


def address_of(text: str, options: Mapping[str, str]) -> Address:
    """The address of ``http://HOST/v1#NAME`` with its options.

    Raises:
        UnknownModel: no URL of a server, or one that holds a user or a query.
        InvalidInput: an option that is no number, or out of range.

    Example:
        >>> address_of("http://127.0.0.1:8080/v1#m", {"vocabulary": "49152"}).vocabulary
        49152
    """
    url, _, model = text.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UnknownModel(f"{text!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UnknownModel(f"{text!r} is no URL of a server")
    if parts.username is not None or parts.password is not None or parts.query:
        raise UnknownModel(
            "an endpoint's URL holds no user, key or query; put the key into the "
            f"environment variable {_KEY_VARIABLE}, or name another with key=VARIABLE"
        )
    return Address(
        f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}",
        model,
        _count(options, "vocabulary", None),
        options.get("key", ""),
        _count(options, "concurrency", 4) or 4,
        _seconds(options.get("timeout", "300")),
        _count(options, "retries", 5, least=0) or 0,
        _count(options, "max_requests", None),
        _count(options, "max_tokens_total", None),
    )


def key_of(address: Address) -> Key:
    """The key to send there, from the environment.

    ``NESCIO_API_KEY`` goes to any endpoint, ``OPENAI_API_KEY`` to OpenAI's own host
    only, and a variable that the specification names to that endpoint. A key is sent
    over https, or to this machine.

    Raises:
        InvalidInput: the variable named is not set; the key would travel unencrypted.
    """
    parts = urlsplit(address.url)
    if address.key:
        if not os.environ.get(address.key):
            raise InvalidInput(
                f"key={address.key}: there is no such environment variable, or it is "
                "empty"
            )
        key = Key(os.environ[address.key].strip(), address.key)
    elif parts.hostname == _OPENAI and os.environ.get(_OPENAI_KEY_VARIABLE):
        key = Key(os.environ[_OPENAI_KEY_VARIABLE].strip(), _OPENAI_KEY_VARIABLE)
    else:
        key = Key(os.environ.get(_KEY_VARIABLE, "").strip(), _KEY_VARIABLE)
    if key.value and parts.scheme == "http" and not _is_here(parts.hostname or ""):
        raise InvalidInput(
            f"{key.variable} would travel unencrypted to {parts.hostname}; use https, "
            f"or unset {key.variable}"
        )
    if not key.value.isascii() or not key.value.isprintable():
        raise InvalidInput(f"{key.variable} holds characters that no key has")
    return key


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _count(
    options: Mapping[str, str], name: str, default: int | None, least: int = 1
) -> int | None:
    if name not in options:
        return default
    text = options[name]
    if not (text.isascii() and text.isdecimal()) or int(text[:18]) < least:
        raise InvalidInput(f"{name}={text}: a whole number from {least} on is needed")
    return int(text[:18])


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.0 < found < 1e6:
        raise InvalidInput(f"timeout={text}: a number of seconds above 0 is needed")
    return found
