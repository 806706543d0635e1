# Shared by the scripts beside it that open a page in headless Chromium; sourced after _env.sh and `ensure`.
# Brings the browser from the system's packages and the docs page's assets from npm; sets CHROMIUM and SWAGGER_UI.

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }
if [ -z "$(find_chromium)" ]; then
  command -v apt-get >/dev/null || die "Chromium is not installed. Install it, and run this again."
  [ "$(id -u)" = 0 ] || die "Chromium is not installed. Install it with: sudo apt-get install chromium"
  say "Installing Chromium"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
fi

# The stock page takes Swagger UI from a CDN; it is served the same files from this package, so that it needs no network
# and still is the page as FastAPI writes it.
SWAGGER_UI="$VENV/swagger-ui-dist"
if [ ! -f "$SWAGGER_UI/package.json" ]; then
  command -v npm >/dev/null || die "npm is not installed; it fetches the docs page's assets."
  say "Fetching swagger-ui-dist"
  scratch=$(mktemp -d)
  (cd "$scratch" && npm pack --silent swagger-ui-dist@5 >/dev/null && tar xzf swagger-ui-dist-*.tgz)
  rm -rf "$SWAGGER_UI" && mv "$scratch/package" "$SWAGGER_UI" && rm -rf "$scratch"
fi
export SWAGGER_UI CHROMIUM="$(find_chromium)"
