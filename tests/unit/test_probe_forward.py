"""Models that take something else than one batch of images say so, and can be called all the same."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

import conceptmon_tb as cm
from tests.models import Net, answer, eager_answer, make_images, make_net


class WithMask(Net):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(x * mask)


class ByName(Net):
    def forward(self, *, pixel_values: Tensor) -> Tensor:
        return super().forward(pixel_values)


class FromMapping(Net):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return super().forward(batch["image"])


class Textual(Net):
    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Tensor:
        if pixel_values is None:
            raise ValueError("You have to specify pixel_values")
        return super().forward(pixel_values)


class Unfinished(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Conv2d(3, 2, 3)


CASES = [
    (WithMask, r"WithMask\.forward\(x.*mask.*missing", lambda model, images: model(images, torch.ones(()))),
    (ByName, r"ByName\.forward\(\*, pixel_values", lambda model, images: model(pixel_values=images)),
    (FromMapping, "FromMapping failed on one batch", lambda model, images: model({"image": images})),
    (Textual, "You have to specify pixel_values", lambda model, images: model(pixel_values=images)),
]


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize(("kind", "message", "forward"), CASES)
def test_a_model_that_wants_something_else_names_the_way_out_and_takes_it(
    kind: type[Net], message: str, forward: Callable[[nn.Module, Tensor], Any]
) -> None:
    net, images = make_net(), make_images()
    expected = eager_answer(net, "b.conv", images)
    net.__class__ = kind
    with pytest.raises(TypeError, match=rf"{message}.*forward=lambda model, images"):
        answer(net, "b.conv", images)
    np.testing.assert_allclose(answer(net, "b.conv", images, forward=forward), expected, atol=2e-6)


def test_a_module_without_a_forward_names_the_way_out() -> None:
    model = Unfinished()
    with pytest.raises(TypeError, match=r"Unfinished failed.*forward=lambda"):
        answer(model, "b", make_images())
    values = answer(model, "b", make_images(), forward=lambda model, images: model.b(images))
    assert values.shape == (10, 2)


def test_errors_of_a_forward_that_works_or_was_given_stay_what_they_are() -> None:
    def fails(model: nn.Module, images: Tensor) -> None:
        raise KeyError("mine")

    class FailsLater(Net):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) < 4:
                raise IndexError("the last batch")
            return super().forward(x)

    with pytest.raises(KeyError, match="mine"):
        answer(make_net(), "b", make_images(), forward=fails)
    with pytest.raises(IndexError, match="the last batch"):
        answer(FailsLater(), "head", make_images())


@pytest.fixture
def _own_state() -> Iterator[None]:
    """Accelerate keeps one state for each process, which other tests of this one may have made."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("_own_state")
def test_accelerates_mixed_precision_does_not_reach_the_probe() -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    net, images = make_net(), make_images()
    expected = eager_answer(net, "b.conv", images)
    prepared = accelerator.prepare(net)
    forward = prepared.forward
    np.testing.assert_allclose(answer(prepared, "b.conv", images), expected, atol=2e-6)
    assert prepared.forward is forward
    with pytest.raises(RuntimeError):
        answer(prepared, "b.conv", torch.rand(10, 7, 8, 8))
    assert prepared.forward is forward


def test_the_monitor_checks_its_forward_and_the_models_before_the_probe_is_prepared() -> None:
    with pytest.raises(TypeError, match="forward must be a function"):
        cm.ConceptMonitor(["b"], cm.ProbeSet.world(30, size=16), forward="pixel_values")
    probe = cm.ProbeSet.world(30, size=16, transform=None)
    monitor = cm.ConceptMonitor(["b"], probe, progress=False, detector=cm.ClipDissect("cos_cubed"))
    with pytest.raises(TypeError, match="missing a required argument: 'mask'"):
        monitor.observe(WithMask())
    assert probe._inputs is None
    assert "_observer" not in vars(monitor)


def test_a_monitor_calls_the_model_as_it_is_told_in_every_pass() -> None:
    calls: list[int] = []

    def forward(model: nn.Module, images: Tensor) -> Tensor:
        calls.append(len(images))
        return model(pixel_values=images)

    net = make_net()
    probe, detector = cm.ProbeSet.world(30, size=16, batch_size=20), cm.ClipDissect("cos_cubed")
    plain = cm.ConceptMonitor(["b.conv"], probe, detector=detector, progress=False).observe(net)
    net.__class__ = ByName
    monitor = cm.ConceptMonitor(["b.conv"], probe, detector=detector, progress=False, forward=forward)
    np.testing.assert_array_equal(
        monitor.observe(net)["b.conv"].best_similarity, plain["b.conv"].best_similarity
    )
    assert calls == [20, 10]
