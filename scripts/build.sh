#!/usr/bin/env bash
# Builds the wheel and the source distribution of each package: scripts/build.sh [FOLDER], by default dist.
#
# Two builds of one commit give the same bytes: all times are the commit's, and the build tools are pinned by their hashes.
set -euo pipefail
output=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
source "$(dirname "$0")/toolchain.sh"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
umask 022
rm -f "$output"/tunestack{,_cdk,_sandbox}-*{.whl,.tar.gz} # of an earlier version

"$uv" build --all-packages --quiet --no-create-gitignore --out-dir "$output" \
    --build-constraints scripts/build-tools.txt --require-build-hashes

python - "$output"/tunestack*-* <<'PYTHON'
import hashlib
import pathlib
import sys

for path in map(pathlib.Path, sys.argv[1:]):
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
PYTHON
