"""Compiled models answer as the plain eager model does, and are not compiled anew for having been asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conceptmon_tb.activations import collect_activations
from conceptmon_tb.training_state import preserve_training_state
from tests.models import IMAGES, Net, answer, eager_answer, make_images, make_net, run


@pytest.fixture
def net() -> Net:
    return make_net()


@pytest.fixture
def images() -> Tensor:
    return make_images()


def whole(net: Net, images: Tensor) -> nn.Module:
    return run(torch.compile(net, backend="eager"), images)


def whole_dynamic(net: Net, images: Tensor) -> nn.Module:
    return run(torch.compile(net, backend="eager", dynamic=True, fullgraph=True), images)


def in_place(net: Net, images: Tensor) -> nn.Module:
    net.compile(backend="eager")
    return run(net, images)


def part_in_place(net: Net, images: Tensor) -> nn.Module:
    net.b.compile(backend="eager", fullgraph=True)
    return run(net, images)


def part_wrapped(net: Net, images: Tensor) -> nn.Module:
    net.b = torch.compile(net.b, backend="eager")
    return run(net, images)


class DecoratedNet(Net):
    @torch.compile(backend="eager")
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def decorated(net: Net, images: Tensor) -> nn.Module:
    net.__class__ = DecoratedNet
    return run(net, images)


def wrapped_twice(net: Net, images: Tensor) -> nn.Module:
    return nn.DataParallel(run(torch.compile(net, backend="eager"), images))


@pytest.mark.parametrize(
    "prepare", [whole, whole_dynamic, in_place, part_in_place, part_wrapped, decorated, wrapped_twice]
)
def test_the_layers_answer_as_those_of_the_plain_model(
    net: Net, images: Tensor, prepare: Callable[[Net, Tensor], nn.Module]
) -> None:
    expected = {layer: eager_answer(net, layer, images) for layer in ("b.conv", "b", "head")}
    model = prepare(net, images)
    for layer, values in expected.items():
        np.testing.assert_allclose(answer(model, layer, images), values, atol=2e-6)
    assert all(module.training for module in model.modules())


def test_inductors_code_is_left_alone(net: Net, images: Tensor) -> None:
    # Needs a C++ compiler; the machines of this project have one, and an error here says that one has not.
    expected = eager_answer(net, "b.conv", images)
    compiled = torch.compile(net, dynamic=False).eval()
    with torch.no_grad():
        compiled(images)
        np.testing.assert_allclose(answer(compiled, "b.conv", images), expected, atol=2e-6)
        with torch.compiler.set_stance("fail_on_recompile"):
            compiled(images)


@contextmanager
def counted_compilations() -> Iterator[tuple[list[int], Callable[..., Any]]]:
    """A backend of `torch.compile` that notes each graph it is given."""
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    yield graphs, backend
    torch.compiler.reset()


def compile_whole(net: Net, backend: Callable[..., Any]) -> nn.Module:
    return torch.compile(net, backend=backend)


def compile_in_place(net: Net, backend: Callable[..., Any]) -> nn.Module:
    net.compile(backend=backend, fullgraph=True)
    return net


def compile_part(net: Net, backend: Callable[..., Any]) -> nn.Module:
    net.a.compile(backend=backend)
    net.b = torch.compile(net.b, backend=backend)
    return net


@pytest.mark.parametrize("compile_it", [compile_whole, compile_in_place, compile_part])
def test_observing_makes_nothing_compile_anew(
    net: Net, images: Tensor, compile_it: Callable[[Net, Callable[..., Any]], nn.Module]
) -> None:
    def train_and_validate() -> None:
        nn.functional.cross_entropy(model.train()(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            model.eval()(images)
        model.train()

    labels = torch.arange(IMAGES) % 4
    layers = ["a.conv", "b.conv", "head"]
    with counted_compilations() as (graphs, backend):
        model = compile_it(net, backend)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        collect_activations(model, layers, images.split(4), IMAGES)
        assert graphs == []  # not even before the first epoch
        train_and_validate()
        train_and_validate()
        before = list(graphs)
        assert before
        for bad_batch in (False, True):
            collect_activations(model, layers, images.split(4), IMAGES)
            with pytest.raises((RuntimeError, ValueError)):
                collect_activations(model, layers, [torch.rand(2, 7, 8, 8)] if bad_batch else [], 2)
            with torch.compiler.set_stance("fail_on_recompile"):
                collect_activations(model, layers, images.split(3), IMAGES)
                train_and_validate()
        assert graphs == before


def test_a_look_from_inside_a_compiled_function_is_refused_with_the_way_out(net: Net, images: Tensor) -> None:
    def step(look: Callable[[], object]) -> Tensor:
        loss = net(images).sum()
        look()
        return loss

    def state() -> None:
        with preserve_training_state(net):
            pass

    def look() -> None:
        seen.append(answer(net, "b.conv", images))

    seen: list[object] = []
    compiled = torch.compile(step, backend="eager")
    with pytest.raises(RuntimeError, match=r"outside of it.*torch\.compiler\.disable"):
        compiled(state)
    assert all(module.training for module in net.modules())
    compiled(torch.compiler.disable(look)).backward()
    np.testing.assert_allclose(seen[0], eager_answer(net, "b.conv", images), atol=2e-6)


def test_a_torch_that_cannot_leave_compiled_parts_out_says_what_to_do(
    net: Net, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.compiler, "set_stance")  # as before torch 2.6
    answer(torch.compile(net, backend="eager"), "b.conv", images)
    net.b.compile(backend="eager")
    with pytest.raises(RuntimeError, match=r"'b' is compiled.*upgrade torch, or compile the whole model"):
        answer(net, "b.conv", images)
