# shellcheck shell=bash
# Takes away what the script made, and nothing that cannot be made again.

uninstall() {
  if [[ $DRY_RUN == no && $YES == no ]]; then
    [[ $INTERACTIVE == yes ]] || die '--uninstall without a terminal needs --yes'
    local answer
    read -r -p "Stop the broker and remove it from this machine? $STATE and your settings stay. (yes or no) [no]: " answer || true
    [[ $answer == y || $answer == yes ]] || die 'not confirmed: nothing was changed'
  fi
  if [[ -e $UNIT ]]; then
    act systemctl disable --quiet --now "$SERVICE"
    act rm -rf "$UNIT" "$UNIT.d"
    act systemctl daemon-reload
  fi
  remove_site
  local name
  for name in "${!COMMANDS[@]}"; do
    [[ $(readlink "/usr/local/bin/$name" || true) != "$OPT/current/"* ]] || act rm -f "/usr/local/bin/$name"
  done
  act rm -rf "$HOST_ENV" "$OPT"
  say "Kept: $STATE (the ledger, its key, sessions), $BROKER_ENV, $LEDGER_ENV, user $USER_NAME, certificates and packages."
}

remove_site() {
  local site
  site=$(site_path)
  remove_file "$RENEWAL_HOOK"
  [[ -e $site ]] || return 0
  act rm -f "$site" /etc/nginx/sites-enabled/agentkeys-broker
  reload_nginx
}
