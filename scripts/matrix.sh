#!/usr/bin/env bash
# Runs the tests on several versions of Python, each in an environment of its own: scripts/matrix.sh [VERSION ...] [-- PYTEST_ARGUMENT ...]
#
# Without a version: on each of 3.11 to 3.14 that is installed. With versions: on these, and fails if one is not installed.
set -euo pipefail
source "$(dirname "$0")/toolchain.sh"

versions=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    versions+=("$1")
    shift
done
[ $# = 0 ] || shift
required=yes
if [ ${#versions[@]} = 0 ]; then
    versions=(3.11 3.12 3.13 3.14) required=
fi

tested=
for version in "${versions[@]}"; do
    if ! python=$("$uv" python find --system "$version" 2>/dev/null); then
        [ -z "$required" ] || fail "Python $version is not installed"
        printf '\n== Python %s is not installed: skipped\n' "$version"
        continue
    fi
    printf '\n== Python %s\n' "$version"
    env=$tools/matrix/$version
    UV_PROJECT_ENVIRONMENT=$env "$uv" sync --frozen --quiet --group dev --python "$python"
    PATH=$env/bin:$PATH "$env/bin/python" -m pytest -p no:cacheprovider --numprocesses auto --dist loadfile "$@"
    tested="$tested $version"
done
[ "$tested" ] || fail "none of Python ${versions[*]} is installed"
printf '\nThe tests passed on Python%s\n' "$tested"
