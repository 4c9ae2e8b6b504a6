"""The table of models is whole, and each row holds what it says."""

import pytest
from torch import Tensor, nn

from companion import models
from tests.models.cases import CASES, Case


def test_every_exported_model_has_a_row() -> None:
    built = {type(module) for case in CASES.values() for module in case.build().modules()}
    exported = [getattr(models, name) for name in models.__all__]
    missing = [m.__name__ for m in exported if issubclass(m, nn.Module) and m not in built]
    assert not missing, f"give {', '.join(missing)} a row in tests/models/cases.py"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_loss_takes_the_batch(case: Case) -> None:
    for shape in case.shapes or (None,):
        model = case.build(image_shape=shape) if case.shapes[1:] else case.build()
        for player in model.players():  # type: ignore[operator]
            result = player.loss(*case.batch(3, shape))
            loss = result if isinstance(result, Tensor) else result["loss"]
            assert loss.isfinite()
            assert loss.requires_grad
