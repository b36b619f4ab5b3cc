# Installs the tools of the project into this folder, and puts them into PATH. ./demo and ./check source it.
#
# It needs bash (3.2 or newer) and Python 3.11 or newer. It installs uv, the locked Python packages, Node (unless Node 22 or
# newer is installed) and the CDK CLI, and writes nothing outside this folder. It takes a second if all is installed. It works
# together with `uv sync && npm ci`.

# Every shell can run this part: it has no syntax of bash.
if [ -z "${BASH_VERSION:-}" ]; then
    echo "error: scripts/toolchain.sh needs bash: run 'bash --rcfile scripts/toolchain.sh'" >&2
    return 1 2>/dev/null || exit 1
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
cd "$root"

UV_VERSION=0.13.9
NODE_MAJOR=22 # the oldest version that jsii supports

# Prints an error and exits. In an interactive shell, returns to the prompt.
fail() {
    printf 'error: %s\n' "$*" >&2
    case $- in *i*) kill -INT $$ ;; esac
    exit 1
}

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        # Prints the path of the interpreter, not of a pyenv shim: uv recreates an environment if the paths differ.
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11) or print(sys._base_executable))' 2>/dev/null && return
    done
    return 1
}

has_node() {
    local version
    version=$(node --version 2>/dev/null) && command -v npm >/dev/null || return 1
    version=${version#v}
    [ "${version%%.*}" -ge "$NODE_MAJOR" ]
}

# pip reads REQUESTS_CA_BUNDLE, uv reads SSL_CERT_FILE, Node reads NODE_EXTRA_CA_CERTS. If one of them is set, for example
# to the CA certificates of a company, this sets the others too. Variables that are set keep their values, except
# NODE_EXTRA_CA_CERTS, which gets the certificates of all three.
share_ca_certificates() {
    local name bundle=$tools/ca.pem found=
    for name in SSL_CERT_FILE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS; do
        [ "${!name:-}" = "$bundle" ] && return
        [ -n "${!name:-}" ] || continue
        [ -r "${!name}" ] || fail "$name is set to '${!name}', which can't be read: set it to a file of CA certificates (PEM)"
        found=yes
    done
    [ "$found" ] || return 0
    {
        "$1" -c 'import pip._vendor.certifi as c; print(c.contents())' || true # the default CAs of pip
        for name in SSL_CERT_FILE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS; do
            [ -z "${!name:-}" ] || { cat "${!name}"; echo; }
        done
    } >"$bundle.$$" && mv "$bundle.$$" "$bundle" || fail "the CA certificates can't be written to $bundle"
    export SSL_CERT_FILE=${SSL_CERT_FILE:-$bundle} REQUESTS_CA_BUNDLE=${REQUESTS_CA_BUNDLE:-$bundle}
    export NODE_EXTRA_CA_CERTS=$bundle
}

mkdir -p "$tools/tmp" || fail "the folder $root can't be written to"
export TMPDIR=$tools/tmp
export UV_CACHE_DIR=$tools/cache/uv UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
export UV_SYSTEM_CERTS=true NODE_USE_SYSTEM_CA=1 # CA certificates that are installed in the operating system
export npm_config_cache=$tools/cache/npm npm_config_update_notifier=false
export JSII_RUNTIME_PACKAGE_CACHE_ROOT=$tools/cache/jsii
export CDK_HOME=$tools/cdk CDK_DISABLE_CLI_TELEMETRY=true
export DSPY_CACHEDIR=$tools/cache/dspy XDG_CACHE_HOME=$tools/cache
export PYTHONPYCACHEPREFIX=$tools/cache/pycache # without this cache, each process compiles DSPy and litellm again
unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE

UV_PYTHON=$(find_python) || fail "Python 3.11 or newer is needed: install it, or set PYTHON to its path"

uv=$tools/uv-$UV_VERSION/bin/uv
if [ ! -x "$uv" ]; then
    rm -rf "$tools/uv-$UV_VERSION"
    "$UV_PYTHON" -m venv "$tools/uv-$UV_VERSION" >&2 ||
        fail "Python's venv does not work here (on Debian and Ubuntu: apt install python3-venv)"
fi
share_ca_certificates "$tools/uv-$UV_VERSION/bin/python"
if [ ! -x "$uv" ]; then
    "$tools/uv-$UV_VERSION/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "uv==$UV_VERSION" ||
        fail "uv can't be installed: is the package index reachable?"
fi

# Keeps an environment that `uv sync` created with another Python.
if .venv/bin/python -c '' 2>/dev/null; then unset UV_PYTHON; else export UV_PYTHON; fi
"$uv" sync --frozen --quiet --group dev || fail "the Python packages can't be installed"
# In another environment than .venv, from which `uv sync` would remove it.
if ! has_node; then
    UV_PROJECT_ENVIRONMENT=$tools/node "$uv" sync --frozen --quiet --only-group node || fail "Node can't be installed"
    export PATH=$tools/node/bin:$PATH
fi
export PATH=$root/.venv/bin:$root/node_modules/.bin:$tools/uv-$UV_VERSION/bin:$PATH

if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --loglevel=error --no-audit --no-fund >/dev/null ||
        fail "the CDK CLI can't be installed, for the reason above: is the npm registry reachable?"
    touch node_modules/.package-lock.json
fi
