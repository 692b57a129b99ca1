#!/bin/sh
# The original's name of this gate.
exec "$(dirname -- "$(readlink -f -- "$0")")/../tools/host/stage-7-done.sh" "$@"
