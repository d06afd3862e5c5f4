"""What architectures do to their hidden rows at the very end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["raw_logits"]


def raw_logits(config: Any, output: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Hidden rows to logits: the head, and the scale or soft-cap behind it.

    Rows that are no token (`padded_rows`) are still in it.

    Args:
        config: the network's configuration.
        output: the head, a module.
        hidden: normalised hidden rows.
    """
    text = config.get_text_config()
    logits = output(hidden)
    if (scale := getattr(text, "logit_scale", None)) is not None:
        logits = logits * scale
    if (scaling := getattr(text, "logits_scaling", None)) is not None:
        logits = logits / scaling
    if (cap := getattr(text, "final_logit_softcapping", None)) is not None:
        logits = (logits / cap).tanh() * cap
    return logits
