"""companion.plots.diagrams: boxes that do not overlap, shapes that really flow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import nn

from companion import plots
from companion.plots.look import WIDTH

PHONE = 3.58  # inches: the column of a page on a phone of 390 CSS pixels

DEMOS: dict[str, dict[str, Any]] = {
    "a VAE": {
        "arrows": [
            ("x", "encoder", "1×28×28"),
            ("encoder", "mean", "8"),
            ("encoder", "log σ²", "8"),
            ("mean", "z"),
            ("log σ²", "z"),
            ("z", "decoder", "8"),
            ("decoder", "logits", "1×28×28"),
        ],
        "players": {"one player moves both networks": ["encoder", "decoder"]},
    },
    "a game": {
        "arrows": [
            ("noise z", "generator", "64"),
            ("generator", "discriminator", "1×28×28"),
            ("data x", "discriminator", "1×28×28"),
            ("discriminator", "logit", "1"),
            ("discriminator", "generator", "gradient"),
        ],
        "rows": {"data x": -1, "noise z": 0, "generator": 0, "discriminator": 0},
        "players": {
            "the generator moves only its own parameters": ["generator"],
            "the discriminator moves only its own parameters": ["discriminator"],
        },
    },
    "an unrolled RNN": {
        "arrows": [
            ("h0", "cell 1"),
            ("x1", "cell 1"),
            ("cell 1", "cell 2", "h1"),
            ("x2", "cell 2"),
            ("cell 2", "cell 3", "h2"),
            ("x3", "cell 3"),
            ("cell 3", "y"),
        ],
        "rows": {"h0": 0, "cell 1": 0, "cell 2": 0, "cell 3": 0, "x1": 1, "x2": 1, "x3": 1},
    },
    "an LSTM": {
        "arrows": [
            ("x, h", "forget", ""),
            ("x, h", "input", ""),
            ("x, h", "candidate", ""),
            ("x, h", "output", ""),
            ("forget", "cell c"),
            ("input", "cell c"),
            ("candidate", "cell c"),
            ("cell c", "cell c", "next step"),
            ("cell c", "h"),
            ("output", "h"),
        ],
        "rows": {"cell c": -0.5, "h": 0.5},
    },
    "an encoder and a decoder": {
        "arrows": [
            ("x", "conv 1", "1×28×28"),
            ("conv 1", "conv 2", "32×14×14"),
            ("conv 2", "code z", "64×7×7"),
            ("code z", "deconv 1", "8"),
            ("deconv 1", "deconv 2", "64×7×7"),
            ("deconv 2", "logits", "32×14×14"),
            ("conv 1", "deconv 2", "skip"),
        ],
        "players": {"one player moves all": ["conv 1", "conv 2", "deconv 1", "deconv 2"]},
    },
    "the two stacks of PixelCNN": {
        "arrows": [
            ("image", "vertical 1"),
            ("image", "horizontal 1"),
            ("vertical 1", "vertical 2", "32×28×28"),
            ("vertical 1", "horizontal 1"),
            ("horizontal 1", "horizontal 2"),
            ("vertical 2", "horizontal 2"),
            ("horizontal 2", "1×1 conv", "32×28×28"),
            ("1×1 conv", "logits", "256×28×28"),
        ],
        "rows": {"image": 0.5, "vertical 1": 0, "vertical 2": 0, "horizontal 1": 1,
                 "horizontal 2": 1, "1×1 conv": 1, "logits": 1},
    },
    "DRAW": {
        "arrows": [
            ("image x", "read"),
            ("read", "encoder"),
            ("encoder", "z", "q(z | x)"),
            ("z", "decoder"),
            ("decoder", "write"),
            ("write", "canvas", "add"),
            ("canvas", "read", "error"),
            ("decoder", "read", "where to look"),
            ("encoder", "encoder", "next step"),
        ],
        "players": {"one player moves both networks": ["encoder", "decoder"]},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", DEMOS)
def test_a_diagram_draws_every_box_once_inside_the_page_and_none_over_another(name: str) -> None:
    figure: Any = plots.diagram(**DEMOS[name])
    boxes = [patch.get_bbox() for patch in figure.axes[0].patches if hasattr(patch, "get_boxstyle")]
    names = {part for arrow in DEMOS[name]["arrows"] for part in arrow[:2]}
    written = [text.get_text() for text in figure.axes[0].texts]
    assert len(boxes) == len(names)
    assert all(written.count(box) == 1 for box in names)
    width, height = figure.get_size_inches()
    # Wider than a phone's column, a diagram is scaled down; its letters (10 pt) stay readable.
    assert width <= 1.45 * PHONE
    canvas = FigureCanvasAgg(figure).get_renderer()
    page = figure.get_window_extent(canvas)
    for text in figure.axes[0].texts:
        place = text.get_window_extent(canvas)
        assert page.x0 <= place.x0 < place.x1 <= page.x1, text.get_text()
        assert page.y0 <= place.y0 < place.y1 <= page.y1, text.get_text()
    for i, box in enumerate(boxes):
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_layers_go_down_where_a_phone_could_not_show_them_side_by_side() -> None:
    chain = [("a", "b", "8"), ("b", "c", "8")]
    wide, tall = plots.diagram(chain), plots.diagram(chain, down=True)
    assert wide.get_figwidth() > wide.get_figheight()
    assert tall.get_figwidth() < tall.get_figheight()
    longer = plots.diagram([*chain, ("c", "d")])
    assert longer.get_figwidth() < longer.get_figheight()
    five = [*chain, ("c", "d", "8"), ("d", "e", "8")]
    assert plots.diagram(five, down=False).get_figwidth() <= WIDTH + 1e-9


@pytest.mark.parametrize("down", [True, False])
def test_an_arrow_goes_around_a_box_that_stands_in_its_way(down: bool) -> None:
    arrows = [("a", "b", ""), ("b", "c", ""), ("a", "c", "skip")]
    straight = plots.diagram(arrows, down=down, rows={"a": 0, "b": 1, "c": 0})
    around = plots.diagram(arrows, down=down)
    assert [len(figure.axes[0].lines) for figure in (straight, around)] == [0, 1]


def test_a_network_shows_the_shapes_that_flow_and_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 10)
    )
    model[1].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    figure = plots.network(model, torch.zeros(2, 1, 28, 28))
    written = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    flows = ["1×28×28", "8×14×14", "8×14×14", "8×14×14", "1568", "10"]
    assert [text for text in written if text[0].isdigit()] == flows
    assert {"input", "Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear", "output"} < {*written}
    assert [m.training for m in model] == [True, False, True, True, True]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(m._forward_hooks for m in model)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.diagram([]), "arrows is empty"),
        (lambda: plots.diagram([("a",)]), "an arrow is (from, to) or (from, to, text)"),  # type: ignore[list-item]
        (lambda: plots.diagram([("a", "b")], rows={"c": 1}), "rows names 'c'"),
        (lambda: plots.diagram([("a", "b")], players={"p": ["c"]}), "player 'p' names 'c'"),
        (lambda: plots.diagram([("a", "b")], players={"p": "a", "q": "a"}), "two players"),
        (lambda: plots.diagram([("a", "b")], players=dict.fromkeys("pqrs", "a")), "at most 3"),
        (lambda: plots.network(nn.ReLU(), torch.zeros(1, 2)), "no part of ReLU ran"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(draw: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        draw()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
