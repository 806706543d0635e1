# The unit part of the suite on the lowest declared versions: called by `scripts/test --floors`.
VENV="${VENV_FLOORS:-.venv-floors}"
. "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

if [ ! -x "$VENV/bin/python" ]; then
  python=$(find_python)
  say "Making $VENV with $("$python" --version)"
  "$python" -m venv "$VENV"
fi
key=$(cat pyproject.toml scripts/_floors.sh | cksum)
if [ "$(cat "$VENV/.floors" 2>/dev/null)" != "$key" ]; then
  new_pip
  say "Installing the lowest declared versions"
  "$VENV/bin/python" scripts/_floors.py \
    security db async-db http fast standard postgres testing taskiq procrastinate redis > "$VENV/floors.txt"
  # Plain httpx: the TestClient of the oldest Starlette knows no httpx2. anyio: that Starlette takes a name from it that
  # newer ones have moved, with a warning, and warnings are errors here; it comes by itself, with the sniffio that it
  # needs, because httpx2 asks for a newer one.
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$VENV/floors.txt" \
    httpx sniffio pytest-asyncio hypothesis pytest-xdist uvicorn markdown-it-py email-validator \
    structlog loguru alembic limits freezegun polyfactory factory-boy pydantic-settings secure pyyaml pyjwt itsdangerous
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "anyio<4.10" --editable .
  printf '%s' "$key" > "$VENV/.floors"
fi
say "Running the unit part on the floors, $("$VENV/bin/python" --version)"
exec "$VENV/bin/python" -m pytest tests -m "not services and not browser" \
  --ignore tests/live --ignore tests/faults --ignore tests/docs --ignore tests/benchmarks --ignore tests/browser \
  --ignore tests/errors/test_fuzz.py --ignore tests/testing/test_openapi.py "$@"
