"""The ways around the guard that were found in use, and those of answers that misbehave."""

import inspect
from pathlib import Path

import pytest
import torch

from companion.homework import WrongAnswerError, check, grade
from companion.homework.grading import Report
from companion.homework.isolation import Limits
from tests.homework.cases import CHEATING, solutions

pytestmark = pytest.mark.slow

# Each of them answers question 1 without having written it.
ATTACKS = {
    "alias": CHEATING,
    "late import": """
def rate(mu, logvar):
    from companion.models.vae import gaussian_kl
    return gaussian_kl(mu - PRIOR_MEAN, logvar)
""",
    "direct call": """
import companion.models.vae
def rate(mu, logvar):
    return companion.models.vae.gaussian_kl(mu - PRIOR_MEAN, logvar)
""",
    "reload": """
import importlib
import companion.models.vae
def rate(mu, logvar):
    module = importlib.reload(companion.models.vae)
    return module.gaussian_kl(mu - PRIOR_MEAN, logvar)
""",
    "torch's own": """
from torch.distributions import Normal, kl_divergence
def rate(mu, logvar):
    return kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(PRIOR_MEAN, 1.0)).sum(1)
""",
    "the module's file": """
import runpy
import companion.models.vae
def rate(mu, logvar):
    space = runpy.run_path(companion.models.vae.__file__)
    return space["gaussian_kl"](mu - PRIOR_MEAN, logvar)
""",
    "the installed file": f"""
import runpy
def rate(mu, logvar):
    space = runpy.run_path({inspect.getfile(check).replace("homework/checking", "models/vae")!r})
    return space["gaussian_kl"](mu - PRIOR_MEAN, logvar)
""",
    "the installed file, below Python": f"""
def rate(mu, logvar):
    file = {inspect.getfile(check).replace("homework/checking", "models/vae")!r}
    code = bytes(torch.UntypedStorage.from_file(file, False, 5000)).decode()
    start = code.index("def gaussian_kl(")
    space = {{"Tensor": Tensor}}
    exec(code[start : code.index("def reparameterize")].replace("checks.", "#"), space)
    return space["gaussian_kl"](mu - PRIOR_MEAN, logvar)
""",
    "the checker's frames": """
import sys
def rate(mu, logvar):
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if hasattr(value, "reference"):
                return value.reference(mu, logvar).float() + 0 * mu.sum(1)
        frame = frame.f_back
    return mu.sum(1)
""",
    "the questions": """
def rate(mu, logvar):
    from companion.homework.assignments.hw4_vae.questions import questions
    return questions()["rate"].reference(mu, logvar).float() + 0 * mu.sum(1)
""",
}
IN_THE_NOTEBOOK = ("alias", "late import", "direct call", "reload", "torch's own", "the questions")
MISBEHAVING = """
def rate(mu, logvar):
    while True:
        pass
def draw(mu, logvar, noise):
    return torch.empty(10 * 2**30, dtype=torch.uint8)
def negative_elbo(logits, images, mu, logvar):
    import os
    os._exit(0)
def free_bits(mu, logvar):
    import socket
    socket.create_connection(("192.0.2.1", 80))
"""


def graded(folder: Path, code: str, **limits: float) -> Report:
    file = folder / "submission.py"
    file.write_text("\n\n".join([*solutions("hw4"), code]), "utf-8")
    given = Limits(**limits)  # type: ignore[arg-type]
    return grade("hw4", file, seed=3, count=3, limits=given)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_is_graded_right(name: str, tmp_path: Path) -> None:
    report = graded(tmp_path, ATTACKS[name])
    if "below Python" in name and "the answers are not there" not in report.isolation:
        pytest.skip(f"the system gives no namespaces here ({report.isolation})")
    assert report["rate"].says is not None
    assert report["draw"].says is None, "what is honest beside it stays right"


def test_a_scan_tells_a_person_what_to_look_at(tmp_path: Path) -> None:
    notes = graded(tmp_path, ATTACKS["the checker's frames"]).notes
    assert any("uses sys" in note for note in notes)
    assert any("uses _getframe" in note for note in notes)
    assert not graded(tmp_path, "").notes


@pytest.mark.parametrize("name", IN_THE_NOTEBOOK)
def test_a_check_in_the_notebook_stops_the_hasty(name: str) -> None:
    space = {"torch": torch, "PRIOR_MEAN": 0.5}
    exec(ATTACKS[name], space)
    with pytest.raises(WrongAnswerError, match="^rate: calls "):
        check("hw4", "rate", space["rate"])


def test_what_was_banned_works_again_after_a_check() -> None:
    from companion.models.vae import gaussian_kl

    code = gaussian_kl.__code__
    with pytest.raises(WrongAnswerError):
        check("hw4", "rate", lambda mu, logvar: gaussian_kl(mu - 0.5, logvar))
    assert gaussian_kl.__code__ is code
    assert gaussian_kl(torch.ones(1, 2), torch.zeros(1, 2)).item() == 1


def test_an_answer_that_misbehaves_gets_a_sentence_and_the_next_its_turn(tmp_path: Path) -> None:
    report = graded(tmp_path, MISBEHAVING, seconds=2)
    says = {mark.name: mark.says or "" for mark in report.marks}
    assert "a loop that does not end" in says["rate"]
    assert "more memory" in says["draw"]
    assert "ended the process" in says["negative_elbo"]
    assert "asks the system for something that a graded answer does not get" in says["free_bits"]
    assert report.earned == 0


def test_an_answer_that_waits_is_ended(tmp_path: Path) -> None:
    code = "import time\ndef rate(mu, logvar):\n    time.sleep(1000)\n"
    report = graded(tmp_path, code, wall=5)
    assert "did not come to its end within 5 s" in (report["rate"].says or "")
    assert report["draw"].says is None


def test_results_that_an_answer_writes_itself_are_no_answer(tmp_path: Path) -> None:
    code = """
from pathlib import Path
def rate(mu, logvar):
    (Path.cwd().parent / "results" / "draw.safetensors").write_bytes(b"all right")
    return mu.sum(1)
"""
    report = graded(tmp_path, code)
    assert report["rate"].says is not None


def test_only_definitions_are_executed(tmp_path: Path) -> None:
    code = """
EPOCHS = 3
LOG_TWO = math.log(2)
SCALE = torch.tensor(0.5)
raise SystemExit("a training")
def draw(mu, logvar, noise):
    return mu + SCALE * noise
"""
    report = graded(tmp_path, "import math\n" + code)
    assert report["rate"].says is None
    assert "uses SCALE, which is assigned by code that the grader does not run" in (
        report["draw"].says or ""
    )
