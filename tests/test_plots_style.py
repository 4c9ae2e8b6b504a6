"""plots.style: what a room's last row can read, by one switch."""

import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from companion import plots
from companion.training import History

IMAGES = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
FIGURES: dict[str, Callable[[], Figure]] = {
    "sheet": lambda: plots.sheet(IMAGES, columns=12, titles=["Ankle boot"] * 12),
    "compare": lambda: plots.compare({"originals": IMAGES, "samples": IMAGES}),
    "walk": lambda: plots.walk(IMAGES, columns=4, ylim=(0, 1), xlabel="z", ylabel="u"),
    "curves": lambda: plots.curves({"a": [1.0, 2.0], "b": [2.0, 1.0]}, references={"c": 1.5}),
    "bars": lambda: plots.bars({"VAE": 3.4, "GAN": 2.0}, xlabel="bits", references={"PNG": 3}),
    "subplots": lambda: plots.subplots(1, 2)[1][0].set_title("a", fontsize=8).figure,
    "diagram": lambda: plots.diagram([("x", "encoder", "1×28×28"), ("encoder", "z", "8")]),
    "history": lambda: History(steps=[1, 2], losses={"loss": [2.0, 1.0]}).plot(),
}


@pytest.fixture(autouse=True)
def _back_to_the_page() -> Iterator[None]:
    yield
    plots.style("page")


def letters(figure: Figure) -> float:
    """Dots of the smallest letters that stand somewhere in the figure."""
    return min(
        text.get_fontsize() * figure.dpi / 72 for text in figure.findobj(Text) if text.get_text()
    )


@pytest.mark.parametrize("name", FIGURES)
def test_letters_and_lines_grow_in_every_figure(name: str) -> None:
    before = FIGURES[name]()
    plots.style("projector")
    after = FIGURES[name]()
    if name == "diagram":  # grows as a whole
        assert (after.bbox.size == 1.5 * before.bbox.size).all()
    else:
        assert 0.9 * before.bbox.width < after.bbox.width <= plots.WIDTH * plots.DPI + 0.5
    if name != "sheet":  # whose titles may not run into each other
        assert letters(after) == pytest.approx(1.5 * letters(before))
    assert after.dpi == 1.5 * before.dpi  # the unit of every line's width
    plots.style("page")
    again = FIGURES[name]()
    assert (again.bbox.size == before.bbox.size).all()
    assert letters(again) == letters(before)


@pytest.mark.parametrize("style", ["page", "projector"])
def test_titles_of_a_sheet_keep_apart(style: str) -> None:
    plots.style(style)
    figure = FIGURES["sheet"]()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


@pytest.mark.parametrize("name", ["walk", "curves", "bars"])
def test_on_a_projector_nothing_is_cut_off(name: str) -> None:
    plots.style("projector")
    figure = FIGURES[name]()
    figure.draw_without_rendering()  # which lays it out
    drawn = figure.get_tightbbox()  # inches, of all that is drawn
    assert drawn.x0 >= -0.01
    assert drawn.x1 <= figure.get_figwidth() + 0.01


def test_an_animation_grows_its_title() -> None:
    before = plots.animation([IMAGES, IMAGES.flip(0)], titles=["a", "b"])
    plots.style("projector")
    after = plots.animation([IMAGES, IMAGES.flip(0)], titles=["a", "b"])
    height = [int.from_bytes(film.png[20:24], "big") for film in (before, after)]
    width = [int.from_bytes(film.png[16:20], "big") for film in (before, after)]
    assert height[1] - height[0] == 15  # the band of 30 dots
    assert width[0] == width[1]


def test_the_switch_knows_two_positions() -> None:
    with pytest.raises(ValueError, match="style must be one of 'page', 'projector', got 'slides'"):
        plots.style("slides")
