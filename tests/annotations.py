"""The annotations of nescio, checked whenever one of its functions is called.

jaxtyping's own decorator binds the signature and checks the parameters twice in every
call, which was most of the time that the tests took. This one asks beartype once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

_decorate = jaxtyping.jaxtyped
_checked_once = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))
_axes_of_its_own = jaxtyping.jaxtyped("context")


def check_annotations(package: str) -> None:
    """Check every function of a package that is imported from here on."""
    jaxtyping.jaxtyped = _checked
    jaxtyping.install_import_hook(package, "beartype.beartype")


def _checked(found: Any = None, *, typechecker: Any) -> Any:
    """A class or function with its annotations checked; put around it by the hook."""
    if found is None:
        return functools.partial(_checked, typechecker=typechecker)
    if inspect.isclass(found):
        if dataclasses.is_dataclass(found) and not _is_checked(found.__init__):
            found.__init__ = _checked_function(found.__init__)
        return found
    # What a generator yields is of no shape yet when it is called.
    later = inspect.isgeneratorfunction(found) or inspect.iscoroutinefunction(found)
    if later or not inspect.isfunction(found):
        return _decorate(found, typechecker=typechecker)
    return _checked_function(found)


def _is_checked(function: Any) -> bool:
    return getattr(function, "__globals__", None) is globals()


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose named axes are those of one call, its result included."""
    written = function.__annotations__
    function.__annotations__ = {
        name: _evaluated(hint, function.__globals__) for name, hint in written.items()
    }
    try:
        checked = _checked_once(function)
    finally:
        function.__annotations__ = written

    @functools.wraps(function)
    def within(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _axes_of_its_own:
            return checked(*args, **kwargs)

    return within


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    """A hint that was written as text; ``Any`` where it has no value at run time, as
    ``array[float]`` and what is imported for type checkers alone."""

    def holder() -> None: ...

    holder.__annotations__ = {"hint": hint}
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["hint"]
    except (NameError, TypeError):
        return Any
