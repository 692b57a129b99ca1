// The help text of agentkeys-broker.

import { APPROVALS_USAGE } from './approvals-line.js'
import { CLOUD_USAGE } from './cloud-line.js'
import { KEYS_USAGE } from './keys-line.js'
import { POLICY_USAGE } from './policy-line.js'
import { RECOVERY_USAGE } from './recovery-line.js'

export const USAGE = `Usage: agentkeys-broker [options]
       agentkeys-broker export-tiles DIR
       agentkeys-broker backup DIR
       ${RECOVERY_USAGE}
       agentkeys-broker init-eventstore --app-password-file FILE --audit-password-file FILE [--wait SECONDS]
       agentkeys-broker migrate-ledger --from STORE --to STORE
       agentkeys-broker adopt-ledger [--expect-size N --expect-head HASH]
       agentkeys-broker session-backend
       agentkeys-broker mail-router
       agentkeys-broker cut-off|restore --wallet W | --session S | --mint M | --role R [--reason TEXT]
       ${KEYS_USAGE}
       ${APPROVALS_USAGE}
       ${POLICY_USAGE}
       ${CLOUD_USAGE}

Issues short-lived OIDC tokens and AWS credentials to AI agents, each recorded in the ledger before it exists.

  --port N               port to listen on (default 8091; 0 for any free one)
  --bind HOST            address to listen on (default 127.0.0.1)
  --skip-startup-check   do not ask STS who we are before listening
  --insecure-ledger      start although the EventStoreDB user may delete or truncate the ledger; for trying things out
  --print-config         print the effective configuration, without secrets, as JSON and exit
  --help                 print this
  --version              print the version

  export-tiles DIR       write the ledger's checkpoint, tiles and entry bundles as files for a static host; entries
                         are written in clear, so publish tile/entries only where everyone may read them
  backup DIR             copy the ledger and the sessions into a new folder, and verify the copy against the
                         checkpoint that was signed last; the broker may run
  restore-backup DIR     put a backup in the ledger's place; its first line says which entries would be lost, and without
                         --yes it stops there. The broker must be stopped
  import SOURCE          append the entries that are missing here, from what verify-ledger reads (tiles over http(s) or
                         in a folder, FILE.jsonl, sqlite:PATH), where the ledger's own key signed for all of them
  init-eventstore        give an EventStoreDB the ledger's users and rights, as the administrator of the URL in
                         BROKER_LEDGER_ADMIN_URL; run again it sets the passwords only; --wait for a database that
                         has no leader or no administrator yet
  migrate-ledger         copy a ledger, byte for byte; STORE is sqlite:PATH, or env:NAME for a variable with an
                         esdb:// URL. No broker may run meanwhile; what was cut off goes on when run again
  adopt-ledger           say which entries no holder of the ledger key signed; with size and head, as verify-ledger
                         prints them, take them over. Needed once for a ledger from before appends were signed
  session-backend        run the session backend on its own, at BROKER_SESSION_BIND (default 127.0.0.1:8090), for
                         brokers that name it in BROKER_BACKEND_URL; its data dir is not a broker's
  mail-router            take mail out of inbound/ in BROKER_DATA_BUCKET to the wallets whose inboxes it was received
                         for, with an AWS role of its own; several may run
  cut-off                from now on, no broker of the ledger mints for this wallet, session (sha256:…, the audit's
                         token_sha256), mint or role, nor hands out what is under way; restore undoes it. Asks the
                         broker at --bind and --port with the operator's token; prints the policy that ends AWS sessions
  cloud-setup            --print: what the broker needs at AWS, as a script or a template; --check: whether the policies
                         that are there hold, from the JSON file that the script writes; calls no cloud itself
  approvals              mints that wait for a decision, and the operator's: approve, once, or deny. Asks the broker at
                         --bind and --port, as cut-off does
  keys                   the keys that sign tokens, of which the next one is published a day before it signs. Asks the
                         broker at --bind and --port, as cut-off does; docs/keys.md says when to use which
  policy                 schema: what a policy may speak of; default: what the settings allow, as a policy; check: whether
                         a folder (BROKER_POLICY) can be loaded; test: expectations in a JSON file; explain: one
                         decision; replay: which mints of the ledger a policy would have refused

The rest is set by environment variables, all in docs/configuration.md. The ones most used:

  BROKER_OIDC_ISSUER     https URL under which clouds reach this broker (default http://127.0.0.1:PORT)
  BROKER_BACKEND_URL     session backend to ask (default: the embedded one, on BROKER_SESSION_BIND)
  BROKER_DATA_ROLE_ARN   AWS role that callers get; ACCOUNT_ID alone means its agentkeys-data-role
  BROKER_AWS_REGION      region of the STS to call (default us-east-1)
  BROKER_STS_MODE        web-identity (default) or assume-role (default with AWS keys and a loopback issuer)
  BROKER_DATA_DIR        where keys and databases live (default $HOME/.agentkeys/broker)
  BROKER_LEDGER_URL      sqlite:PATH (default, in the data dir) or esdb://USER:PASSWORD@HOST:PORT
  BROKER_LOG             trace, debug, info (default), warn, error or off

Exit codes: 0 done, or stopped as asked; 1 refused, by the broker or by the ledger's store; 2 wrong usage;
3 (subcommands) could not reach or read something.`

export const SHORT_USAGE =
  'Usage: agentkeys-broker [--port N] [--bind HOST] [--skip-startup-check] [--insecure-ledger] [--print-config] [--help] [--version]'
