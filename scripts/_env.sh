# Shared by the scripts beside it: finds Python, makes the virtual environment once, installs groups into it.
# VENV names the environment (default .venv), PYTHON the interpreter that makes it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV="${VENV:-.venv}"
# Tests start hundreds of processes. Where nothing may be cached, each of them compiles all of the package again.
unset PYTHONDONTWRITEBYTECODE

say() { printf '\033[2m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" || die "PYTHON=$PYTHON is missing or older than Python 3.11."
    printf '%s\n' "$PYTHON"; return
  fi
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if new_enough "$candidate"; then printf '%s\n' "$candidate"; return; fi
  done
  die "fastapi-patterns needs Python 3.11 or newer; found $(python3 --version 2>&1 || echo none). Install one, or name it: PYTHON=/path/to/python3.11 $0"
}

# new_pip : a pip that knows --group, which came with 25.1. The one that a Python brings may be older, and an environment
# whose making was interrupted may have none.
new_pip() {
  local pip=("$VENV/bin/python" -m pip)
  "${pip[@]}" --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip >/dev/null 2>&1 ||
    die "$VENV has no pip. Remove it and run this again: rm -rf $VENV"
  "$VENV/bin/python" -c 'import pip, sys; sys.exit([int(n) for n in pip.__version__.split(".")[:2]] < [25, 1])' ||
    "${pip[@]}" install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
}

# ensure EXTRAS GROUP... : the package itself (editable, with these extras) and these dependency groups.
# A stamp of pyproject.toml and the names makes the second run instant.
ensure() {
  local extras=$1; shift
  if [ -d "$VENV" ] && ! new_enough "$VENV/bin/python"; then
    say "$VENV does not run here any more: making it again"
    rm -rf "$VENV"
  fi
  if [ ! -x "$VENV/bin/python" ]; then
    local python; python=$(find_python)
    say "Making $VENV with $("$python" --version)"
    "$python" -m venv "$VENV" || die "Could not make $VENV. On Debian and Ubuntu: apt install python3-venv"
  fi
  local stamp group groups=() key
  key="$extras $* $(cksum < pyproject.toml)"
  for group in "$@"; do groups+=(--group "$group"); done
  stamp="$VENV/.installed-$(printf '%s' "$extras-$*" | tr -c 'a-z0-9-' '_')"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
    new_pip
    say "Installing fastapi-patterns[$extras] and the groups: $*"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]" "${groups[@]}"
    printf '%s' "$key" > "$stamp"
  fi
}
