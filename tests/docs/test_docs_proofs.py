"""docs/proofs.md names tests that there are, and leaves out none of delivery's."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")


def _named() -> set[Path]:
    """The files that the page names; one without a folder lies beside the one before it."""
    found, folder = set(), ROOT
    for name in re.findall(r"`([\w/]+\.py)`", PAGE):
        path = ROOT / name if "/" in name else folder / name
        folder = path.parent
        found.add(path)
    return found


def test_every_test_that_is_named_is_there():
    assert sorted(path for path in _named() if not path.is_file()) == []


def test_no_proof_of_delivery_is_left_out():
    proofs = [*ROOT.glob("tests/delivery/test_*.py"), *ROOT.glob("tests/e2e/test_*.py")]
    others = {"test_delivery_warm_up.py", "test_coupons_over_http.py"}
    assert {path.name for path in proofs if path not in _named()} == others
