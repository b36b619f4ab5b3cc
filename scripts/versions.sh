#!/usr/bin/env bash
# Runs the tests that depend on dspy, litellm, openai and boto3 with the oldest and the newest supported versions, each in an
# environment of its own.
set -euo pipefail
source "$(dirname "$0")/toolchain.sh"

tests=(
    tests/sdk/test_{bootstrap_finetune,dspy,dspy_openai,dspy_runs,optimizers,tuned_lms}.py
    tests/sdk/test_openai{,_once,_refusals,_servers}.py
    tests/sandbox/test_openai.py
    tests/contract/test_dspy_contract.py
)

run_tests() {
    local name=$1 env=$tools/versions/$1
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    uv venv --quiet --clear "$env"
    uv export --frozen --quiet --group dev --no-hashes --output-file "$env/locked.txt" >/dev/null
    uv pip install --quiet --python "$env/bin/python" --requirements "$env/locked.txt"
    # Overrides the requirements of the packages: litellm requires openai below 3.
    printf '%s\n' "$@" >"$env/overrides.txt"
    uv pip install --quiet --python "$env/bin/python" --override "$env/overrides.txt" "$@"
    uv pip list --python "$env/bin/python" 2>/dev/null | grep -E '^(boto3|botocore|dspy|litellm|openai) ' | tr -s ' ' | paste -sd, -
    PATH=$env/bin:$PATH "$env/bin/python" -m pytest -p no:cacheprovider -m "campaign or not campaign" \
        --numprocesses auto --dist loadfile "${tests[@]}"
}

run_tests oldest dspy==3.3.0 openai==2.20.0 boto3==1.43.11 botocore==1.43.11
run_tests newest dspy==3.4.1 openai==3.54.0 boto3==1.44.5 botocore==1.44.5
