// The commands: parsing, help, completion and the reference page are all made from these rows.

import type { Command, Options } from './command.js'

const ROLE: Options = {
  role: { type: 'string', value: 'ARN', help: "an AWS role; default: the broker's data role" },
}
const CREDENTIALS: Options = {
  ...ROLE,
  duration: {
    type: 'string',
    value: 'SECONDS',
    help: 'how long the credentials are good; default: as the broker says',
  },
}

const AGENT: Options = {
  agent: {
    type: 'string',
    value: 'A',
    help: 'a wallet, an alias or an e-mail address; default: your own wallet',
  },
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'init',
    usage: '',
    summary: 'Get a session: make a wallet key, sign in with it, and pin the ledger key',
    args: [0, 0],
    options: {
      'wallet-key-file': {
        type: 'string',
        value: 'FILE',
        help: 'use this secp256k1 key (64 hex digits); - is stdin',
      },
      'auth-token': {
        type: 'string',
        value: 'FILE',
        help: 'sign in with the auth token in FILE instead; - is stdin',
      },
      'ledger-vkey': { type: 'string', value: 'VKEY', help: 'the ledger key that the operator gave you' },
    },
    run: () => import('./commands/init.js'),
  },
  {
    name: 'whoami',
    usage: '',
    summary: 'Show the wallet, the broker, and where the session is kept',
    args: [0, 0],
    options: {},
    run: () => import('./commands/whoami.js'),
  },
  {
    name: 'exec',
    usage: '-- CMD…',
    summary: 'Run a command with AWS credentials that renew themselves',
    args: [0, 0],
    takesRest: true,
    options: {
      ...CREDENTIALS,
      env: { type: 'boolean', help: 'set AWS_ACCESS_KEY_ID and the like, which do not renew themselves' },
      ephemeral: {
        type: 'boolean',
        help: 'as a child session with a wallet of its own, which is revoked when CMD ends',
      },
      'keep-aws-config': {
        type: 'boolean',
        help: "leave the user's AWS profiles in sight; they outrank ours",
      },
    },
    run: () => import('./commands/exec.js'),
  },
  {
    name: 'credential-process',
    usage: '',
    summary: "Print AWS credentials as a profile's credential_process",
    args: [0, 0],
    options: CREDENTIALS,
    run: () => import('./commands/credential-process.js'),
  },
  {
    name: 'token',
    usage: '',
    summary: 'Print a JWT, or keep a file with one fresh',
    args: [0, 0],
    options: {
      audience: { type: 'string', value: 'A', help: 'who the token is for' },
      for: {
        type: 'string',
        value: 'PARTY',
        help: 'aws, gcp, anthropic, snowflake, vault or k8s: audience and format',
      },
      format: { type: 'string', value: 'F', help: 'raw, json, gcp-executable or k8s-exec' },
      ttl: {
        type: 'string',
        value: 'SECONDS',
        help: 'how long the token is good; default: as the broker says',
      },
      ...ROLE,
      write: { type: 'string', value: 'FILE', help: 'write it there, mode 0600, without a line feed' },
      'keep-fresh': { type: 'boolean', help: 'go on running, and renew the file before the token expires' },
    },
    run: () => import('./commands/token.js'),
  },
  {
    name: 'store',
    usage: 'SERVICE',
    summary: 'Encrypt a secret for a service, and store it at the session backend',
    args: [1, 2],
    options: {
      ...AGENT,
      from: { type: 'string', value: 'FILE', help: 'read the secret there; default: stdin' },
    },
    run: () => import('./commands/store.js'),
  },
  {
    name: 'read',
    usage: 'SERVICE',
    summary: 'Print a stored secret',
    args: [1, 1],
    options: AGENT,
    run: () => import('./commands/read.js'),
  },
  {
    name: 'list',
    usage: '',
    summary: 'List the services that a secret is stored for',
    args: [0, 0],
    options: AGENT,
    run: () => import('./commands/list.js'),
  },
  {
    name: 'run',
    usage: '-- CMD…',
    summary: 'Run a command with stored secrets in its environment',
    args: [0, 0],
    takesRest: true,
    options: {
      ...AGENT,
      env: {
        type: 'string',
        multiple: true,
        value: 'NAME=SERVICE',
        help: 'which variable; default: <SERVICE>_API_KEY for each stored service',
      },
    },
    run: () => import('./commands/run.js'),
  },
  {
    name: 'revoke',
    usage: '[WALLET]',
    summary: 'End your session, or all sessions of a wallet of yours',
    args: [0, 1],
    options: {},
    run: () => import('./commands/revoke.js'),
  },
  {
    name: 'teardown',
    usage: 'AGENT',
    summary: "Revoke an agent's sessions and delete its stored secrets",
    args: [1, 1],
    options: {},
    run: () => import('./commands/teardown.js'),
  },
  {
    name: 'usage',
    usage: '[AGENT]',
    summary: 'Show what was done with stored secrets',
    args: [0, 1],
    options: {},
    run: () => import('./commands/usage.js'),
  },
  {
    name: 'link',
    usage: 'AGENT',
    summary: "Give an agent's wallet a name",
    args: [1, 1],
    options: {
      alias: { type: 'string', value: 'NAME', help: 'an alias' },
      email: { type: 'string', value: 'ADDRESS', help: 'an e-mail address' },
    },
    run: () => import('./commands/link.js'),
  },
  {
    name: 'scope',
    usage: 'AGENT',
    summary: 'Show or change which services an agent may use',
    args: [1, 1],
    options: {
      add: { type: 'string', multiple: true, value: 'SERVICE', help: 'allow one more' },
      remove: { type: 'string', multiple: true, value: 'SERVICE', help: 'allow one less' },
      set: { type: 'string', value: 'A,B', help: 'allow exactly these' },
      list: { type: 'boolean', help: 'only show them' },
    },
    run: () => import('./commands/scope.js'),
  },
  {
    name: 'provision',
    usage: 'SERVICE',
    summary: 'Sign up at a service, and store the key it gives',
    args: [1, 1],
    options: { force: { type: 'boolean', help: 'make a new key even where one is stored' } },
    run: () => import('./commands/provision.js'),
  },
  {
    name: 'inbox',
    usage: 'provision|list|read [ADDRESS]',
    summary: "An agent's mail addresses and what arrived there",
    args: [1, 2],
    options: AGENT,
    run: () => import('./commands/inbox.js'),
  },
  {
    name: 'config',
    usage: 'aws|mcp',
    summary: 'Print the lines that make AWS tools or an MCP client use agentkeys',
    args: [1, 1],
    options: {
      ...CREDENTIALS,
      profile: { type: 'string', value: 'NAME', help: 'name of the AWS profile; default: agentkeys' },
      region: { type: 'string', value: 'REGION', help: 'region of the AWS profile' },
      'token-file': {
        type: 'string',
        value: 'FILE',
        help: 'a profile that reads the token which agentkeys token --write keeps there',
      },
      client: { type: 'string', value: 'CLIENT', help: 'claude, vscode or cursor' },
    },
    run: () => import('./commands/config.js'),
  },
  {
    name: 'receipts',
    usage: 'list|show|verify|export [MINT_ID]',
    summary: 'Show and verify the receipts of your mints',
    args: [1, 2],
    options: {},
    run: () => import('./commands/receipts.js'),
  },
  {
    name: 'mcp',
    usage: '',
    summary: 'Be an MCP server on stdin and stdout',
    args: [0, 0],
    options: {
      'allow-secrets': {
        type: 'boolean',
        help: 'also offer agentkeys_get_credential, which gives the model a secret',
      },
      'tool-names': {
        type: 'string',
        value: 'FORM',
        help: 'underscore (default) or dotted, as the original had them',
      },
    },
    run: () => import('./commands/mcp.js'),
  },
  {
    name: 'doctor',
    usage: '',
    summary: 'Look at everything between this machine and a credential',
    args: [0, 0],
    options: { mint: { type: 'boolean', help: 'also mint, which leaves entries in the ledger' } },
    run: () => import('./commands/doctor.js'),
  },
  {
    name: 'completion',
    usage: 'bash|zsh|fish',
    summary: 'Print a completion script',
    args: [1, 1],
    options: {},
    run: () => import('./commands/completion.js'),
  },
]
