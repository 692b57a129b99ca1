# shellcheck shell=bash disable=SC2034
# What is asked on a terminal: each prompt after an explanation, with what Enter means.

# What the last run wrote is the default of this one.
take_last_settings() {
  if [[ ! -f $HOST_ENV ]]; then
    [[ $UPGRADE == no ]] || die "$HOST_ENV is not there, so there is nothing to upgrade: run without --upgrade"
    return
  fi
  ISSUER_URL=${ISSUER_URL:-$(last_value BROKER_OIDC_ISSUER)}
  ACCOUNT_ID=${ACCOUNT_ID:-$(last_value ACCOUNT_ID)}
  REGION=${REGION:-$(last_value REGION)}
  PROFILE_NAME=${PROFILE_NAME:-$(last_value AWS_PROFILE)}
  CRED_MODE=${CRED_MODE:-$(last_value '# cred-mode')}
  STORE=${STORE:-$(last_value '# store')}
  if [[ $NGINX == auto && -e $(site_path) ]]; then NGINX=yes; fi
  if [[ $CERTBOT == auto && -e $RENEWAL_HOOK ]]; then CERTBOT=yes; fi
}

last_value() {
  sed -n "s|^$1=||p" "$HOST_ENV"
}

ask_questions() {
  [[ $INTERACTIVE == yes ]] || return 0
  ask ISSUER_URL 'Issuer URL' "The public https URL of this broker. Clouds fetch its keys there, compare it byte for byte in every token, and the
ledger is named after it for life: choose it now, as https://broker.example.com."
  ISSUER_URL=${ISSUER_URL%/}
  check_given_settings
  ask ACCOUNT_ID 'AWS account id' 'The account, 12 digits, whose role agentkeys-data-role callers get credentials of.'
  ask REGION 'AWS region' 'The region whose STS the broker calls.' us-east-1
  ask_cred_mode
  if [[ $CRED_MODE == profile ]]; then
    ask PROFILE_NAME 'Profile name' "The profile of $STATE/.aws that the broker uses." agentkeys-daemon
  fi
  ask_yes_no NGINX 'Set up nginx?' 'nginx ends TLS and passes requests on to the broker, which listens on 127.0.0.1:8091 alone.' yes
  ask_yes_no CERTBOT 'Set up certbot?' "certbot gets the certificate of nginx over port 80, and renews it." "$NGINX"
  check_given_settings
}

# ask VARIABLE PROMPT EXPLANATION [DEFAULT]: what was given by option or at the last run is offered first.
ask() {
  local -n variable=$1
  local default=${variable:-${4:-}} answer
  printf '\n%s\n' "$3"
  read -r -p "$2${default:+ [$default]}: " answer || true
  variable=${answer:-$default}
}

ask_cred_mode() {
  local modes=(instance-profile profile static none) default=1 answer i
  for i in "${!modes[@]}"; do [[ ${modes[i]} != "$CRED_MODE" ]] || default=$((i + 1)); done
  cat <<TEXT

What the broker shows STS:
  1) instance-profile   the role of this EC2 instance
  2) profile            a profile in $STATE/.aws, such as one that assumes a role
  3) static             an access key of an IAM user, in $BROKER_ENV
  4) none               a token of its own: AWS trusts the issuer as OIDC provider, and no AWS key is on this host.
                        The safest, and the broker's default elsewhere; needs the provider of docs/operator-aws.md
TEXT
  read -r -p "Credential mode [$default]: " answer || true
  case ${answer:-$default} in
    [1-4]) CRED_MODE=${modes[${answer:-$default} - 1]} ;;
    *) CRED_MODE=$answer ;;
  esac
}

ask_yes_no() {
  local -n choice=$1
  [[ $choice == auto ]] || return 0
  local answer
  printf '\n%s\n' "$3"
  read -r -p "$2 (yes or no) [$4]: " answer || true
  case ${answer:-$4} in
    y | yes) choice=yes ;;
    n | no) choice=no ;;
    *) die "$2 $answer: expected yes or no" ;;
  esac
}

show_summary() {
  cat <<TEXT

Issuer:       $ISSUER_URL
Account:      $ACCOUNT_ID, region $REGION
Credentials:  $CRED_MODE$([[ $CRED_MODE != profile ]] || printf ' (%s)' "$PROFILE_NAME")
Ledger:       $STORE
nginx:        $NGINX, certbot: $CERTBOT
Release:      $RELEASE_SOURCE

TEXT
  [[ $INTERACTIVE == yes && $YES == no && $DRY_RUN == no ]] || return 0
  local answer
  read -r -p 'Proceed? (yes or no) [no]: ' answer || true
  [[ $answer == y || $answer == yes ]] || die 'not confirmed: nothing was changed'
}
