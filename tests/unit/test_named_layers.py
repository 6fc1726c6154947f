"""Layers are found under the names of the plain model, however it is wrapped."""

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel

from conceptmon_tb.named_layers import check_ready, find_layers
from tests.models import Net, make_net


@pytest.mark.parametrize(
    "layer",
    ["b.conv", "module.b.conv", "_orig_mod.b.conv", "module._orig_mod.b.conv", "_orig_mod.module.b.conv"],
)
def test_segments_of_wrappers_in_front_are_ignored(layer: str) -> None:
    net = make_net()
    for model in (net, nn.DataParallel(net), torch.compile(nn.DataParallel(net)), AveragedModel(net)):
        found = find_layers(model, [layer])[layer]
        assert type(found) is nn.Conv2d
        assert found.out_channels == 6


@pytest.mark.parametrize(
    ("wrap", "given"),
    [
        (nn.DataParallel, "b.module.conv"),
        (torch.compile, "b._orig_mod.conv"),
        (checkpoint_wrapper, "b._checkpoint_wrapped_module.conv"),
        (lambda part: torch.compile(checkpoint_wrapper(part)), "b._orig_mod._checkpoint_wrapped_module.conv"),
    ],
)
def test_parts_may_be_wrapped_too(wrap: type, given: str) -> None:
    net = make_net()
    inside = net.b
    net.b = wrap(net.b)
    found = find_layers(net, ["b", "b.conv", given])
    assert found == {"b": inside, "b.conv": inside.conv, given: inside.conv}
    assert dict(net.named_modules())[given] is inside.conv


def test_a_module_of_the_users_that_is_called_module_keeps_its_name() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = Net()

    own = Own()
    assert find_layers(own, ["module.b"]) == {"module.b": own.module.b}
    assert find_layers(own, ["b"]) == {"b": own.module.b}  # an averaging of somebody's own, say
    with pytest.raises(ValueError, match=r"no layer 'c'; nearest names: module"):
        find_layers(own, ["c"])


def test_unknown_names_are_met_with_names_of_the_plain_model() -> None:
    with pytest.raises(ValueError, match=r"no layer 'b\.conf'; nearest names: b\.conv"):
        find_layers(torch.compile(make_net()), ["b.conf"])


def test_a_module_with_two_names_has_both() -> None:
    net = make_net()
    net.b.relu = net.a.relu
    assert find_layers(net, ["a.relu", "b.relu"]) == {"a.relu": net.a.relu, "b.relu": net.a.relu}


def test_a_model_that_is_moved_to_where_it_is_needed_may_be_on_the_meta_device() -> None:
    net = make_net().to("meta")
    with pytest.raises(ValueError, match="meta device"):
        check_ready(net)
    net._hf_hook = object()
    check_ready(net)
