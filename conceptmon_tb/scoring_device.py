"""Where concepts are scored: checked when a monitor is made, not after the first epoch."""

from __future__ import annotations

import torch


def find_device(scoring_device: str | torch.device) -> torch.device:
    """Choose the device that a detector computes on.

    Args:
        scoring_device: "cpu", "cuda", "cuda:1", "mps" and so on; "auto" is the current CUDA device where
            there is one, else the CPU.

    Returns:
        The device, with its number where it has one.

    Raises:
        TypeError: It is neither a string nor a device.
        ValueError: There is no such device here, or it cannot compute.
    """
    if not isinstance(scoring_device, (str, torch.device)):
        raise TypeError(
            f"scoring_device must be a string such as 'cpu' or 'cuda', got "
            f"{type(scoring_device).__name__}: {scoring_device!r}"
        )
    if scoring_device == "auto":
        scoring_device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        probed = torch.ones(2, device=torch.device(scoring_device)).sum()
        probed.item()  # "meta" has no values, and says so here
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(
            f"scoring_device={str(scoring_device)!r} cannot be used here: {reason}. Use 'cpu', or 'auto' for "
            f"a GPU where there is one"
        ) from error
    return probed.device
