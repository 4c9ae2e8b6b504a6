"""Random numbers come from the generator that was given, in the type that is asked for."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import companion
from companion import noise

LIKE = torch.zeros(1, dtype=torch.float64)
DRAWS: dict[str, Callable[[torch.Generator | None], Tensor]] = {
    "normal": lambda rng: noise.normal(3, 2, like=LIKE, rng=rng),
    "uniform": lambda rng: noise.uniform(3, 2, like=LIKE, rng=rng),
    "integers": lambda rng: noise.integers(7, 3, 2, like=LIKE, rng=rng),
    "choice": lambda rng: noise.choice(torch.ones(6, 3), rng=rng),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_decides_and_the_default_one_is_left_alone(name: str) -> None:
    draw = DRAWS[name]
    before = torch.get_rng_state()
    first, second = (draw(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    draw(None)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_in_its_place_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="rng must be a torch.Generator, got 0"):
        DRAWS[name](0)  # type: ignore[arg-type]


def test_types_and_shapes() -> None:
    assert noise.normal(3, 2, like=LIKE).dtype is torch.float64
    assert noise.uniform(3, 2, like=LIKE).shape == (3, 2)
    assert noise.integers(7, 3, 2, like=LIKE).dtype is torch.int64
    assert noise.choice(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).tolist() == [1, 0]


def test_data_without_a_place_is_made_where_the_generator_lives() -> None:
    assert noise.home(None).type == noise.home(torch.Generator()).type == "cpu"
    with pytest.raises(TypeError, match="rng must be a torch.Generator, got 0"):
        noise.home(0)  # type: ignore[arg-type]


def test_no_other_module_asks_where_a_generator_lives() -> None:
    package = Path(companion.__file__).parent
    askers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "device"
        if isinstance(node.value, ast.Name) and node.value.id in ("rng", "generator")
    }
    assert askers == {"noise.py"}
