# shellcheck shell=bash disable=SC2034
# The command line, and what is refused before anything is asked or written.

OPT=/opt/agentkeys-broker
ETC=/etc/agentkeys
STATE=/var/lib/agentkeys
HOST_ENV=$ETC/host.env
BROKER_ENV=$ETC/broker.env
LEDGER_ENV=$ETC/ledger.env
SERVICE=agentkeys-broker.service
UNIT=/etc/systemd/system/$SERVICE
USER_NAME=agentkeys

ISSUER_URL='' ACCOUNT_ID='' REGION='' CRED_MODE='' PROFILE_NAME='' STORE=''
NGINX=auto CERTBOT=auto INTERACTIVE=auto
YES=no DRY_RUN=no UNINSTALL=no UPGRADE=no
RELEASE_SOURCE='' READY_TIMEOUT=90

parse_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --issuer-url | --account-id | --region | --cred-mode | --profile-name | --store | --release | --ready-timeout)
        [[ $# -ge 2 ]] || wrong_usage "$1 needs a value"
        take_value "$1" "$2"
        shift
        ;;
      --with-nginx) NGINX=yes ;;
      --without-nginx) NGINX=no ;;
      --with-certbot) CERTBOT=yes ;;
      --without-certbot) CERTBOT=no ;;
      --interactive) INTERACTIVE=yes ;;
      --non-interactive) INTERACTIVE=no ;;
      --yes | -y) YES=yes ;;
      --upgrade) UPGRADE=yes INTERACTIVE=no ;;
      --dry-run) DRY_RUN=yes ;;
      --uninstall) UNINSTALL=yes ;;
      --help | -h) print_help && exit 0 ;;
      *) wrong_usage "unknown option $1" ;;
    esac
    shift
  done
  if [[ $INTERACTIVE == auto ]]; then
    if [[ -t 0 ]]; then INTERACTIVE=yes; else INTERACTIVE=no; fi
  fi
}

take_value() {
  case $1 in
    --issuer-url) ISSUER_URL=${2%/} ;;
    --account-id) ACCOUNT_ID=$2 ;;
    --region) REGION=$2 ;;
    --cred-mode) CRED_MODE=$2 ;;
    --profile-name) PROFILE_NAME=$2 ;;
    --store) STORE=$2 ;;
    --release) RELEASE_SOURCE=$2 ;;
    --ready-timeout) READY_TIMEOUT=$2 ;;
  esac
}

print_help() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$HOST_TOOLS/setup-broker-host.sh"
}

say() { printf '%s\n' "$*"; }

die() {
  printf 'setup-broker-host: %s\n' "$*" >&2
  exit 1
}

wrong_usage() {
  printf 'setup-broker-host: %s; --help lists the options\n' "$*" >&2
  exit 2
}

check_platform() {
  [[ $(uname -s) == Linux ]] || die "this is $(uname -s); the host has to be Linux with systemd"
  if command -v apt-get >/dev/null; then
    PACKAGES=apt
  elif command -v dnf >/dev/null; then
    PACKAGES=dnf
  else
    die 'neither apt-get nor dnf is here: install nginx and certbot yourself, and follow the ten lines of docs/host.md'
  fi
}

# The script installs the release that it is part of: a checkout, or the package as npm installs it.
check_package() {
  grep -qs '"name": "agentkeys-broker"' "$OWN_PACKAGE/package.json" ||
    die "$OWN_PACKAGE is not a checkout or an installed package of agentkeys-broker: run the script from inside one"
  RELEASE_SOURCE=${RELEASE_SOURCE:-$OWN_PACKAGE}
  [[ -d $RELEASE_SOURCE || -f $RELEASE_SOURCE ]] || die '--release: no such file or folder'
  RELEASE_SOURCE=$(readlink -f -- "$RELEASE_SOURCE")
}

check_given_settings() {
  [[ -z $ISSUER_URL ]] || check_issuer
  case $CRED_MODE in
    '' | instance-profile | profile | static | none) ;;
    *) die "--cred-mode $CRED_MODE: expected instance-profile, profile, static or none" ;;
  esac
  case $STORE in
    '' | sqlite | eventstoredb) ;;
    *) die "--store $STORE: expected sqlite or eventstoredb" ;;
  esac
  [[ $REGION =~ ^[a-z0-9-]*$ ]] || die '--region: expected an AWS region, such as eu-central-1'
  [[ $ACCOUNT_ID =~ ^[0-9]*$ ]] || die '--account-id: expected 12 digits'
  [[ $PROFILE_NAME =~ ^[A-Za-z0-9._-]*$ ]] || die '--profile-name: expected letters, digits, dots, dashes and underscores'
  [[ $READY_TIMEOUT =~ ^[0-9]{1,4}$ ]] || die '--ready-timeout: expected a number of seconds'
}

# No more than the site and the unit need to be safe to write: the broker itself has the last word.
check_issuer() {
  case $ISSUER_URL in
    https://*) ;;
    http://*) die "--issuer-url $ISSUER_URL: clouds accept https only, and bearers would cross the network in clear; write https://" ;;
    *) die "--issuer-url $ISSUER_URL: expected an https URL, such as https://broker.example.com" ;;
  esac
  ISSUER_HOST=${ISSUER_URL#https://}
  [[ $ISSUER_HOST =~ ^[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$ ]] ||
    die "--issuer-url $ISSUER_URL: expected an https URL, such as https://broker.example.com"
  if [[ $NGINX == yes && $ISSUER_HOST == *[:/]* ]]; then
    die "--issuer-url $ISSUER_URL: the site that this script writes has neither port nor path; use --without-nginx and your own proxy"
  fi
}

# A dry run shows what it can read.
become_root() {
  [[ $EUID -ne 0 && $DRY_RUN == no ]] || return 0
  command -v sudo >/dev/null || die 'needs root, and sudo is not here: run it as root'
  exec sudo -- "$HOST_TOOLS/setup-broker-host.sh" "$@"
}

require_settings() {
  local missing=()
  [[ -n $ISSUER_URL ]] || missing+=(--issuer-url)
  [[ -n $ACCOUNT_ID ]] || missing+=(--account-id)
  if [[ ${#missing[@]} -gt 0 ]]; then
    die "${missing[*]} missing: give them, or run with --interactive to be asked"
  fi
  REGION=${REGION:-us-east-1}
  CRED_MODE=${CRED_MODE:-instance-profile}
  PROFILE_NAME=${PROFILE_NAME:-agentkeys-daemon}
  STORE=${STORE:-sqlite}
  [[ $NGINX != auto ]] || NGINX=no
  [[ $CERTBOT != auto ]] || CERTBOT=no
  check_given_settings
}
