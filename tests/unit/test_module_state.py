"""What a forward leaves in plain attributes and buffers is gone afterwards."""

from collections import OrderedDict, deque

import pytest
import torch
from torch import Tensor, nn

from conceptmon_tb.module_state import remember_modules
from conceptmon_tb.training_state import preserve_training_state


class Remembering(nn.Module):
    """Leaves something of every kind behind at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("none", None)
        self.register_buffer("sparse", torch.eye(2).to_sparse())
        self.calls, self.kept, self.total = 1000, None, torch.zeros(3)
        self.outputs: list[Tensor] = [torch.rand(1)]
        self.by_name: dict[str, Tensor] = OrderedDict(first=torch.rand(1))
        self.seen, self.recent = {1, 2}, deque([1, 2], maxlen=2)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.kept = x
        self.total += x.sum()
        self.outputs.append(x)
        self.by_name["first"] = x
        self.by_name["second"] = x
        self.seen.add(3)
        self.recent.append(3)
        self.surprise = x
        self.none = x
        self.sparse.mul_(2)
        del self.linear.hint
        return self.linear(x)


def content(model: Remembering) -> tuple[object, ...]:
    return (
        {name: id(value) for name, value in vars(model).items()},
        model.total.tolist(),
        [*map(id, model.outputs)],
        [(name, id(value)) for name, value in model.by_name.items()],
        model.seen,
        list(model.recent),
        model.none,
        model.sparse.to_dense().tolist(),
        vars(model.linear).get("hint"),
    )


@pytest.mark.parametrize("inference", [False, True])
def test_what_a_forward_leaves_behind_is_taken_away(inference: bool) -> None:
    with torch.inference_mode(inference):
        model = Remembering()
        model.linear.hint = "there"
    before = content(model)
    with preserve_training_state(model):
        with torch.inference_mode(inference):
            model(torch.rand(4, 2))
        assert content(model) != before
    assert content(model) == before


def test_nothing_is_written_where_nothing_changed() -> None:
    model = nn.BatchNorm1d(3)
    model.attention = torch.rand(3)
    restore = remember_modules(model.modules())
    versions = [model.running_mean._version, model.attention._version]
    restore()
    assert [model.running_mean._version, model.attention._version] == versions


def test_not_a_number_is_the_same_as_itself() -> None:
    model = nn.Module()
    model.register_buffer("level", torch.tensor([float("nan"), -0.0]))
    restore = remember_modules([model])
    restore()
    assert model.level._version == 0
    model.level[1] = 0.0
    restore()
    assert torch.signbit(model.level[1])
