"""companion.plots: figures that are crisp, readable, small, and leave no trace behind."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from companion import plots
from companion.training import History


def noise(n: int = 6, channels: int = 1, size: int = 8) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0))


def drawn(shown: Any) -> Image.Image:
    """The picture that a notebook would store."""
    if isinstance(shown, plots.Animation):
        return Image.open(io.BytesIO(shown.png))
    data, _ = shown._repr_mimebundle_()
    assert set(data) == {"image/png"}
    return Image.open(io.BytesIO(data["image/png"]))


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("color", plots.COLORS)
def test_lines_and_text_stand_out_from_the_paper(color: str) -> None:
    contrast = (luminance(plots.PAPER) + 0.05) / (luminance(color) + 0.05)
    assert contrast >= (4.5 if color == plots.INK else 3.0)


def test_no_two_lines_share_a_style_for_color_blind_eyes() -> None:
    # Deuteranopia and protanopia after Machado, Oliveira and Fernandes (2009), on linear RGB.
    views = {
        "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    }
    rgb = {c: np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in plots.COLORS}
    assert len(set(plots.LINES)) == len(plots.LINES) == len(plots.COLORS)
    # The first four, which most figures use, differ by color alone as well.
    for a, b in combinations(plots.COLORS[:4], 2):
        for matrix in views.values():
            seen = [np.array(matrix) @ rgb[c] ** 2.2 for c in (a, b)]
            assert np.abs(seen[0] - seen[1]).max() > 0.1, (a, b)


def test_a_sheet_draws_every_pixel_as_a_square_of_the_right_gray() -> None:
    images = (torch.arange(6 * 64).view(6, 1, 8, 8) % 256) / 255
    picture = np.asarray(drawn(plots.sheet(images, columns=3, scale=4, gap=2)).convert("RGB"))
    assert picture.shape == ((2 * 10 + 2) * 4, (3 * 10 + 2) * 4, 3)
    for i, image in enumerate(images):
        y, x = (4 * (2 + 10 * (i // 3)), 4 * (2 + 10 * (i % 3)))
        block = picture[y : y + 32, x : x + 32]
        assert (block == block[:, :, :1]).all()
        expected = (image[0] * 255).round().repeat_interleave(4, 0).repeat_interleave(4, 1)
        assert np.array_equal(block[:, :, 0], expected.numpy())
    assert tuple(picture[0, 0]) == tuple(int(plots.PAPER[i : i + 2], 16) for i in (1, 3, 5))


def test_a_sheet_keeps_colors_and_fits_the_page() -> None:
    red = torch.zeros(4, 3, 8, 8)
    red[:, 0] = 1
    picture = drawn(plots.sheet(red, columns=2)).convert("RGB")
    assert picture.getpixel((picture.width // 4, picture.height // 4)) == (255, 0, 0)
    for columns in (1, 10, 20):
        assert drawn(plots.sheet(noise(40, size=28), columns=columns)).width <= 1400


def test_titles_stand_above_their_images() -> None:
    figure = plots.sheet(noise(4), columns=2, titles=["a", "b", "c", "d"])
    texts = figure.axes[0].texts
    assert [t.get_text() for t in texts] == ["a", "b", "c", "d"]
    assert texts[0].get_position()[1] < texts[2].get_position()[1]


def test_compare_names_each_row() -> None:
    figure = plots.compare({"originals": noise(5), "copies": noise(5)})
    assert [t.get_text() for t in figure.axes[0].texts] == ["originals", "copies"]
    assert drawn(figure).width <= 1400


def test_a_walk_puts_the_latent_values_at_the_middle_of_the_images() -> None:
    axes = plots.walk(noise(12), columns=4, xlim=(-3, 3), ylim=(0, 2), xlabel="z").axes[0]
    assert axes.get_xlim() == pytest.approx((-4, 4))
    assert axes.get_ylim() == pytest.approx((-0.5, 2.5))
    assert axes.get_xlabel() == "z"
    path = plots.walk(noise(5)).axes[0]
    assert path.get_xlim() == pytest.approx((-0.125, 1.125))
    assert list(path.get_yticks()) == []
    assert plots.walk(noise(1)).axes[0].get_xlim() == pytest.approx((0, 1))


def test_curves_draw_what_they_are_given() -> None:
    series: dict[str, Any] = {"a": [3.0, 2.0, float("nan")], "b": torch.tensor([1.0, 1.5, 2.0])}
    figure = plots.curves(
        series, x=[10, 20, 30], ylabel="loss (nats)", references={"log 2": 0.693}, log=True
    )
    axes: Any = figure.axes[0]
    assert axes.lines[0].get_xdata().tolist() == [10, 20, 30]
    assert axes.lines[1].get_ydata().tolist() == [1.0, 1.5, 2.0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss (nats)")
    assert axes.get_yscale() == "log"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]
    assert [t.get_text() for t in axes.texts] == ["log 2"]
    assert plots.curves({"a": [1.0]}).axes[0].lines[0].get_marker() == "o"


def test_losses_of_very_different_sizes_stand_in_panels_of_their_own() -> None:
    near = History(steps=[10, 20], losses={"loss": [250.0, 120.0], "distortion": [240.0, 90.0]})
    (axes,) = near.plot().axes
    assert (axes.get_ylabel(), len(axes.lines)) == ("loss", 2)
    far = History(
        steps=[10, 20],
        losses={"loss": [2300.0, 250.0], "rate": [0.1, 13.0], "other": [float("nan")] * 2},
    )
    figure = far.plot()
    assert [a.get_ylabel() for a in figure.axes] == ["loss", "rate", "other"]
    assert [a.get_xlabel() for a in figure.axes] == ["", "", "step"]
    assert [len(a.lines) for a in figure.axes] == [1, 1, 1]
    assert figure.axes[1].get_ylim()[1] < 20
    assert all(a.get_legend() is None for a in figure.axes)
    drawn(figure)


def test_a_figure_that_cannot_open_a_window_says_what_to_do(tmp_path: Path) -> None:
    figure = plots.curves({"a": [1.0, 2.0]})
    with pytest.raises(RuntimeError, match=r"no window; .* figure\.savefig\('figure\.png'\)"):
        figure.show()
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_smoothing_is_the_mean_of_the_last_numbers() -> None:
    axes: Any = plots.curves({"a": [1.0, 2.0, 3.0, 4.0]}, smooth=2).axes[0]
    assert axes.lines[1].get_ydata().tolist() == [1.0, 1.5, 2.5, 3.5]


def test_bars_stand_in_the_given_order() -> None:
    figure = plots.bars({"VAE": 3.4, "PNG": 4.5}, xlabel="bits", references={"published": 3.66})
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["VAE", "PNG"]
    assert {t.get_text() for t in axes.texts} == {"3.4", "4.5", "published"}
    assert axes.yaxis_inverted()


def test_subplots_have_the_look_without_setting_it_globally() -> None:
    before = dict(mpl.rcParams)
    figure: Any
    figure, axes = plots.subplots(1, 2, height=2.0, sharey=True)
    assert axes.shape == (2,)
    assert mpl.colors.to_hex(axes[0].get_facecolor()) == plots.PAPER
    data, metadata = figure._repr_mimebundle_()
    assert drawn(figure).size == (1400, 400)
    assert metadata == {"image/png": {"width": 700}}
    assert len(data["image/png"]) < 50_000
    assert dict(mpl.rcParams) == before


def test_a_figure_is_opaque_and_the_same_each_time() -> None:
    shown: list[Any] = [plots.curves({"a": [1.0, 2.0]}) for _ in range(2)]
    pictures = [figure._repr_mimebundle_()[0] for figure in shown]
    assert pictures[0] == pictures[1]
    picture = Image.open(io.BytesIO(pictures[0]["image/png"]))
    assert "transparency" not in picture.info
    assert picture.mode in ("P", "RGB")
    assert "Software" not in picture.info


def test_figures_leave_nothing_open_in_pyplot() -> None:
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    drawn(plots.sheet(noise()))
    drawn(plots.curves({"a": [1.0, 2.0]}))
    assert pyplot.get_fignums() == before


def test_an_animation_is_a_png_that_plays(tmp_path: Path) -> None:
    frames = [noise(30, size=28) * k / 7 for k in range(8)]
    shown = plots.animation(frames, titles=[f"epoch {k}" for k in range(8)], fps=4)
    picture = drawn(shown)
    assert (picture.n_frames, picture.is_animated) == (8, True)  # type: ignore[attr-defined]
    assert picture.info["loop"] == 3
    durations = []
    for k in range(8):
        picture.seek(k)
        durations.append(picture.info["duration"])
    assert durations == [250] * 7 + [1000]
    assert repr(shown) == "<Animation of 8 frames, 2.0 s>"
    assert shown._repr_png_() == shown.png
    assert len(shown.png) < 400_000  # noise, the worst case
    shown.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == shown.png


@pytest.mark.parametrize("loops", [0, 1, 3])
def test_an_animation_is_saved_as_its_name_says(tmp_path: Path, loops: int) -> None:
    shown = plots.animation([noise(6, 3), noise(6, 3) / 2], fps=4, loops=loops)
    shown.save(tmp_path / "new" / "a.gif")
    with Image.open(tmp_path / "new" / "a.gif") as gif:
        assert (gif.format, gif.n_frames) == ("GIF", 2)  # type: ignore[attr-defined]
        assert gif.info["duration"] == 250
        # A GIF counts repetitions; without a count it plays once, and 0 is for ever.
        assert gif.info.get("loop") == {0: 0, 1: None, 3: 2}[loops]
    for name in ("a.avi", "a.webp", "a"):
        with pytest.raises(ValueError, match=r"as \.png, \.gif or \.mp4, got .*; use 'a\.gif'"):
            shown.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_frames_that_are_all_equal_are_saved_too(tmp_path: Path, name: str) -> None:
    plots.animation([noise(1)] * 3).save(tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert getattr(picture, "n_frames", 1) == 1


def test_a_film_is_made_by_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a program that stores what it is given; the next test calls the real one."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "raw = sys.stdin.buffer.read()\n"
        "open(sys.argv[-1], 'w').write(json.dumps([sys.argv[1:-1], len(raw)]))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    frames = [noise(1, size=5), *[noise(1, size=5) / 2] * 2]
    plots.animation(frames, fps=4, scale=1).save(tmp_path / "a.mp4")
    options, size = json.loads((tmp_path / "a.mp4").read_text())
    given = dict(zip(options[::2], options[1::2], strict=True))
    width, height = map(int, given["-video_size"].split("x"))
    assert size == (2 + 4) * width * height * 3  # the last frame is held for a second
    assert (given["-framerate"], given["-vf"].split(":")[0]) == ("4", f"crop={width // 2 * 2}")

    program.write_text("#!/bin/sh\necho first >&2; echo no such encoder >&2; exit 1\n")
    with pytest.raises(
        RuntimeError, match=r"could not make the \.mp4 \(no such encoder\); save as"
    ):
        plots.animation([noise(1, size=5)]).save(tmp_path / "b.mp4")
    program.unlink()
    with pytest.raises(RuntimeError, match="needs the program ffmpeg, which is not installed here"):
        plots.animation([noise(1, size=5)]).save(tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on this machine")
def test_the_film_of_the_real_ffmpeg_can_be_decoded(tmp_path: Path) -> None:
    plots.animation([noise(1, size=5)] * 3, fps=4, scale=1).save(tmp_path / "a.mp4")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-xerror", "-i", str(tmp_path / "a.mp4"), "-f", "null", "-"],
        check=True,
    )


def test_figures_and_color_can_be_animated() -> None:
    figures = [plots.curves({"a": [1.0, float(k)]}) for k in (2, 3)]
    assert drawn(plots.animation(figures)).size == (1400, 600)
    assert drawn(plots.animation([noise(3, 3), noise(3, 3) / 2], loops=0)).mode == "RGB"


BAD_IMAGES = [
    (np.zeros((2, 1, 8, 8)), TypeError, "must be a tensor (N, C, H, W), got a ndarray"),
    (torch.zeros(8, 8), ValueError, "must have shape (N, C, H, W) with C = 1 or 3"),
    (torch.zeros(2, 2, 8, 8), ValueError, "got (2, 2, 8, 8)"),
    (torch.zeros(0, 1, 8, 8), ValueError, "N >= 1"),
    (
        torch.full((2, 1, 8, 8), 255, dtype=torch.uint8),
        TypeError,
        "must be floats in [0, 1], got uint8 up to 255; use images / 255",
    ),
    (torch.full((2, 1, 8, 8), -1.0), ValueError, "got values from -1 to -1"),
    (torch.full((2, 1, 8, 8), 1.5), ValueError, "got values from 1.5 to 1.5"),
    (torch.full((2, 1, 8, 8), float("nan")), ValueError, "got values from nan to nan"),
]


@pytest.mark.parametrize(("images", "error", "message"), BAD_IMAGES)
@pytest.mark.parametrize(
    "draw",
    [plots.sheet, plots.walk, lambda x: plots.compare({"row": x}), lambda x: plots.animation([x])],
)
def test_images_out_of_the_contract_are_refused(
    draw: Any, images: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        draw(images)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.sheet(noise(), columns=0), "columns must be at least 1, got 0"),
        (lambda: plots.sheet(noise(), scale=0), "scale must be at least 1, got 0"),
        (lambda: plots.sheet(noise(), titles=["one"]), "got 1 titles for 6 images"),
        (lambda: plots.compare({}), "rows is empty"),
        (lambda: plots.compare({"a": noise(2), "b": noise(3)}), "as many images"),
        (lambda: plots.walk(noise(6), columns=4), "6 images do not fill rows of 4"),
        (lambda: plots.curves({}), "series is empty"),
        (lambda: plots.curves({"a": []}), "'a' has 0 numbers"),
        (lambda: plots.curves({"a": [1.0]}, x=[1, 2]), "'a' has 1 numbers and x has 2"),
        (lambda: plots.curves({"a": [1.0]}, smooth=0), "smooth must be at least 1, got 0"),
        (lambda: plots.bars({}, xlabel="bits"), "values is empty"),
        (lambda: plots.bars({"a": float("nan")}, xlabel="bits"), "'a' is nan"),
        (lambda: plots.animation([]), "frames is empty"),
        (lambda: plots.animation([noise()], fps=0), "fps must be positive, got 0"),
        (lambda: plots.animation([noise()], titles=["a", "b"]), "got 2 for 1 frames"),
        (lambda: plots.animation([noise(), noise(size=9)]), "every frame needs the same size"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(draw: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        draw()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.sheet([*noise()]), "got a list; use torch.stack(images)"),  # type: ignore[arg-type]
        (lambda: plots.sheet(noise(), scale="2"), "scale must be a whole number"),  # type: ignore[arg-type]
        (lambda: plots.compare([noise()]), "rows must be a mapping"),  # type: ignore[arg-type]
        (lambda: plots.curves([1.0]), "series must be a mapping"),  # type: ignore[arg-type]
        (lambda: plots.animation(noise()), "frames must be a list of batches"),  # type: ignore[arg-type]
    ],
)
def test_the_wrong_kind_is_refused_in_one_sentence(draw: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        draw()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_figure_can_be_pickled() -> None:
    figure: Any = plots.curves({"a": [1.0, 2.0]})
    again = pickle.loads(pickle.dumps(figure))
    assert again._repr_mimebundle_()[0] == figure._repr_mimebundle_()[0]


def test_importing_plots_does_not_import_matplotlib() -> None:
    source = "import sys, companion.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source]).returncode == 0
