#!/bin/sh
# Makes the certificates of the three EventStoreDB nodes with its own tool, es-gencert-cli: a CA and a certificate for
# each node, with the address and the name it has in docker-compose.cluster.yml. Each node gets to see its own key only,
# and none the CA's. They last a year, the CA five.
set -eu
umask 077

deploy=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
secrets=$deploy/secrets
image=eventstore/es-gencert-cli:1.0.2
container_user=1000

if [ -e "$secrets/certificates" ] || [ -e "$secrets/ca" ]; then
  echo 'deploy/secrets/certificates or deploy/secrets/ca is there: move both away first. Nothing was changed.' >&2
  exit 1
fi
mkdir -p "$secrets/certificates/ca"

gencert() {
  docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$secrets:/secrets" "$image" "$@"
}

gencert create-ca -out /secrets/ca
for i in 1 2 3; do
  gencert create-node -ca-certificate /secrets/ca/ca.crt -ca-key /secrets/ca/ca.key \
    -out "/secrets/certificates/node$i" -ip-addresses "172.30.240.1$i" -dns-names "ledger-node$i"
done

cp "$secrets/ca/ca.crt" "$secrets/certificates/ca/ca.crt"
chmod 0755 "$secrets/certificates" "$secrets/certificates/ca"
chmod 0444 "$secrets/certificates/ca/ca.crt" "$secrets"/certificates/node?/node.crt
chmod 0400 "$secrets/ca/ca.key" "$secrets"/certificates/node?/node.key
if [ "$(id -u)" = 0 ]; then
  chown -R "$container_user:$container_user" "$secrets/certificates"
elif [ "$(id -u)" != "$container_user" ]; then
  echo "Now let the containers' user have them: sudo chown -R $container_user:$container_user deploy/secrets/certificates" >&2
fi
echo 'made deploy/secrets/certificates. Keep deploy/secrets/ca elsewhere: anyone who has ca.key can be a node of this cluster.'
