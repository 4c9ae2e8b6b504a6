"""Animations: pictures or figures that play on a plain page."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from companion.checks import integer
from companion.files import write_file
from companion.plots.images import check_images, fit, tile
from companion.plots.look import DPI, INK, PAPER, WIDTH, enlarged, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image


class Animation:
    """Frames that play in a notebook and on a plain page: an animated PNG, no codec, no script.

    Made by `animation`. The last line of a cell shows it; `save` writes it to a file, in another
    format if you like.
    """

    def __init__(self, png: bytes, frames: int, fps: float) -> None:
        self.png = png
        self.frames = frames
        self.fps = fps

    def __repr__(self) -> str:
        return f"<Animation of {self.frames} frames, {self.frames / self.fps:.1f} s>"

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str | Path) -> None:
        """Write the animation, whole or not at all, in the format that the name ends in.

        Args:
            path: ends in `.png` (animated PNG; every current browser plays it), `.gif` (256
                colors) or, where the program ffmpeg is installed, `.mp4` (H.264; plays once). A
                missing folder is made.

        Raises:
            ValueError: another ending.
            RuntimeError: a film is asked for, and ffmpeg is missing or could not make it.
            CheckpointError: the file cannot be written.
        """
        writers = {".png": lambda: self.png, ".gif": self._gif, ".mp4": self._mp4}
        writer = writers.get(Path(path).suffix.lower())
        if writer is None:
            raise ValueError(
                f"an animation is saved as .png, .gif or .mp4, got {str(path)!r}; "
                f"use {Path(path).with_suffix('.gif').name!r}"
            )
        write_file(path, writer())

    def _mp4(self) -> bytes:
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise RuntimeError(
                "an .mp4 needs the program ffmpeg, which is not installed here; save as .gif or "
                ".png, or install it from your system's packages"
            )
        film = []
        for frame, pause in self._frames():
            film += [frame] * max(1, round(pause * self.fps / 1000))
        width, height = (side // 2 * 2 for side in film[0].size)  # H.264 halves the color's sides
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "film.mp4"
            command = [
                ffmpeg, "-loglevel", "error", "-f", "rawvideo", "-pixel_format", "rgb24",
                "-video_size", f"{film[0].width}x{film[0].height}", "-framerate", str(self.fps),
                "-i", "-", "-vf", f"crop={width}:{height}:0:0", "-pix_fmt", "yuv420p",
                "-movflags", "+faststart", str(target),
            ]  # fmt: skip
            raw = b"".join(frame.tobytes() for frame in film)
            done = subprocess.run(command, input=raw, capture_output=True, check=False)
            if done.returncode or not target.exists():
                said = done.stderr.decode(errors="replace").strip().split("\n")[-1]
                raise RuntimeError(f"ffmpeg could not make the .mp4 ({said}); save as .gif or .png")
            return target.read_bytes()

    def _frames(self) -> list[tuple[Image.Image, float]]:
        """Pictures and how long each stands, in ms; a PNG holds equal neighbors as one of them."""
        from PIL import Image, ImageSequence

        with Image.open(io.BytesIO(self.png)) as picture:
            frames = [
                (frame.convert("RGB"), float(frame.info.get("duration", 1000)))
                for frame in ImageSequence.Iterator(picture)
            ]
        for frame, _ in frames:
            frame.info = {}  # Pillow would take the count of plays from here
        return frames

    def _gif(self) -> bytes:
        from PIL import Image

        frames, pauses = zip(*self._frames(), strict=True)
        with Image.open(io.BytesIO(self.png)) as picture:
            # GIF counts repetitions, PNG plays; a file without a count plays once.
            plays = picture.info.get("loop", 0)
        options = {} if plays == 1 else {"loop": max(plays - 1, 0)}
        buffer = io.BytesIO()
        frames[0].save(
            buffer,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=pauses,
            **options,
        )
        return buffer.getvalue()


def animation(
    frames: Sequence[Tensor | Figure],
    *,
    fps: float = 5.0,
    columns: int = 10,
    titles: Sequence[str] | None = None,
    scale: int | None = None,
    loops: int = 3,
) -> Animation:
    """Batches of images, or figures of one size, as frames of an animation.

    It ends on its last frame, which should therefore be the one worth looking at, and which is
    held for a second between the loops. Motion that never ends makes the text beside it hard
    to read (WCAG 2.2, criterion 2.2.2), hence the three loops.

    Args:
        frames: each (N, C, H, W), floats in [0, 1], drawn as a sheet; or figures.
        fps: frames per second.
        columns: images per row.
        titles: a text above each frame ("step 200"), as many as frames.
        scale: dots per pixel of an image; by default, what fills half the page's width.
        loops: how often it plays; 0 plays for ever.

    Raises:
        TypeError, ValueError: frames that are not as described or not of one size.
    """
    if isinstance(frames, Tensor):
        raise TypeError(
            f"frames must be a list of batches, got one tensor of shape {tuple(frames.shape)}; "
            "use list(frames) if its first axis counts frames (T, N, C, H, W), else [frames]"
        )
    if len(frames) == 0:
        raise ValueError("frames is empty; pass at least one batch of images or one figure")
    if titles is not None and len(titles) != len(frames):
        raise ValueError(f"one title per frame: got {len(titles)} for {len(frames)} frames")
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    pictures = [
        _picture(frame, columns, titles[i] if titles else "", scale)
        for i, frame in enumerate(frames)
    ]
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"every frame needs the same size, got {sorted(sizes)} dots")
    pause = round(1000 / fps)
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=[pause] * (len(pictures) - 1) + [max(pause, 1000)],
        loop=loops,
        optimize=True,
    )
    return Animation(buffer.getvalue(), len(pictures), fps)


def _picture(frame: Tensor | Figure, columns: int, title: str, scale: int | None) -> Image.Image:
    """One frame of an animation, gray or in true color; a palette would differ between frames."""
    from matplotlib.figure import Figure
    from PIL import Image, ImageDraw, ImageFont

    if isinstance(frame, Figure):
        picture = render(frame).convert("RGB")
    else:
        check_images(frame, "each frame")
        columns = min(integer("columns", columns), len(frame))
        scale = (
            fit(columns, frame.shape[-1] + 2, WIDTH * DPI / 2)
            if scale is None
            else integer("scale", scale)
        )
        pixels = tile(frame, columns, 2).repeat(scale, 0).repeat(scale, 1)
        picture = Image.fromarray(pixels)
        if frame.shape[1] == 1:
            picture = picture.convert("L")
    if title:
        band = enlarged(30)
        room = Image.new(picture.mode, (picture.width, picture.height + band), PAPER)
        room.paste(picture, (0, band))
        place = ImageDraw.Draw(room)
        font = ImageFont.load_default(enlarged(17))
        place.text((6, enlarged(6)), title, fill=INK, font=font)
        picture = room
    return picture
