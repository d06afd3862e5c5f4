"""From a specification to a model: ``nescio.load("smollm2,precision=f32")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from nescio.ensemble.naming import OPTIONS, member_names, split_outside, weights_from
from nescio.errors import CapabilityError, InvalidInput, UnknownModel

if TYPE_CHECKING:
    from nescio.ensemble.byte_view import ByteView
    from nescio.ensemble.joining import Ensemble
    from nescio.models.endpoint import Endpoint
    from nescio.models.loading import Options
    from nescio.models.marian import Translator
    from nescio.models.openvino import OpenVinoModel
    from nescio.models.table import Table
    from nescio.models.transformers import TransformersModel

__all__ = ["ENGINES", "Specification", "load", "parse_specification"]

ENGINES = ("table", "openvino", "transformers", "endpoint")
_KINDS = ("hf", "table", "bytes", "ensemble")
_SCHEMES = ("http", "https")
_ABLE = {"table": ("table",), "endpoint": ("endpoint",)}
_LOCAL_OPTIONS = ("precision", "weights", "start")

Report = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Specification:
    """What a specification says: a kind, a name within it, and options."""

    kind: str
    name: str
    options: Mapping[str, str]


def parse_specification(text: str) -> Specification:
    """Read ``NAME[,key=value…]`` or ``KIND:NAME[,key=value…]``.

    Of ``ensemble:A+B`` the name is all the members, of ``bytes:A`` the one model; there
    a comma inside square brackets belongs to a member.

    Raises:
        UnknownModel: a kind that does not exist.
        InvalidInput: an option that is not key=value, or given twice; brackets that
            do not match.

    Example:
        >>> found = parse_specification("hf:gpt2,precision=bf16")
        >>> found.kind, found.name, found.options
        ('hf', 'gpt2', {'precision': 'bf16'})
    """
    if not text.isprintable():
        raise UnknownModel(f"{text!r}: a specification is printable text")
    joins = text.partition(":")[0] in OPTIONS
    head, *rest = split_outside(text, ",") if joins else text.split(",")
    kind, colon, name = head.partition(":")
    if not colon:
        kind, name = "catalogue", head
    elif kind in _SCHEMES:
        kind, name = "endpoint", head
    elif kind not in _KINDS:
        raise UnknownModel(
            f"{text!r}: there is no kind {kind!r}; a model is a catalogue name, "
            "hf:DIRECTORY-OR-ID, table:FILE, http://HOST/v1#NAME, ensemble:A+B or "
            "bytes:A"
        )
    if not name:
        raise UnknownModel(f"{text!r} names no model; see: nescio models list")
    options: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or not key or not value or key in options:
            raise InvalidInput(
                f"{text!r}: {part!r} is not an option key=value, given once"
            )
        options[key] = value
    return Specification(kind, name, options)


def load(
    specification: str,
    *,
    engine: str | None = None,
    accept_license: bool = False,
    report: Report | None = None,
) -> (
    Table
    | OpenVinoModel
    | TransformersModel
    | Endpoint
    | Translator
    | ByteView
    | Ensemble
):
    """A model from its specification.

    On ``openvino``, the faster engine, a model is exported first, once: its graph is
    kept in the cache, and compared with transformers before it is. Where OpenVINO is
    not installed or cannot run the model rightly, ``transformers`` does; the origin of
    every trace names the engine and, in the second case, what was wrong with the other.

    Args:
        specification: a catalogue name (``smollm2``), ``hf:DIRECTORY-OR-ID``, or
            ``table:FILE``, with options behind commas: ``precision=f32|bf16``
            (arithmetic; f32 is the reference and the default), ``weights=int8``
            (rounded to eight bits row by row, to see what that costs) and
            ``start=TOKEN`` or ``start=none`` (what a text is conditioned on). Or a
            server with an
            OpenAI-compatible API, ``http://HOST/v1#NAME``, with ``vocabulary=SIZE``
            (where it does not say), ``key=VARIABLE`` (the environment variable that
            holds its key), ``concurrency``, ``timeout``, ``retries``,
            ``max_requests`` and ``max_tokens_total``. It is asked at once what it
            can do, which costs some two dozen short requests. Or models with different
            vocabularies joined at every byte, ``ensemble:A+B``, with
            ``rule=mean|posterior|product|min|max|switch|power:A`` (mean),
            ``weights=.7+.3`` (equal), ``prune=SHARE`` (.01), ``most=COUNT``,
            ``reopen=TOKENS`` and ``spelling=all|canonical``, see `nescio.ByteView`;
            ``bytes:A`` is one model read so. A member with options stands in brackets:
            ``ensemble:[smollm2,precision=bf16]+B``.
        engine: ``openvino`` or ``transformers`` (the reference); None takes the
            fastest that can run the model, ``table`` for a table. Of an ensemble that
            of all members.
        accept_license: agree to the terms of a model that has some.
        report: called with (what is being done, share done or None) while a model is
            fetched or exported.

    Raises:
        UnknownModel: no such model.
        InvalidInput: an unknown option or engine.
        CapabilityError: the engine asked for cannot run the model, or a member cannot
            be read byte by byte: a server.
        MissingDependency: the engine asked for is not installed.
        EndpointError: a server cannot be reached, or answers nothing.
        LicenceNotAccepted, DownloadFailed, WrongHash, ConversionFailed: as
            ``nescio models get``, which is done first for a catalogue name.

    Example:
        >>> load("table:coin").vocabulary.size    # H, T and the document start
        3
    """
    found = parse_specification(specification)
    if found.kind in OPTIONS:
        loader = _Loader(engine, accept_license, report)
        return _joined(specification, found, loader)
    able = _ABLE.get(found.kind, ("openvino", "transformers"))
    if engine is not None and engine not in ENGINES:
        raise InvalidInput(f"unknown engine {engine!r}: one of {ENGINES}")
    if engine is not None and engine not in able:
        raise InvalidInput(
            f"the engine {engine!r} cannot run {specification!r}; "
            f"it runs on {' or '.join(map(repr, able))}"
        )
    if found.kind == "table":
        return _table(found)
    if found.kind == "endpoint":
        return _endpoint(found, report or _silent)
    _check_options(found, _LOCAL_OPTIONS)
    from nescio.models import loading

    options = loading.Options(
        precision=found.options.get("precision", "f32"),
        weights=found.options.get("weights", "stored"),
        start=found.options.get("start"),
        engine=engine,
        report=report or _silent,
    )
    if found.kind == "hf":
        return loading.load_hugging_face(specification, found.name, options)
    return _catalogue(specification, found.name, options, accept_license)


@dataclass(frozen=True)
class _Loader:
    """How the members of an ensemble are loaded: as `load`."""

    engine: str | None
    accept_license: bool
    report: Report | None

    def __call__(self, name: str) -> Any:
        return load(
            name,
            engine=self.engine,
            accept_license=self.accept_license,
            report=self.report,
        )


def _joined(text: str, found: Specification, loader: _Loader) -> ByteView | Ensemble:
    """A view as bytes, or several that are joined; each model is loaded once.

    Raises:
        InvalidInput: several models where one belongs, an option that makes no sense.
        CapabilityError: a member that cannot be read byte by byte.
    """
    from nescio.ensemble.byte_view import ByteView
    from nescio.ensemble.joining import Ensemble
    from nescio.models.table import read_table

    _check_joined_options(found)
    names = member_names(found.name)
    how = _view_options(found.options)
    for name in names:
        _check_member(name, inside=text)
    coin = ByteView(read_table("coin"), **how)  # refuses before anything is loaded
    if found.kind == "bytes":
        name, *others = names
        if others:
            raise InvalidInput(
                f"{text!r} names {len(names)} models; several are ensemble:A+B"
            )
        return ByteView(loader(name), **how)
    given = found.options.get("weights")
    shares = [1.0] * len(names) if given is None else list(weights_from(given))
    rule = found.options.get("rule", "mean")
    Ensemble([coin] * len(names), rule=rule, weights=shares)
    kept = [place for place, share in enumerate(shares) if share > 0.0]
    loaded = {name: loader(name) for name in dict.fromkeys(names[i] for i in kept)}
    members = [_viewed(loaded[names[place]], how) for place in kept]
    return Ensemble(members, rule=rule, weights=[shares[place] for place in kept])


def _viewed(model: Any, how: Mapping[str, Any]) -> ByteView:
    from nescio.ensemble.byte_view import ByteView

    return model if isinstance(model, ByteView) else ByteView(model, **how)


def _view_options(options: Mapping[str, str]) -> dict[str, Any]:
    from nescio.ensemble.byte_view import USUAL_PRUNE, Spelling

    how: dict[str, Any] = {"prune": USUAL_PRUNE}
    if "prune" in options:
        try:
            how["prune"] = float(options["prune"])
        except ValueError as error:
            raise InvalidInput(
                f"prune is {options['prune']!r}: a share in [0, 1), such as .01"
            ) from error
    for name in ("most", "reopen"):
        if name in options:
            how[name] = _count(name, options[name])
    if "spelling" in options:
        how["spelling"] = options["spelling"]
        if how["spelling"] not in get_args(Spelling):
            raise InvalidInput(
                f"spelling is {how['spelling']!r}: choose one of {get_args(Spelling)}"
            )
    return how


def _count(name: str, text: str) -> int:
    if not text.isdecimal():
        raise InvalidInput(f"{name} is {text!r}: a whole number, 0 or more")
    return int(text)


def _check_joined_options(found: Specification) -> None:
    known = OPTIONS[found.kind]
    for key in found.options:
        if key not in known:
            raise InvalidInput(
                f"unknown option {key!r} for {found.kind}:{found.name}; it takes "
                f"{', '.join(known)}. Options of a model stand in brackets: "
                f"{found.kind}:[NAME,{key}={found.options[key]}]"
            )


def _check_member(name: str, *, inside: str) -> None:
    found = parse_specification(name)
    kind = found.kind
    if kind == "catalogue":
        from nescio.models import catalogue

        catalogue.entry(found.name)  # refuses an unknown one
    if kind == "ensemble" or (kind == "bytes" and inside.startswith("bytes:")):
        raise InvalidInput(
            f"{inside!r}: {name} cannot be a member: name all models in one ensemble, "
            "with their weights"
        )
    if kind == "endpoint":
        raise CapabilityError(
            f"{inside!r}: {name} is a server, which neither gives the probability of "
            "every token nor can be read byte by byte; name a local model"
        )


def _table(found: Specification) -> Table:
    from nescio.models.table import read_table

    _check_options(found, ())
    return read_table(found.name)


def _endpoint(found: Specification, report: Report) -> Endpoint:
    from nescio.models.endpoint import connect
    from nescio.models.endpoint_address import OPTIONS, address_of

    _check_options(found, OPTIONS)
    address = address_of(found.name, found.options)
    report(f"asking {address.specification} what it can do", None)
    return connect(address)


def _catalogue(
    text: str, name: str, options: Options, accept_license: bool
) -> OpenVinoModel | TransformersModel | Translator:
    from nescio.models import catalogue, loading

    catalogue.entry(name)
    loading.check_loadable(options)
    catalogue.get(name, accept_license=accept_license, report=options.report)
    return loading.load_catalogue(text, name, options)


def _silent(_stage: str, _share: float | None) -> None:
    pass


def _check_options(found: Specification, known: tuple[str, ...]) -> None:
    for key in found.options:
        if key not in known:
            raise InvalidInput(
                f"unknown option {key!r} for {found.name!r}; "
                + (f"it takes {', '.join(known)}" if known else "it takes none")
            )
