# shellcheck shell=bash
# What the script cannot do.

say_what_is_left_to_do() {
  [[ $DRY_RUN == no ]] || return 0
  printf '\nWhat is left to you:\n'
  case $CRED_MODE in
    instance-profile) say "- Give this instance a profile whose role the data role of account $ACCOUNT_ID trusts." ;;
    profile) say "- Put the keys of profile $PROFILE_NAME into $STATE/.aws, then run this script again." ;;
    static) say "- Put the key of an IAM user into $BROKER_ENV, then run this script again. Replace it every 90 days." ;;
    none) say "- Register $ISSUER_URL as OIDC provider of account $ACCOUNT_ID (docs/operator-aws.md)." ;;
  esac
  say "- DNS: an A record of $ISSUER_HOST with this host's public address."
  say '- Firewall: let 443 and 80 in; nothing else, and never 8090 or 8091.'
  if [[ $NGINX == yes ]] && ! has_certificate; then
    say "- The certificate: certbot certonly --webroot -w $WEBROOT -d $ISSUER_HOST"
    say '  Then run this script again, for nginx to end TLS with it.'
  fi
  cat <<TEXT
- Then, from anywhere:
    curl -fsS $ISSUER_URL/healthz
    curl -fsS $ISSUER_URL/.well-known/openid-configuration
    curl -fsS $ISSUER_URL/.well-known/jwks.json
TEXT
}
