#!/usr/bin/env bash
# The gate of the original's stage 7, for this project: 0 only when every step holds. It needs no AWS. Run it in a
# checkout after npm ci; it takes some minutes. --list names the steps and the suites they run.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.."

BROKER=(src/commands src/config src/domain/mint src/aws)
BROKER_E2E=(test/e2e/wire test/e2e/aws.e2e test/e2e/refusals test/e2e/relying-parties)
AWS_CREDS=(test/e2e/client.e2e test/e2e/agentkeys.e2e)
MCP=(test/e2e/agentkeys-mcp)

suites() {
  npm run --silent jest -- --selectProjects "$1" --ci "${@:2}"
}

without_warnings() {
  npx eslint --max-warnings 0 .
}

# The stand-alone issuer of an earlier stage: the broker is the issuer.
without_stub() {
  [[ ! -e services/oidc-stub ]]
}

without_links_to_stub() {
  ! grep -rnE '\]\([^)]*oidc-stub' --include='*.md' README.md docs
}

STEPS=(
  "the programs, daemon and CLI included, compile|npx tsc -p tsconfig.json"
  "the broker's suites|suites unit ${BROKER[*]}"
  "the broker's routes, against a local AWS|suites e2e ${BROKER_E2E[*]}"
  "AWS credentials for clients|suites e2e ${AWS_CREDS[*]}"
  "MCP|suites e2e ${MCP[*]}"
  "no lint warning|without_warnings"
  "services/oidc-stub is gone|without_stub"
  "no page links to it|without_links_to_stub"
)

if [[ ${1:-} == --list ]]; then
  printf '%s\n' "${STEPS[@]}"
  exit 0
fi

for step in "${STEPS[@]}"; do
  printf '\n== %s\n' "${step%%|*}"
  read -r -a command <<<"${step#*|}"
  if ! "${command[@]}"; then
    printf 'STAGE 7: NOT DONE: %s\n' "${step%%|*}"
    exit 1
  fi
done
printf '\nSTAGE 7 (phase 1 + phase 2) PASSED\n'
