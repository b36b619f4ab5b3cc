# What ./demo shows; runs inside an empty sandbox, as it would in a new AWS account.
set -euo pipefail

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
# Shows a command, then runs it; what it prints is shown only if it fails, or where it matches the pattern.
quietly() {
    local pattern=$1 log
    shift
    printf '$ %s\n' "$*"
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log"
        exit 1
    fi
    grep -E "$pattern" "$log" || true
    rm -f "$log"
}
run() {
    printf '$ %s\n' "$*"
    "$@"
}

step "1. A platform team provisions the account: bucket, role, permissions"
quietly 'never shown' cdk synth --quiet --no-notices
quietly 'bootstrapped' cdk bootstrap --app cdk.out --no-notices
quietly '✅|Arn = |S3Bucket = ' cdk deploy --all --app cdk.out --no-notices --require-approval never --outputs-file cdk.outputs.json

step "2. The environment variables come out of it"
printf '$ eval "$(tunestack env)"\n'
eval "$(tunestack env)"
env | grep -E '^(DSPY_BEDROCK|TUNESTACK_STAGE|AWS_REGION)' | sort

step "3. An application fine-tunes Nova Micro from DSPy (served on demand: free while idle)"
run python examples/from_dspy.py

step "4. The same without DSPy: Llama 3.1 8B (served by provisioned throughput: billed by the hour)"
run python examples/from_python.py

step "5. The same from the command line; submitting what is there already is the same job"
run python examples/tickets.py cdk.out/tickets.jsonl
submit=(tunestack submit cdk.out/tickets.jsonl --model nova-micro -p epochCount=2)
run "${submit[@]}" --wait
run "${submit[@]}" --json
job=$(tunestack jobs --json | python -c 'import json, sys; print(json.loads(sys.stdin.readline())["id"])')
run tunestack endpoint start "$job"
endpoint=$(tunestack endpoint list --json | python -c 'import json, sys; print(json.loads(sys.stdin.readline())["id"])')
run tunestack endpoint list
run tunestack endpoint invoke "$endpoint" "My parcel with the lamp has not come, where is it?"
run tunestack endpoint stop "$endpoint"

step "6. Nothing is left that costs money"
for region in us-east-1 us-west-2; do
    run tunestack endpoint list --region "$region" 2>&1
done
