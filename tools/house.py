"""Holds the house to its rules: no file of 400 lines or more, and each says first what it is for."""

import ast
import sys
from pathlib import Path

LONGEST = 399
ROOTS = ("core", "plugins", "bench", "tools")


def faults(root: Path) -> list[str]:
    """Every Python file that is too long or does not open with a sentence."""
    found = []
    for folder in ROOTS:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            lines = text.count("\n")
            name = path.relative_to(root)
            if lines > LONGEST:
                found.append(f"{name}: {lines} lines; find the thing in it that wants a name of its own")
            if text.strip() and not ast.get_docstring(ast.parse(text)):
                found.append(f"{name}: does not say what it is for")
    return found


def main() -> int:
    found = faults(Path(__file__).resolve().parent.parent)
    print("\n".join(found) or "The house is in order.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
