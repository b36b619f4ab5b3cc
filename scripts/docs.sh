#!/usr/bin/env bash
# Builds the documentation site in docs/_build/html: scripts/docs.sh [OPTION ...]
#
# Warnings are errors, and so are links to pages, anchors and files that do not exist. Nothing is downloaded, except the tools.
# The options are passed to sphinx-build.
set -euo pipefail
source "$(dirname "$0")/toolchain.sh"

# In another environment than .venv: the AWS CLI there needs an old version of docutils.
UV_PROJECT_ENVIRONMENT=$tools/docs "$uv" sync --frozen --quiet --no-default-groups --group docs
rm -rf docs/_build/html # pages that do not exist any more
"$tools/docs/bin/python" -m sphinx --builder html --fail-on-warning --keep-going --fresh-env --quiet \
    --conf-dir docs/site "$@" docs docs/_build/html
if grep -rnoE --include='*.html' '<(script|link|img|source|iframe)[^>]* (src|href|srcset)="(https?:)?//[^"]*"' docs/_build/html; then
    printf 'error: these pages load files from other hosts\n' >&2
    exit 1
fi
printf 'The site is in %s\n' "$root/docs/_build/html/index.html"
