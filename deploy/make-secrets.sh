#!/bin/sh
# Makes the passwords of docker-compose.cluster.yml: files in deploy/secrets, mode 0600. A file that is there stays as it
# is, so it is safe to run again: the passwords of EventStoreDB's admin and ops count at its first start only.
set -eu
umask 077

deploy=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
secrets=$deploy/secrets
mkdir -p "$secrets/broker" "$secrets/ledger-setup"
# Whom the broker's container runs as. It takes keys and passwords that no one else can read, so they must be its own.
container_user=1000

nodes='ledger-node1:2113,ledger-node2:2113,ledger-node3:2113'
options='nodePreference=leader&tlsCAFile=/certs/ca/ca.crt'

# Hex: 256 bits, and nothing a URL, a shell or compose could read another way.
password() {
  openssl rand -hex 32
}

# write NAME < content: whole or not at all.
write() {
  cat >"$secrets/$1.new"
  mv "$secrets/$1.new" "$secrets/$1"
  echo "made deploy/secrets/$1"
}

for file in eventstoredb.env ledger-setup.env ledger-setup/app-password ledger-setup/audit-password broker.env; do
  if [ -e "$secrets/$file" ]; then
    echo "deploy/secrets/$file is there: nothing was changed. To make new ones see docs/deployment.md" >&2
    exit 0
  fi
done

admin=$(password)
ops=$(password)
app=$(password)
audit=$(password)
# printf and cat are the shell's own or read standard input: no password is in the arguments of a process.
printf 'EVENTSTORE_DEFAULT_ADMIN_PASSWORD=%s\nEVENTSTORE_DEFAULT_OPS_PASSWORD=%s\n' "$admin" "$ops" | write eventstoredb.env
printf 'BROKER_LEDGER_ADMIN_URL=esdb://admin:%s@%s?%s\n' "$admin" "$nodes" "$options" | write ledger-setup.env
printf '%s\n' "$app" | write ledger-setup/app-password
printf '%s\n' "$audit" | write ledger-setup/audit-password
printf 'BROKER_LEDGER_URL=esdb://ledger-app:%s@%s?%s\n' "$app" "$nodes" "$options" | write broker.env

if [ "$(id -u)" = 0 ]; then
  chown -R "$container_user:$container_user" "$secrets/broker" "$secrets/ledger-setup"
elif [ "$(id -u)" != "$container_user" ]; then
  echo "Now let the containers' user have its folders: sudo chown -R $container_user:$container_user" \
    "deploy/secrets/broker deploy/secrets/ledger-setup" >&2
fi
