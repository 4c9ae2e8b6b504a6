"""A folder of pictures: nothing is dropped without a word, and nothing is changed unseen."""

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from companion.data import folder

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def picture(
    width: int = 32, height: int = 32, color: object = RED, mode: str = "RGB"
) -> Image.Image:
    return Image.new(mode, (width, height), color)  # type: ignore[arg-type]


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def read(path: Path, size: int | tuple[int, int] = 32, channels: int = 3) -> tuple:
    return folder(path, size, channels, progress=False)


def one(tmp_path: Path, size: int | tuple[int, int] = 32, channels: int = 3) -> tuple:
    images, report = read(tmp_path, size, channels)
    assert len(images) == 1
    assert not report.skipped
    return images[0], report


# ---- What is read --------------------------------------------------------------------------------


def test_a_picture_of_the_wanted_size_is_kept_level_by_level(tmp_path: Path) -> None:
    noise(32, 24).save(tmp_path / "a.png")
    image, report = one(tmp_path, (24, 32))
    assert image.dtype == torch.uint8
    assert image.shape == (3, 24, 32)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(noise(32, 24)))
    assert report.changed == {}
    assert " ".join(str(report).split()) == (
        f"1 of 1 files in {tmp_path.name} were read, as uint8 (1, 3, 24, 32)."
    )


