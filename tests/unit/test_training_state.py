# ruff: noqa: NPY002 (the legacy stream is what must be kept)
import contextlib
import copy
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from conceptmon_tb.training_state import preserve_rng_streams, preserve_training_state, unwrap_model


class Restless(nn.Module):
    """Its forward counts, draws random numbers and fails on demand, whatever its mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5), nn.Flatten(), nn.Linear(6 * 36, 4)
        )
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.full((2,), float("nan")))
        self.fail = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.last = torch.rand(3)
        random.random()
        np.random.rand()
        if self.fail:
            raise RuntimeError("forward failed")
        return self.net(x)


def streams() -> tuple[object, ...]:
    state = np.random.get_state()
    return random.getstate(), state[1].tobytes(), state[2:], torch.get_rng_state().numpy().tobytes()


@given(seed=st.integers(0, 2**31), fails=st.booleans())
@settings(max_examples=20, deadline=None)
def test_global_random_streams_continue_as_if_nothing_had_drawn_from_them(seed: int, fails: bool) -> None:
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    before = streams()
    with contextlib.suppress(KeyboardInterrupt), preserve_rng_streams():
        random.random(), np.random.rand(), torch.rand(5)
        if fails:
            raise KeyboardInterrupt
    assert streams() == before


def test_random_numbers_inside_are_the_same_every_time() -> None:
    draws = []
    for _ in range(2):
        with preserve_rng_streams(7):
            draws.append((random.random(), np.random.rand(), float(torch.rand(()))))
    assert draws[0] == draws[1]


@pytest.mark.parametrize("fails", [False, True])
def test_everything_of_a_restless_model_is_as_before(fails: bool) -> None:
    model = Restless()
    model.net[1].eval()
    model.net[0].weight.requires_grad_(False)
    model(torch.rand(4, 3, 8, 8)).sum().backward()
    model.fail = fails
    before_state = copy.deepcopy(model.state_dict())
    before_gradient = model.net[4].weight.grad.clone()
    before_modes = [m.training for m in model.modules()]
    before_streams, last = streams(), model.last
    outcome = pytest.raises(RuntimeError, match="forward failed") if fails else contextlib.nullcontext()
    with outcome, preserve_training_state(model):
        assert not any(m.training for m in model.modules())
        assert not torch.is_grad_enabled()
        model(torch.rand(4, 3, 8, 8))
    assert [m.training for m in model.modules()] == before_modes
    assert streams() == before_streams
    assert model.last is last
    assert torch.equal(model.net[4].weight.grad, before_gradient)
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True, True, True]
    for name, value in model.state_dict().items():
        assert value.numpy().tobytes() == before_state[name].numpy().tobytes(), name
    assert torch.is_grad_enabled()


def test_the_callers_grad_mode_autocast_and_cudnn_flags_come_back() -> None:
    model = nn.Linear(2, 2)
    torch.backends.cudnn.benchmark = True
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.enable_grad():
        with preserve_training_state(model):
            torch.backends.cudnn.benchmark = False
            assert model(torch.rand(1, 2)).dtype == torch.float32
        assert model(torch.rand(1, 2)).dtype == torch.bfloat16
    assert torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False


def test_a_forward_that_writes_to_a_weight_is_reported_by_name() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match=r"'weight'.*self\.training"), preserve_training_state(model):
        model.weight.mul_(1.0)


def test_a_models_own_train_method_is_not_called() -> None:
    class Merging(nn.Linear):
        def train(self, mode: bool = True) -> "Merging":
            raise AssertionError("merging weights is not bit-exact")

    model = Merging(2, 2)
    with preserve_training_state(model):
        assert not model.training
    assert model.training


def test_wrappers_are_looked_through() -> None:
    inner = nn.Sequential(nn.Linear(2, 2))
    assert unwrap_model(nn.DataParallel(inner)) is inner
    assert unwrap_model(torch.compile(inner)) is inner
    assert unwrap_model(inner) is inner
