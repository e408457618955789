#!/bin/sh
# Makes the environment $1 from the lock file $2: checked hashes, and Lanmu itself as editable.
set -eu
venv=$1
lock=$2
python=${PYTHON:-python3}

"$python" - <<'PY' || { echo "Lanmu needs Python 3.11 or newer. 栏目需要 Python 3.11 以上。" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" || {
        echo "Python has no venv here. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    }
fi

# uv installs in seconds what takes pip half a minute; pip does it too where uv cannot be had.
if "$venv/bin/python" -m pip install -q --disable-pip-version-check "uv>=0.5" 2>/dev/null; then
    "$venv/bin/uv" pip install -q --python "$venv/bin/python" --require-hashes -r "$lock"
    "$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps -e .
else
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$lock"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -e .
fi
