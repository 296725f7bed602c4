#!/usr/bin/env bash
# The body of action.yml: install, weigh once, leave every rendering of the one report, exit with its code.
# Inputs come as environment variables, never spliced into the script, so that no value can become a command.
set -uo pipefail

case "$INPUT_COMMAND" in check | verify | scan) ;; *)
    echo "::error::command must be check, verify or scan"
    exit 2
    ;;
esac

if ! command -v weighbridge >/dev/null; then
    home="${RUNNER_TEMP:-/tmp}/weighbridge-venv"
    python3 -m venv "$home" &&
        "$home/bin/pip" install --quiet --require-hashes -r "$ACTION_PATH/requirements/run.txt" &&
        "$home/bin/pip" install --quiet --no-deps --no-build-isolation "${INPUT_VERSION:-$ACTION_PATH}" || exit 4
    PATH="$home/bin:$PATH"
fi

report="${RUNNER_TEMP:-/tmp}/weighbridge-report.json"
options=(--format json --output "$report" --no-progress)
[ -n "$INPUT_KEY" ] && [ "$INPUT_COMMAND" != scan ] && options+=(--key "$INPUT_KEY")
[ -n "$INPUT_POLICY" ] && options+=(--policy "$INPUT_POLICY")

weighbridge "$INPUT_COMMAND" "${options[@]}" -- "$INPUT_PATH"
code=$?

if [ -s "$report" ] && weighbridge report --format markdown --exit-zero -- "$report" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"; then
    weighbridge report --format sarif --exit-zero --output "$INPUT_SARIF" -- "$report"
    weighbridge report --format github --exit-zero -- "$report"
    verdict=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["verdict"])' "$report")
    {
        echo "verdict=$verdict"
        echo "report=$report"
    } >>"${GITHUB_OUTPUT:-/dev/null}"
fi
exit "$code"
