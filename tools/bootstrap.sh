#!/bin/sh
# Makes .venv with everything this repository needs, installed editable. Outside the checkout pip writes its cache and
# temporary files, which it removes again.
# Usage: tools/bootstrap.sh STAMP      (PYTHON=... chooses the interpreter; run by make)
# Offline when the requirements in pyproject.toml are already installed.
set -eu

stamp=$1
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"

say() { printf '%s\n' "$*" >&2; }

# Two makes at once: the second waits for the first.
if [ -z "${OPENALTS_BOOTSTRAP_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    mkdir -p build
    OPENALTS_BOOTSTRAP_LOCKED=1 exec flock build/bootstrap.lock "$0" "$@"
fi

wanted=$(cksum <pyproject.toml)
# The same text with a new time stamp (a fresh checkout of a branch): nothing to do.
if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    touch "$stamp"
    exit 0
fi

if ! command -v "$python" >/dev/null 2>&1; then
    say "openalts: there is no '$python' on this machine."
    say "  Debian 12:  apt-get install python3 python3-venv"
    say "  or name an interpreter:  make PYTHON=/path/to/python3.11 ..."
    exit 3
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "openalts: Python 3.11 or newer is needed; '$python' is $("$python" --version 2>&1)."
    say "  Name a newer one:  make PYTHON=python3.11 ..."
    exit 3
fi

# A virtual environment whose interpreter is gone (an upgrade, a copied checkout) is made anew.
if [ -d .venv ] && ! .venv/bin/python -c 'import pip' >/dev/null 2>&1; then
    say "openalts: .venv is incomplete or broken; making it anew"
    rm -rf .venv
fi
if [ ! -d .venv ]; then
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "openalts: '$python' cannot make virtual environments (the modules venv and ensurepip are missing)."
        say "  Debian packages them apart:  apt-get install python3-venv      (or python$version-venv)"
        exit 3
    fi
    say "openalts: making .venv with $("$python" --version 2>&1)"
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        say "openalts: '$python -m venv' failed; the lines above say why."
        exit 3
    fi
fi

say "openalts: installing openalts (editable) and its requirements into .venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1
# The build backend goes into .venv too: with build isolation each later install would need the network.
if ! .venv/bin/python -m pip install --quiet 'setuptools>=77' ||
    ! .venv/bin/python -m pip install --quiet --no-build-isolation --editable '.[dev]'; then
    say "openalts: pip failed; the lines above say why. The first set-up, and one after a change of the requirements, needs"
    say "  the network (or a local package directory in PIP_FIND_LINKS)."
    exit 3
fi
rm -f .venv/.installed-*
printf '%s\n' "$wanted" >"$stamp"
say "openalts: .venv is ready"
