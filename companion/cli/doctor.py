"""companion doctor"""

from collections.abc import Callable

import typer

from companion.cli import examination
from companion.cli.calibration import REPETITIONS, calibrate, reference
from companion.cli.examination import ProblemError

BEFORE_TORCH: dict[str, Callable[[], str]] = {
    "Python": examination.python,
    "packages": examination.packages,
    "torch": examination.torch_pair,
}
WITH_TORCH: dict[str, Callable[[], str]] = {
    "device": examination.device,
    "memory": examination.memory,
    "disk": examination.disk,
    "folders": examination.folders,
    "data": examination.sample,
    "full data": examination.full_data,
    "weights": examination.weights,
    "training": examination.step,
}
TITLES = max(map(len, {**BEFORE_TORCH, **WITH_TORCH})) + 2


def doctor() -> None:
    """Look whether everything that the book needs works here; half a minute."""
    wrong = 0
    for title, examine in BEFORE_TORCH.items():
        wrong += _say(title, examine)
    broken = _torch_is_broken()
    if broken:
        typer.echo("Nothing else was looked at, because torch does not work.")
    else:
        for title, examine in WITH_TORCH.items():
            wrong += _say(title, examine)
        wrong += _say("speed", _speed)
    if wrong:
        typer.echo(f"{wrong} problem{'s' * (wrong != 1)}; mend the first one first.")
        raise typer.Exit(1)
    typer.echo("No problem was found.")


def _say(title: str, examine: Callable[[], str]) -> int:
    """One line for what was found; returns the number of problems."""
    typer.echo(f"{title:{TITLES}}", nl=False)
    try:
        typer.echo(examine())
    except ProblemError as problem:
        for sentence in problem.sentences:
            typer.echo(f"PROBLEM: {sentence}")
        return len(problem.sentences)
    except Exception as error:  # whatever it was, the next ones are looked at
        typer.echo(f"PROBLEM: {type(error).__name__}: {error}; report it to the book's authors")
        return 1
    return 0


def _torch_is_broken() -> bool:
    try:
        import torch  # noqa: F401
    except Exception:
        return True
    return False


def _speed() -> str:
    """Progress is shown while the same steps are repeated."""
    from companion.progress import progress_bar

    with progress_bar(total=3 * REPETITIONS, desc="measuring", unit="part") as bar:
        ratio = calibrate(bar.update) / reference()
    return f"expect about {ratio:.1f} times the book's times"
