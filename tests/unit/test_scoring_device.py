"""A scoring device is checked when it is named."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb.scoring_device import find_device
from tests.elsewhere import elsewhere


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


SIMILARITIES = [
    "top_correlation",
    "soft_wpmi",
    "cos_similarity_cubed",
    "rank_reorder",
]


@cache
def bundled() -> tuple[cm.ProbeSet, cm.WorldEncoder]:
    return cm.ProbeSet.world(200, size=32), cm.WorldEncoder()


def watch(similarity: str, device: torch.device | str) -> cm.ConceptSnapshot:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 12, 3, 2), nn.BatchNorm2d(12), nn.ReLU())
    probe, encoder = bundled()
    detector = cm.ClipDissect(similarity)
    monitor = cm.ConceptMonitor("2", probe, encoder=encoder, detector=detector, progress=False)
    monitor.scoring_device = torch.device(device)
    return monitor.observe(net)["2"]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_concepts_are_the_same_when_scored_elsewhere(similarity: str) -> None:
    here = watch(similarity, "cpu")
    with elsewhere() as device:
        there = watch(similarity, device)
    assert there.concept_ids[:, 0].tolist() == here.concept_ids[:, 0].tolist()
    assert np.allclose(there.similarity, here.similarity, rtol=1e-4, atol=1e-3)
    assert np.allclose(there.embedding, here.embedding, atol=1e-3)
    assert there.threshold == pytest.approx(here.threshold, rel=1e-3)
    assert np.allclose(there.explanation_fit, here.explanation_fit, atol=1e-3, equal_nan=True)


def test_elsewhere_refuses_what_was_left_here() -> None:
    with elsewhere() as device:
        there, here = torch.ones(3).to(device), torch.ones(3)
        assert (there + 1).cpu().tolist() == [2, 2, 2]
        with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
            there + here
        with pytest.raises((TypeError, RuntimeError)):
            there.numpy()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_concepts_are_the_same_when_scored_on_a_gpu(similarity: str) -> None:
    here, there = watch(similarity, "cpu"), watch(similarity, "cuda")
    assert there.concept_ids[:, 0].tolist() == here.concept_ids[:, 0].tolist()
    assert np.allclose(there.embedding, here.embedding, atol=1e-3)
