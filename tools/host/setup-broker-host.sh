#!/usr/bin/env bash
# Makes this Linux machine (apt or dnf) a host of the AgentKeys Broker: a release under /opt/agentkeys-broker, a user, a
# hardened systemd unit, and nginx with a certificate in front of it. Run it again at any time: what is as it should be
# is left alone, and what runs is restarted only when something changed. docs/host.md tells the whole story.
#
# Usage: setup-broker-host.sh [options]
#
#   --issuer-url URL      https URL under which clouds reach the broker (asked for, or as at the last run)
#   --account-id N        AWS account of the data role, 12 digits
#   --region REGION       region whose STS is called (default us-east-1)
#   --cred-mode MODE      what the broker shows STS: instance-profile (default), profile, static, or none: a token of its
#                         own, which needs the OIDC provider at AWS and no key here
#   --profile-name NAME   with --cred-mode profile (default agentkeys-daemon)
#   --store STORE         where the ledger is: sqlite (default) or eventstoredb
#   --with-nginx, --without-nginx        nginx in front of the broker (default: ask on a terminal, else no)
#   --with-certbot, --without-certbot    certbot for its certificate (the same)
#   --interactive, --non-interactive     ask for what is missing, or refuse (default: ask on a terminal)
#   --yes, -y             do not ask before anything is changed
#   --release PATH        a release's tarball, or a folder it is installed in (default: the one this script is part of)
#   --upgrade             another release with the settings of the last run; goes back to the old one by itself when the
#                         new one does not become ready
#   --ready-timeout N     seconds a start may take (default 90)
#   --dry-run             change nothing; show each file as a diff and each command
#   --uninstall           remove all of it, but never a ledger, a key or a setting of yours
#   --help                print this
#
# Exit codes: 0 done; 1 refused, or the broker did not become ready; 2 wrong usage.
set -euo pipefail
shopt -s inherit_errexit

HOST_TOOLS=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck disable=SC2034 # used in options.sh
OWN_PACKAGE=$(cd -- "$HOST_TOOLS/../.." && pwd)
for topic in options files questions release settings site service uninstall closing; do
  # shellcheck source=/dev/null
  . "$HOST_TOOLS/$topic.sh"
done

main() {
  parse_options "$@"
  check_platform
  if [[ $UNINSTALL == yes ]]; then
    become_root "$@"
    uninstall
    return
  fi
  check_package
  take_last_settings
  check_given_settings
  become_root "$@"
  ask_questions
  require_settings
  find_node
  show_summary
  install_packages
  stage_release
  check_settings_with_broker
  make_user_and_folders
  write_settings
  write_unit
  write_commands
  write_site
  apply_to_service
  say_what_is_left_to_do
}

main "$@"
