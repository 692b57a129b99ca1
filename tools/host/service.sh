# shellcheck shell=bash
# Takes the release and the settings into use, and goes back to what ran before when /readyz does not come.

apply_to_service() {
  local before missing
  before=$(readlink "$OPT/current" || true)
  if [[ $before == "$STAGED" && ! -e $RESTART_DUE ]] && systemctl is-active --quiet "$SERVICE"; then
    say 'The broker runs with these settings already: not restarted.'
    return
  fi
  missing=$(missing_secrets)
  if [[ $DRY_RUN == yes ]]; then
    say "would stop $SERVICE, link $OPT/current to the release, start it, and wait for /readyz${missing:+ (not before there is $missing)}"
    return
  fi
  : >"$RESTART_DUE"
  if [[ -n $missing ]]; then
    prepare "$STAGED"
    say "Not started: it needs $missing. Then run this script again."
    return
  fi
  take_into_use "$before"
}

take_into_use() {
  local before=$1 went_on=no awaited=/readyz
  if systemctl is-active --quiet "$SERVICE"; then
    went_on=yes
    # Where it was not ready before, that is not the new release's fault.
    answers /readyz || awaited=/healthz
  fi
  systemctl stop "$SERVICE" 2>/dev/null || true
  prepare "$STAGED"
  if start_and_wait "$awaited"; then
    rm -f "$RESTART_DUE"
    forget_kept
    remove_old_releases "$before"
    say "$SERVICE runs $(basename "$STAGED")."
    return
  fi
  show_last_lines
  [[ $went_on == yes ]] || die "the broker did not become ready in ${READY_TIMEOUT} s: correct what its last lines (above) say, and run this script again"
  go_back "$before" "$awaited"
}

prepare() {
  ln -sfn "$1" "$OPT/current"
  systemctl daemon-reload
  systemctl reset-failed "$SERVICE" 2>/dev/null || true
  systemctl is-enabled --quiet "$SERVICE" || systemctl enable --quiet "$SERVICE"
}

go_back() {
  systemctl stop "$SERVICE" 2>/dev/null || true
  put_back
  prepare "$1"
  start_and_wait "$2" || {
    show_last_lines
    die "$(basename "$STAGED") did not become ready, and neither did $(basename "$1") after it: see journalctl -u $SERVICE"
  }
  rm -f "$RESTART_DUE"
  forget_kept
  [[ $NEWLY_STAGED == no ]] || rm -rf "$STAGED"
  die "$(basename "$STAGED") did not become ready in ${READY_TIMEOUT} s (its last lines are above): $(basename "$1") runs again, with its settings"
}

start_and_wait() {
  systemctl start "$SERVICE" || return 1
  local end=$((SECONDS + READY_TIMEOUT))
  while ((SECONDS <= end)); do
    ! answers "$1" || return 0
    ! systemctl is-failed --quiet "$SERVICE" || return 1
    # A refusal comes again at every start; a cluster may still come up.
    [[ $STORE == eventstoredb || $(systemctl show -p NRestarts --value "$SERVICE") == 0 ]] || return 1
    sleep 1
  done
  return 1
}

answers() {
  "$NODE" -e 'fetch(process.argv[1]).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))' "http://127.0.0.1:8091$1"
}

show_last_lines() {
  journalctl -u "$SERVICE" -n 8 --no-pager -o cat >&2 || true
}
