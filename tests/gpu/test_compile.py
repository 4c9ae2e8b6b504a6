"""What torch.compile makes of each player's loss, without a GPU: one graph, or a reason why not."""

import pytest
import torch
from torch import Tensor, nn

from tests.models.cases import ALL, Case

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", ALL.values(), ids=ALL)
def test_a_loss_is_one_graph_or_says_why_not(case: Case) -> None:
    """A player with a gradient in its loss says so; ``train`` then leaves it as it is.

    Dynamo does not trace the recurrent networks of torch: their kernels stand between two graphs.
    """
    model = case.make()
    for player in model.players():
        if not player.compilable:
            continue
        torch.compiler.reset()
        kernels = any(isinstance(module, nn.RNNBase) for module in player.module.modules())
        loss = torch.compile(player.loss, backend="aot_eager", fullgraph=not kernels)
        result = loss(*case.batch(4))
        (result if isinstance(result, Tensor) else result["loss"]).backward()


def test_only_those_with_a_gradient_inside_stay_as_they_are() -> None:
    eager = {
        name for name, case in ALL.items() if not all(p.compilable for p in case.make().players())
    }
    assert eager == {"WGANGP", "R1GAN"}
