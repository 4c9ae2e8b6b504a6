"""The lines that `companion.notebook.expect` prints, read and checked again."""

import re
from collections.abc import Callable

NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
CONTROL = rf"[^≈,\n]+ ≈ (?:{NUMBER})"
EXPECTED = re.compile(
    rf"[^≈]+ ≈ (?P<value>{NUMBER})(?: [^()≈]+)?  "
    rf"\((?P<claim>[^≈;]+) holds(?:; fails for (?P<controls>{CONTROL}(?:, {CONTROL})*))?\)"
)
CLAIMS: list[tuple[re.Pattern[str], Callable[..., bool]]] = [
    (re.compile(rf"< ({NUMBER})"), lambda x, high: x < high),
    (re.compile(rf"> ({NUMBER})"), lambda x, low: x > low),
    (re.compile(rf"({NUMBER}) < · < ({NUMBER})"), lambda x, low, high: low < x < high),
    (
        re.compile(rf"({NUMBER}) ± ({NUMBER})"),
        lambda x, near, within: near - within <= x <= near + within,
    ),
]


def claim_fault(line: str) -> str:
    """What is wrong with a line that has the sign `≈`; empty if its claim holds."""
    match = EXPECTED.fullmatch(line)
    if not match:
        return f"only expect() may print '≈', got {line!r}"
    for pattern, holds in CLAIMS:
        if claim := pattern.fullmatch(match["claim"]):
            bounds = [float(bound) for bound in claim.groups()]
            if not holds(float(match["value"]), *bounds):
                return f"the number does not keep its claim: {line!r}"
            controls = re.findall(rf"≈ ({NUMBER})", match["controls"] or "")
            if any(holds(float(control), *bounds) for control in controls):
                return f"a control keeps the claim, so the check cannot tell: {line!r}"
            return ""
    return f"only expect() may print '≈', got {line!r}"
