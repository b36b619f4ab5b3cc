# Sourced by ./demo and ./check: brings everything they need into the checkout, and nothing anywhere else.
#
# Needs bash and Python 3.11 or newer. Brings uv, the locked Python packages, Node (unless a recent one is there)
# and the CDK CLI. A second run finds them all and is quick.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
cd "$root"

UV_VERSION=0.13.9
NODE_MAJOR=22 # the oldest that jsii supports

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; set PYTHON to where it is"
}

has_node() {
    local version
    version=$(node --version 2>/dev/null) && command -v npm >/dev/null || return 1
    version=${version#v}
    [ "${version%%.*}" -ge "$NODE_MAJOR" ]
}

mkdir -p "$tools/tmp"
export TMPDIR=$tools/tmp
export UV_CACHE_DIR=$tools/cache/uv UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
export UV_SYSTEM_CERTS=true # where a company's proxy signs with a certificate of its own
export npm_config_cache=$tools/cache/npm npm_config_update_notifier=false
export JSII_RUNTIME_PACKAGE_CACHE_ROOT=$tools/cache/jsii
export CDK_HOME=$tools/cdk CDK_DISABLE_CLI_TELEMETRY=true
export DSPY_CACHEDIR=$tools/cache/dspy XDG_CACHE_HOME=$tools/cache
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH

UV_PYTHON=$(find_python) || exit 1
export UV_PYTHON

uv=$tools/uv-$UV_VERSION/bin/uv
if [ ! -x "$uv" ]; then
    rm -rf "$tools/uv-$UV_VERSION"
    "$UV_PYTHON" -m venv "$tools/uv-$UV_VERSION" >&2 ||
        fail "Python's venv does not work here (on Debian and Ubuntu: apt install python3-venv)"
    "$tools/uv-$UV_VERSION/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "uv==$UV_VERSION" ||
        fail "uv can't be installed: is the package index reachable?"
fi

groups=(--group dev)
has_node || groups+=(--group node)
"$uv" sync --frozen --quiet "${groups[@]}" || fail "the Python packages can't be installed"
export PATH=$root/.venv/bin:$root/node_modules/.bin:$tools/uv-$UV_VERSION/bin:$PATH

if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --silent --no-audit --no-fund || fail "the CDK CLI can't be installed: is the npm registry reachable?"
    touch node_modules/.package-lock.json
fi
