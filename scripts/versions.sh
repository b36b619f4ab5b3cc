#!/usr/bin/env bash
# Runs what depends on dspy, litellm, openai and boto3 with the oldest and the newest of each that is supported, each in an
# environment of its own.
set -euo pipefail
source "$(dirname "$0")/toolchain.sh"

tests=(
    tests/sdk/test_{bootstrap_finetune,dspy,dspy_openai,optimizers,tuned_lms}.py
    tests/sdk/test_openai{,_refusals,_servers}.py
    tests/sandbox/test_openai.py
    tests/contract/test_dspy_contract.py
)

try() {
    local name=$1 env=$tools/versions/$1
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    uv venv --quiet --clear "$env"
    uv export --frozen --quiet --group dev --no-hashes --output-file "$env/locked.txt" >/dev/null
    uv pip install --quiet --python "$env/bin/python" --requirements "$env/locked.txt"
    # What the packages say of each other is left aside: litellm would keep openai below 3.
    printf '%s\n' "$@" >"$env/wanted.txt"
    uv pip install --quiet --python "$env/bin/python" --override "$env/wanted.txt" "$@"
    uv pip list --python "$env/bin/python" 2>/dev/null | grep -E '^(boto3|botocore|dspy|litellm|openai) ' | tr -s ' ' | paste -sd, -
    PATH=$env/bin:$PATH "$env/bin/python" -m pytest -p no:cacheprovider -m "campaign or not campaign" "${tests[@]}"
}

try oldest dspy==3.3.0 openai==2.20.0 boto3==1.43.11 botocore==1.43.11
try newest dspy==3.4.1 openai==3.54.0 boto3==1.44.5 botocore==1.44.5
