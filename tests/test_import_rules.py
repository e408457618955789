"""The house's floors: imports go downward only, and heavy libraries are not imported at a start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("alembic", "openai", "huey", "redis", "PIL", "numpy", "pytest", "hypothesis")


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_contracts_of_imports_hold():
    pytest.importorskip("importlinter", reason="lint tools are not installed")
    _python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")


def test_a_start_that_migrates_nothing_imports_nothing_heavy(tmp_path: Path):
    (tmp_path / "config.toml").write_text(
        "[plugins.wecom]\n[plugins.points]\n[plugins.llm_copy]\n[plugins.personal_wechat_export]\n"
    )
    start = f"""
import sys
from pathlib import Path
from lanmu.cli import serve
from lanmu.config import load
from lanmu.server import Server
from lanmu.web.app import create_app
server = Server(load(Path({str(tmp_path / "config.toml")!r}), {{}}))
assert create_app(server).test_client().get("/login").status_code == 200
server.close()
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    assert _python(start).splitlines()[-1] == "['alembic']"  # the first one makes the tables
    assert _python(start).splitlines()[-1] == "[]"


def test_every_file_of_the_house_is_short_and_says_what_it_is_for():
    _python("import sys; from tools.house import main; sys.exit(main())")
