# shellcheck shell=bash
# The service's user, its settings and its unit.

make_user_and_folders() {
  if ! id -u "$USER_NAME" >/dev/null 2>&1; then
    act useradd --system --user-group --home-dir "$STATE" --shell "$(command -v nologin || echo /usr/sbin/nologin)" "$USER_NAME"
  fi
  [[ -d $STATE ]] || act install -d -o "$USER_NAME" -g "$USER_NAME" -m 0700 "$STATE"
  [[ -d $ETC ]] || act install -d -m 0755 "$ETC"
}

# No secret is among them.
host_settings() {
  cat <<TEXT
# Written by setup-broker-host.sh at each run. Settings of your own belong in $BROKER_ENV, which wins.
# cred-mode=$CRED_MODE
# store=$STORE
BROKER_OIDC_ISSUER=$ISSUER_URL
ACCOUNT_ID=$ACCOUNT_ID
REGION=$REGION
TEXT
  case $CRED_MODE in
    none) echo BROKER_STS_MODE=web-identity ;;
    profile) printf 'BROKER_STS_MODE=assume-role\nAWS_PROFILE=%s\n' "$PROFILE_NAME" ;;
    *) echo BROKER_STS_MODE=assume-role ;;
  esac
}

write_settings() {
  put_file 644 "$HOST_ENV" restart < <(host_settings)
  case $CRED_MODE in
    profile) write_profile ;;
    static)
      put_file_once 600 "$BROKER_ENV" <<TEXT
# Yours: setup-broker-host.sh never changes this file. One NAME=value a line; docs/configuration.md has all names.
#DAEMON_ACCESS_KEY_ID=
#DAEMON_SECRET_ACCESS_KEY=
TEXT
      ;;
  esac
  if [[ $STORE == eventstoredb ]]; then
    put_file_once 600 "$LEDGER_ENV" <<TEXT
# Yours: setup-broker-host.sh never changes this file. Percent-encode the password.
#BROKER_LEDGER_URL=esdb://ledger-app:PASSWORD@node1:2113,node2:2113,node3:2113?tlsCAFile=$ETC/ledger-ca.crt
TEXT
  fi
}

write_profile() {
  local folder=$STATE/.aws
  [[ -d $folder ]] || act install -d -o "$USER_NAME" -g "$USER_NAME" -m 0700 "$folder"
  put_file_once 600 "$folder/credentials" <<TEXT
[$PROFILE_NAME]
aws_access_key_id = REPLACE-ME
aws_secret_access_key = REPLACE-ME
TEXT
  put_file_once 600 "$folder/config" <<TEXT
[profile $PROFILE_NAME]
region = $REGION
TEXT
  [[ $DRY_RUN == yes ]] || chown "$USER_NAME:$USER_NAME" "$folder/credentials" "$folder/config"
}

# Empty when the service has all it needs to start; otherwise what is missing.
missing_secrets() {
  if [[ $CRED_MODE == static ]] && ! grep -Eqs '^(BROKER_)?DAEMON_ACCESS_KEY_ID=.' "$BROKER_ENV"; then
    echo "DAEMON_ACCESS_KEY_ID and DAEMON_SECRET_ACCESS_KEY in $BROKER_ENV"
  elif [[ $CRED_MODE == profile ]] && grep -qs REPLACE-ME "$STATE/.aws/credentials"; then
    echo "the keys of profile $PROFILE_NAME in $STATE/.aws/credentials"
  elif [[ $STORE == eventstoredb ]] && ! grep -Eqs '^BROKER_LEDGER_URL=.' "$LEDGER_ENV"; then
    echo "BROKER_LEDGER_URL in $LEDGER_ENV"
  fi
}

# The units of the staged release, with this machine's Node.
write_unit() {
  local drop_in=$UNIT.d/eventstoredb.conf
  put_file 644 "$UNIT" restart < <(sed "s|^ExecStart=/usr/bin/node |ExecStart=$NODE |" "$STAGED/deploy/$SERVICE")
  case $STORE in
    eventstoredb) put_file 644 "$drop_in" restart <"$STAGED/deploy/agentkeys-broker-eventstoredb.conf" ;;
    sqlite) remove_file "$drop_in" restart ;;
  esac
}

write_commands() {
  local name
  for name in "${!COMMANDS[@]}"; do put_link "$OPT/current/dist/${COMMANDS[$name]}" "/usr/local/bin/$name"; done
}

declare -A COMMANDS=(
  [agentkeys-broker]=src/main.js
  [agentkeys-broker-server]=src/main.js
  [agentkeys]=tools/agentkeys/main.js
  [agentkeys-daemon]=tools/agentkeys-daemon/main.js
  [verify-ledger]=tools/verify-ledger/main.js
)
