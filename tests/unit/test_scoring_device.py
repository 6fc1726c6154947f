"""A scoring device is checked when it is named."""

import pytest
import torch

import conceptmon_tb as cm
from conceptmon_tb.scoring_device import find_device


def test_devices_are_found() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device(torch.device("cpu")) == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cuda:99", "xla", "meta", "gpu", "cpux", ""])
def test_what_cannot_compute_here_is_refused_by_name(device: str) -> None:
    with pytest.raises(ValueError, match=f"scoring_device='{device}' cannot be used here: .*'auto'"):
        cm.ConceptMonitor("layer", scoring_device=device)


@pytest.mark.parametrize("device", [None, 0, 1.5])
def test_a_device_has_a_name(device: object) -> None:
    with pytest.raises(TypeError, match="scoring_device must be a string"):
        find_device(device)
