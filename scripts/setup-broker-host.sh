#!/bin/sh
# The original's name of this script.
exec "$(dirname -- "$(readlink -f -- "$0")")/../tools/host/setup-broker-host.sh" "$@"
