# shellcheck shell=bash
# A release is a folder under /opt/agentkeys-broker/releases, named by its version and content; "current" links to one.

RELEASES=$OPT/releases
NEWLY_STAGED=no

find_node() {
  NODE=$(command -v node) || die 'Node 20.19 or later is not here: install it from your distribution or from nodejs.org'
  "$NODE" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    die "$NODE is $("$NODE" --version): the broker needs 20.19 or later"
  case $(readlink -f "$NODE") in
    /home/* | /root/*) die "$NODE is in a home folder, which the service cannot see: install Node for the whole machine" ;;
  esac
}

install_packages() {
  local needed=()
  [[ $NGINX == no ]] || command -v nginx >/dev/null || needed+=(nginx)
  [[ $CERTBOT == no ]] || command -v certbot >/dev/null || needed+=(certbot)
  [[ ${#needed[@]} -gt 0 ]] || return 0
  case $PACKAGES in
    apt)
      act apt-get update -qq
      act env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${needed[@]}"
      ;;
    dnf) act dnf install -y -q "${needed[@]}" ;;
  esac
}

# Puts RELEASE_SOURCE under its name into RELEASES, whole or not at all, and sets STAGED to it.
stage_release() {
  if [[ $DRY_RUN == yes ]]; then
    STAGED=$RELEASE_SOURCE
    say "would install the release of $RELEASE_SOURCE under $RELEASES"
    return
  fi
  install -d -m 0755 "$OPT" "$RELEASES"
  local source=$RELEASE_SOURCE
  [[ ! -e $source/tsconfig.build.json ]] || source=$(pack_checkout "$source")
  if [[ $(dirname "$source") == "$RELEASES" ]]; then
    STAGED=$source
    return
  fi
  STAGED=$RELEASES/$(release_name "$source")
  [[ ! -d $STAGED ]] || return 0
  local part
  part=$(mktemp -d "$RELEASES/.part.XXXXXX")
  if [[ -f $source ]]; then unpack_release "$source" "$part"; else cp -a "$source/." "$part"; fi
  chown -R root:root "$part"
  chmod -R u+rwX,go+rX,go-w "$part"
  [[ -f $part/dist/src/main.js && -d $part/node_modules ]] || die "$source is no release: dist/src/main.js or node_modules is missing in it"
  mv -T "$part" "$STAGED"
  # shellcheck disable=SC2034 # read in service.sh
  NEWLY_STAGED=yes
  say "installed $STAGED"
}

pack_checkout() {
  [[ -d $1/node_modules ]] || die "$1 has no node_modules: run npm ci in it first"
  rm -rf "$OPT/packed"
  install -d "$OPT/packed"
  (cd "$1" && npm pack --silent --pack-destination "$OPT/packed" >&2)
  echo "$OPT"/packed/*.tgz
}

# Its dependencies are those of its shrinkwrap; npm puts them into the package's own folder.
unpack_release() {
  echo '{}' >"$2/package.json"
  npm install --silent --no-audit --no-fund --omit=optional --prefix "$2" "$1" >&2
  mv "$2/node_modules/agentkeys-broker" "$2.package"
  rm -rf "$2"
  mv -T "$2.package" "$2"
}

release_name() {
  local manifest hash
  if [[ -f $1 ]]; then
    manifest=$(tar -xzOf "$1" package/package.json)
    hash=$(sha256sum "$1")
  else
    manifest=$(cat "$1/package.json")
    hash=$(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
  fi
  printf '%s-%s' "$(sed -n 's/^  "version": "\([^"]*\)".*/\1/p' <<<"$manifest")" "${hash:0:12}"
}

# The broker's own reading of the settings, before a unit has them. What broker.env adds is checked at the start.
check_settings_with_broker() {
  [[ -f $STAGED/dist/src/main.js && -d $STAGED/node_modules ]] || return 0
  local output
  local -a settings
  mapfile -t settings < <(host_settings | grep -v '^#')
  output=$(env -i HOME="$STATE" "${settings[@]}" "$NODE" "$STAGED/dist/src/main.js" --print-config 2>&1) ||
    die "the broker refuses these settings: $(grep '^error:' <<<"$output" || tail -n 3 <<<"$output")"
}

# The one that runs and the one before it stay.
remove_old_releases() {
  local release
  for release in "$RELEASES"/*; do
    [[ $release == "$STAGED" || $release == "$1" ]] || rm -rf "$release"
  done
  rm -rf "$OPT/packed" "$RELEASES"/.part.*
}
