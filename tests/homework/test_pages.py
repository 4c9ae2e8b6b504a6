"""The homework on the site: each has its page, which shows questions and no answer."""

from pathlib import Path

import pytest
import torch.nn.functional as F
import yaml
from torch import Tensor

from book._ext.homework_pages import FIELDS, fields, homework_of
from companion.homework import assignments, check
from companion.homework.build import page
from companion.homework.build.source import read

ROOT = Path(__file__).resolve().parents[2]
HOMEWORKS = list(assignments.listed())


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_a_homework_says_what_the_table_needs(homework: str) -> None:
    said = fields(homework)
    assert list(said) == list(FIELDS)
    assert "{doc}`" in said["Read first"]
    assert said["Time"].endswith("minutes")
    coded = sum(question.points for question in assignments.questions(homework).values())
    assert int(said["Points"]) > coded, "some points are given by a person"


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_a_page_holds_no_solution(homework: str) -> None:
    text = page(homework)
    assert "SOLUTION" not in text
    assert "VARIANT" not in text
    for cell in read(homework):
        if cell.question:
            assert cell.solution not in text
            assert cell.starter in text


def test_every_homework_has_its_page() -> None:
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))["parts"]
    listed = [chapter["file"] for part in parts for chapter in part["chapters"]]
    assert [name for name in map(homework_of, listed) if name] == HOMEWORKS
    assert homework_of("book/homework/index") is None
    assert homework_of("book/gan/dcgan") is None
    for homework in HOMEWORKS:
        assert (ROOT / "book" / "homework" / f"{homework}.md").exists()


def test_the_example_of_the_check_is_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    def usual(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def right(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (F.softplus(-real_logits).mean() + 3 * F.softplus(fake_logits).mean()) / 4

    shown = "".join((ROOT / "book/homework/index.md").read_text("utf-8").split())
    with pytest.raises(AssertionError) as caught:
        check("hw6", "discriminator_loss", usual)
    assert "".join(str(caught.value).split()) in shown
    check("hw6", "discriminator_loss", right)
    assert "".join(capsys.readouterr().out.split()) in shown
