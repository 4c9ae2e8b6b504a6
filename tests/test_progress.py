"""The bar: on standard error in a terminal, in a display of its own in a kernel."""

import io
from typing import Any

import ipykernel  # noqa: F401 - it is loaded, as under pytest plugins, without being a kernel
import IPython
import IPython.display
import pytest

from companion.progress import progress_bar


def test_outside_a_kernel_the_bar_goes_to_standard_error(capsys: pytest.CaptureFixture) -> None:
    assert list(progress_bar(range(3), mininterval=0)) == [0, 1, 2]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "3/3" in printed.err


def test_a_disabled_bar_shows_nothing(capsys: pytest.CaptureFixture) -> None:
    assert list(progress_bar(range(3), disable=True)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_in_a_kernel_one_display_is_updated_and_left_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    shown: list[dict[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], **_: Any) -> None:
            shown.append(data)

    class Shell:
        kernel = object()

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    monkeypatch.setattr(IPython.display, "display", lambda *_, **__: Handle())
    bar = progress_bar(total=2, mininterval=0)
    bar.update()
    bar.set_postfix_str("loss 1.5")
    bar.update()
    bar.close()
    assert any("1/2" in data.get("text/plain", "") for data in shown)
    assert any("loss 1.5" in data.get("text/plain", "") for data in shown)
    assert shown[-1] == {}, "a closed bar must leave nothing to be stored"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("closed", [False, True])
def test_without_a_standard_error_there_is_no_bar(
    closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr("sys.stderr", stream if closed else None)
    bar = progress_bar(range(3), mininterval=0)
    assert list(bar) == [0, 1, 2]
    bar.set_postfix_str("loss 1.5")
    bar.close()


def test_a_file_may_be_given() -> None:
    file = io.StringIO()
    list(progress_bar(range(2), file=file, mininterval=0))
    assert "2/2" in file.getvalue()
