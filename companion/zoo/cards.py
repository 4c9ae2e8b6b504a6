"""Model cards: what is to be known about trained weights, and a table of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Card:
    """What is to be known about trained weights.

    `metrics` are those of the full test set; `quick_metrics` are the same ones on fewer images
    (`quick_images` of them, fixed seed), which a test computes anew from the weights.
    """

    name: str
    constructor: str
    arguments: dict[str, Any]
    data: str
    command: str
    seed: int
    epochs: int
    machine: str
    minutes: float
    parameters: int
    sha256: str
    license: str
    intended_use: str
    limits: str
    metrics: dict[str, Any] = field(default_factory=dict)
    quick_images: int = 0
    quick_metrics: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """One aligned line for each fact."""
        facts = {k: v for k, v in asdict(self).items() if not k.startswith("quick")}
        facts |= {f"  {k}": v for k, v in facts.pop("metrics").items()}
        width = max(map(len, facts)) + 2
        return "\n".join(f"{key:{width}}{_short(value)}" for key, value in facts.items())


class Table(tuple[Card, ...]):
    """The zoo's cards, printed as a table."""

    def __repr__(self) -> str:
        lines = [("name", "parameters", "epochs", "minutes", "metrics")]
        for card in self:
            metrics = ", ".join(
                f"{name.replace('_', ' ')} {value:.4g}"
                for name, value in card.metrics.items()
                if isinstance(value, float)
            )
            numbers = f"{card.parameters:,}", str(card.epochs), f"{card.minutes:.0f}"
            lines.append((card.name, *numbers, metrics))
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join(
            f"{name:{widths[0]}}  {parameters:>{widths[1]}}  {epochs:>{widths[2]}}  "
            f"{minutes:>{widths[3]}}  {metrics}"
            for name, parameters, epochs, minutes, metrics in lines
        )


def read_card(path: Path) -> Card:
    """A card from its JSON file.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    try:
        return Card(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is not a card of the zoo ({error}); restore it or train the model again"
        ) from None


def pack_card(card: Card) -> bytes:
    """The card as the JSON of its file."""
    return (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode()


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v!r}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(_short(v) for v in value)
    return str(value)
