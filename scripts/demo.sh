# The steps of ./demo. It runs in an empty sandbox; the same steps work in a new AWS account.
set -euo pipefail

bold='' plain='' current=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
step() {
    current=$*
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}
report_failure() {
    local code=$?
    [ $code = 0 ] || printf '\nerror: the demo failed with exit code %s in step %s\n' "$code" "$current" >&2
}
trap report_failure EXIT
# Prints and runs a command. Prints all output if it fails, otherwise only the lines that match the pattern.
run_quietly() {
    local pattern=$1 log
    shift
    printf '$ %s\n' "$*"
    log=$(mktemp)
    "$@" >"$log" 2>&1 || {
        local code=$?
        cat "$log"
        exit $code
    }
    grep -E "$pattern" "$log" || true
    rm -f "$log"
}
run() {
    printf '$ %s\n' "$*"
    "$@"
}

step "1. A platform team sets up the account: bucket, role, permissions"
run_quietly 'never shown' cdk synth --quiet --no-notices
run_quietly 'bootstrapped' cdk bootstrap --app cdk.out --no-notices
run_quietly '✅|Arn = |S3Bucket = ' cdk deploy --all --app cdk.out --no-notices --require-approval never --outputs-file cdk.outputs.json

step "2. The deployment is available as environment variables"
printf '$ eval "$(tunestack env)"\n'
variables=$(tunestack env) # in a line of its own: eval would hide a failure
eval "$variables"
env | grep -E '^(DSPY_BEDROCK|TUNESTACK_STAGE|AWS_REGION)' | sort

step "3. An application fine-tunes Nova Micro from DSPy (on-demand endpoint: free while idle)"
run python examples/from_dspy.py

step "4. The same without DSPy: Llama 3.1 8B (provisioned throughput: billed by the hour)"
run python examples/from_python.py

step "5. The same from the command line; submitting the same job again returns the existing one"
run python examples/tickets.py cdk.out/tickets.jsonl
submit=(tunestack submit cdk.out/tickets.jsonl --model nova-micro -p epochCount=2 --yes)
run "${submit[@]}" --wait
printf '$ job=$(%s --id-only)\n' "${submit[*]}"
job=$("${submit[@]}" --id-only)
printf '$ endpoint=$(tunestack endpoints start "$job" --id-only)\n'
endpoint=$(tunestack endpoints start "$job" --id-only)
run tunestack endpoints list
run tunestack endpoints invoke "$endpoint" "My parcel with the lamp has not come, where is it?"
run tunestack endpoints stop "$endpoint"

step "6. Nothing that costs money is left"
for region in us-east-1 us-west-2; do
    run tunestack endpoints list --region "$region" 2>&1
done
