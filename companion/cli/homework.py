"""companion homework list | build | grade"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Homework: give it out and grade it.", no_args_is_help=True)

Homework = Annotated[str, typer.Argument(metavar="HOMEWORK", help="Such as hw4.")]
Variant = Annotated[int, typer.Option(help="Other constants, so that old answers do not pass.")]


@app.command("list")
def homework_list() -> None:
    """List the homeworks, their points and their functions."""
    from companion.homework import assignments

    for name in assignments.listed():
        questions = assignments.questions(name)
        points = sum(question.points for question in questions.values())
        typer.echo(f"{name}: {assignments.title(name)}")
        typer.echo(f"  {points} points for {', '.join(questions)}")


@app.command("build", epilog="Example: **companion homework build hw4 --variant 7 --out dist**")
def homework_build(
    homework: Annotated[
        list[str] | None, typer.Argument(metavar="[HOMEWORK]...", help="By default all of them.")
    ] = None,
    variant: Variant = 0,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("dist/homework"),
) -> None:
    """Write students' notebooks and the graders: nbgrader, otter, pytest, GitHub Classroom."""
    from companion.homework import assignments
    from companion.homework.build import build

    for name in homework or list(assignments.listed()):
        files = build(name, out, variant)
        typer.echo(f"{name}: {len(files)} files in {out}, variant {variant}")


@app.command(
    "grade", epilog="Example: **companion homework grade hw4 submitted/*.ipynb --variant 7**"
)
def homework_grade(
    homework: Homework,
    submissions: Annotated[list[Path], typer.Argument(help="Notebooks or Python files.")],
    variant: Variant = 0,
    seed: Annotated[
        int | None, typer.Option(help="Of the random inputs; drawn and named if not given.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="A table of points to write, one row a submission.")
    ] = None,
) -> None:
    """Grade submissions: their definitions only, in a process without network and answers."""
    from companion.homework import assignments
    from companion.homework.grading import grade, table

    assignments.questions(homework, variant)  # a wrong name is said once, before any work
    reports = []
    for path in submissions:
        try:
            reports.append(grade(homework, path, variant=variant, seed=seed))
            typer.echo(str(reports[-1]))
        except Exception as error:  # one submission must not lose the points of the others
            typer.echo(f"{path}: not graded: {error}", err=True)
    if csv is not None:
        from companion.files import write_file

        write_file(csv, table(reports).encode())
    if len(reports) < len(submissions):
        raise typer.Exit(1)