def test_the_order_is_that_of_the_names_however_they_were_written(tmp_path: Path) -> None:
    for i, name in enumerate(["b.png", "a.png", "c/z.png", "B.png", "a2.png", "a10.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(color=(10 * i, 0, 0)).save(tmp_path / name)
    images, report = read(tmp_path)
    assert report.files == ("B.png", "a.png", "a10.png", "a2.png", "b.png", "c/z.png")
    assert images[:, 0, 0, 0].tolist() == [30, 10, 50, 40, 0, 20]
    assert report.labels is None
    assert report.classes == ()


def test_the_middle_is_cropped_not_squeezed(tmp_path: Path) -> None:
    wide = picture(90, 30, GREEN)
    wide.paste(picture(30, 30, RED), (30, 0))
    wide.save(tmp_path / "wide.png")
    image, report = one(tmp_path, 30)
    assert (image == torch.tensor(RED)[:, None, None]).all()
    assert report.changed == {"cropped to the middle": 1}


def test_shrinking_averages(tmp_path: Path) -> None:
    """A fine checkerboard becomes gray; without antialiasing it would be black or white."""
    board = np.indices((128, 128)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    image, _ = one(tmp_path, 16, channels=1)
    assert image.shape == (1, 16, 16)
    assert (image.int() - 127).abs().max() <= 2


def test_small_pictures_are_enlarged_and_counted(tmp_path: Path) -> None:
    picture(8, 8).save(tmp_path / "small.png")
    assert one(tmp_path)[1].changed == {"enlarged": 1}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_white(tmp_path: Path, mode: str) -> None:
    clear = picture(color=(0, 0, 0, 0), mode="RGBA")
    clear.paste(picture(16, 32, (0, 0, 0, 255), "RGBA"), (0, 0))
    (clear.quantize(4) if mode == "P" else clear.convert(mode)).save(tmp_path / "a.png")
    image, report = one(tmp_path)
    assert (image[:, :, :16] == 0).all()
    assert (image[:, :, 16:] == 255).all()
    assert report.changed == {"transparent, laid on white": 1}


def test_a_color_that_stands_for_transparent(tmp_path: Path) -> None:
    picture(color=GREEN).save(tmp_path / "a.png", transparency=GREEN)
    image, report = one(tmp_path)
    assert (image == 255).all()
    assert report.changed == {"transparent, laid on white": 1}


def test_half_transparent_is_mixed_with_white_and_opaque_is_not_counted(tmp_path: Path) -> None:
    picture(color=(0, 0, 0, 128), mode="RGBA").save(tmp_path / "half.png")
    picture(color=(0, 0, 0, 255), mode="RGBA").save(tmp_path / "opaque.png")
    images, report = read(tmp_path)
    assert images[0].unique().tolist() == [127]
    assert images[1].unique().tolist() == [0]
    assert report.changed == {"transparent, laid on white": 1}


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_camera_says_where_up_is(tmp_path: Path, orientation: int) -> None:
    upright = picture(32, 32, BLUE)
    upright.paste(picture(32, 8, RED), (0, 0))
    turns = {3: 180, 6: 90, 8: 270}[orientation]  # counterclockwise, as the sensor lay
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright.rotate(turns).save(tmp_path / "a.png", exif=exif)
    image, report = one(tmp_path)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(upright))
    assert report.changed == {"turned as the camera says": 1}


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_keep_their_black_and_white(tmp_path: Path, name: str) -> None:
    levels = np.linspace(0, 65535, 32 * 32).round().astype(np.uint16).reshape(32, 32)
    Image.fromarray(levels).save(tmp_path / name)
    image, report = one(tmp_path, channels=1)
    assert np.abs(image[0].numpy() - levels / 257.0).max() <= 0.5
    assert report.changed == {"of 16 bits, rounded to 8": 1}


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.gif", save_all=True, append_images=[picture(color=BLUE)])
    image, report = one(tmp_path)
    assert (image == torch.tensor(RED)[:, None, None]).all()
    assert report.changed == {"of several frames, the first taken": 1}


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    picture(color="white").convert(mode).save(tmp_path / "a.tif")
    image, report = one(tmp_path)
    assert image.shape == (3, 32, 32)
    assert image.min() >= 254
    assert report.changed == {}


def test_gray_and_color_become_what_is_wanted(tmp_path: Path) -> None:
    picture(color=RED).save(tmp_path / "a.png")
    picture(color=100, mode="L").save(tmp_path / "b.png")
    gray, color = read(tmp_path, channels=1)[0], read(tmp_path, channels=3)[0]
    assert gray.shape == (2, 1, 32, 32)
    assert color.shape == (2, 3, 32, 32)
    assert gray[0].unique().tolist() == [76]  # 0.299 red, ITU-R 601
    assert color[1].unique().tolist() == [100]


def test_what_a_file_holds_decides_not_its_name(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.txt")
    assert one(tmp_path)[1].files == ("a.txt",)


def test_a_large_jpeg_is_what_it_would_be_if_it_were_decoded_whole(tmp_path: Path) -> None:
    smooth = noise(6, 4).resize((1536, 1024), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "a.jpg", quality=95)
    image, _ = one(tmp_path)
    whole = Image.open(tmp_path / "a.jpg").crop((256, 0, 1280, 1024))
    expected = np.asarray(whole.resize((32, 32), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(image.permute(1, 2, 0).numpy() - expected).mean() < 1.5


# ---- Classes -------------------------------------------------------------------------------------


def test_subfolders_are_classes_as_torchvision_has_them(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    for name in ("dog/b.png", "cat/a.png", "cat/young/a.png", "Zebra/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(tmp_path / name)
    _, report = read(tmp_path)
    theirs = ImageFolder(str(tmp_path))
    assert list(report.classes) == theirs.classes
    assert report.labels.dtype == torch.int64
    ours = dict(zip(report.files, report.labels.tolist(), strict=True))
    assert ours == {Path(f).relative_to(tmp_path).as_posix(): k for f, k in theirs.samples}
    assert "Classes: 0 Zebra (1), 1 cat (2), 2 dog (1)." in str(report)


def test_a_class_of_damaged_pictures_keeps_its_number(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"")
    picture().save(tmp_path / "b" / "1.png")
    (tmp_path / "readme.txt").write_text("two classes")
    _, report = read(tmp_path)
    assert report.classes == ("a", "b")
    assert report.labels.tolist() == [1]


# ---- What is not read ----------------------------------------------------------------------------


def bomb() -> bytes:
    """A PNG that says it has 30,000 x 30,000 pixels."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_every_file_that_is_left_out_is_named_with_its_reason(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    noise(64, 64).save(tmp_path / "whole.jpg")
    noise(64, 64).save(tmp_path / "whole.png")
    for name in ("cut.jpg", "cut.png"):
        whole = (tmp_path / f"whole{name[3:]}").read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "film.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    (tmp_path / "drawing.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    (tmp_path / "huge.png").write_bytes(bomb())
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "floats.tif")
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "whole.png").write_bytes(b"x")

    images, report = read(tmp_path)

    assert report.files == ("whole.jpg", "whole.png")
    assert images.shape == (2, 3, 32, 32)
    skipped = dict(report.skipped)
    assert skipped.pop("cut.jpg").startswith("damaged: image file is truncated")
    assert skipped.pop("cut.png").startswith("damaged: ")
    assert skipped == {
        "drawing.eps": "no picture that Pillow knows",
        "empty.png": "empty",
        "film.mp4": "no picture that Pillow knows",
        "floats.tif": "its pixels have 32 bits, of which none is known as white",
        "huge.png": "more than 89,478,485 pixels, the limit PIL.Image.MAX_IMAGE_PIXELS",
        "link.png": "a link to nothing",
        "notes.txt": "no picture that Pillow knows",
    }
    said = str(report)
    assert said == repr(report)
    assert all(len(line) < 80 for line in said.splitlines())
    assert "2 of 11 files" in said
    assert "and 4 more." in said
    assert said.endswith("Hidden files, not looked at: 2.")
    assert not recwarn.list


def test_the_limit_of_pixels_can_be_raised_as_the_report_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(40, 40).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="most often: more than 1,000 pixels"):
        read(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(read(tmp_path)[0]) == 1


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    picture().save(tmp_path / "a" / "1.png")
    os.symlink(tmp_path, tmp_path / "a" / "round")
    assert one(tmp_path)[1].files == ("a/1.png",)


WRONG = {
    "no folder": (lambda p: folder(p / "photos"), FileNotFoundError, "was not found; give"),
    "a file": (lambda p: folder(p / "a.zip"), FileNotFoundError, "is a file; unpack it, or give"),
    "empty": (lambda p: folder(p / "none"), ValueError, "must hold pictures, got no files; give"),
    "no picture": (
        lambda p: folder(p / "texts"),
        ValueError,
        "got 1 files, most often: no picture that Pillow knows; give a folder with PNG",
    ),
    "a size": (lambda p: folder(p, size=0), ValueError, "size must be at least 1, got 0; use"),
    "a word": (lambda p: folder(p, size="32"), TypeError, "whole number, at least 1, got '32'"),
    "three sizes": (lambda p: folder(p, size=(3, 32, 32)), ValueError, "one number or two, got"),
    "channels": (
        lambda p: folder(p, channels=4),
        ValueError,
        "channels must be one of 1, 3, got 4",
    ),
    "a name": (lambda p: folder(p, image_size=3), TypeError, "folder has no argument 'image_size'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_gets_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(b"x")
    (tmp_path / "none").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    call, kind, words = WRONG[name]
    with pytest.raises(kind, match=words.replace("(", r"\(")):
        call(tmp_path)


def test_a_bar_for_a_long_folder_and_none_without_progress(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(tmp_path / "a.png")
    read(tmp_path)
    assert capsys.readouterr().err == ""
    shown: list[dict] = []
    module = sys.modules["companion.data.folder"]  # whose name the function has taken
    monkeypatch.setattr(
        module, "progress_bar", lambda names, **options: shown.append(options) or names
    )
    folder(tmp_path)
    assert shown[0]["desc"] == tmp_path.name
    assert not shown[0]["disable"]
