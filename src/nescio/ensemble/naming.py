"""How ensembles and views as bytes are written as specifications.

``ensemble:A+B,rule=product,weights=.7+.3`` joins models and ``bytes:A`` is one alone. A
member with options of its own, or with a ``+`` or a comma in its name, stands in square
brackets: ``ensemble:[smollm2,precision=bf16]+gemma3-270m``. Options behind the members
are the ensemble's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nescio.errors import InvalidInput

__all__ = [
    "OPTIONS",
    "member_names",
    "name_of",
    "split_outside",
    "weights_from",
    "written",
]

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "ensemble": ("rule", "weights", "prune", "spelling", "most", "reopen"),
    "bytes": ("prune", "spelling", "most", "reopen"),
}
"""The options of each kind; those of a model stand in its brackets."""


def split_outside(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand in no square brackets.

    Raises:
        InvalidInput: brackets that do not match.

    Example:
        >>> split_outside("[a,b]+c,d", ",")
        ['[a,b]+c', 'd']
    """
    parts, depth = [""], 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if depth < 0:
            break
        if character == separator and not depth:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise InvalidInput(
            f"{text!r}: its square brackets do not match; a member with options is "
            "written [smollm2,precision=bf16]"
        )
    return parts


def member_names(text: str) -> tuple[str, ...]:
    """The specifications of members that are joined by ``+``.

    Raises:
        InvalidInput: an empty one, or brackets that do not match.

    Example:
        >>> member_names("[smollm2,precision=bf16]+gemma3-270m")
        ('smollm2,precision=bf16', 'gemma3-270m')
    """
    names = tuple(_unwrapped(part) for part in split_outside(text, "+"))
    if not all(names):
        raise InvalidInput(
            f"{text!r} names an empty member; members are joined by one +, and one "
            "with a + in its name stands in square brackets"
        )
    return names


def weights_from(text: str) -> tuple[float, ...]:
    """Numbers joined by ``+``, as in ``weights=.7+.3``.

    Raises:
        InvalidInput: something else.

    Example:
        >>> weights_from(".7+.3")
        (0.7, 0.3)
    """
    try:
        return tuple(float(part) for part in text.split("+"))
    except ValueError as error:
        raise InvalidInput(
            f"weights are {text!r}: one number a member, joined by +, such as .7+.3"
        ) from error


def written(kind: str, members: Sequence[str], options: Mapping[str, str]) -> str:
    """The specification of an ensemble or a view, which loads it again.

    Args:
        kind: ``ensemble`` or ``bytes``.
        members: the specifications of the models.
        options: in the order they are written.

    Example:
        >>> written("ensemble", ["smollm2,precision=bf16", "a"], {"rule": "mean"})
        'ensemble:[smollm2,precision=bf16]+a,rule=mean'
    """
    names = "+".join(map(_wrapped, members))
    return ",".join(
        [f"{kind}:{names}", *(f"{key}={value}" for key, value in options.items())]
    )


def name_of(model: Any) -> str:
    """The specification of a view or an ensemble, which loads it again.

    Options that a specification has anyway are left out. The members have to be named
    by specifications that load them.

    Example:
        >>> import nescio
        >>> name_of(nescio.load("ensemble:table:coin+table:topics,weights=3+1"))
        'ensemble:table:coin+table:topics,rule=mean,weights=0.75+0.25'
    """
    views = getattr(model, "members", None)
    if views is None:
        return written("bytes", [model.model.name], _view_options(model))
    how = [_view_options(view) for view in views]
    shared = how[0] if all(one == how[0] for one in how) else {}
    names = [
        view.model.name
        if one == shared
        else written("bytes", [view.model.name], one or {"spelling": "all"})
        for view, one in zip(views, how, strict=True)
    ]
    options = {"rule": model.rule}
    if len(set(model.weights)) > 1:
        options["weights"] = "+".join(repr(float(w)) for w in model.weights)
    return written("ensemble", names, options | shared)


def _view_options(view: Any) -> dict[str, str]:
    """The options of a view that are not as usual."""
    from nescio.ensemble.byte_view import USUAL_PRUNE

    usual = {"prune": USUAL_PRUNE, "spelling": "all", "most": None, "reopen": 2}
    return {
        name: str(getattr(view, name))
        for name, value in usual.items()
        if getattr(view, name) != value
    }


def _wrapped(name: str) -> str:
    return f"[{name}]" if set(name) & set("+,[]") else name


def _unwrapped(part: str) -> str:
    whole = part.startswith("[") and part.endswith("]")
    return part[1:-1] if whole else part
