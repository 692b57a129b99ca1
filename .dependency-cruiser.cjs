// The folder is the dependency rule (docs/design.md, "The house").
const code = { pathNot: '\\.test\\.ts$' }
const only = (name, folder, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: folder, ...code },
  to: { path: '^(src|tools|test)/', pathNot: `${allowed}|^src/(deadline\\.ts$|worker/)` },
})

/** The programs of tools/, each with the others that it may import. */
const PROGRAMS = {
  agentkeys: ['client'],
  'agentkeys-daemon': ['agentkeys', 'client'],
  bench: ['local-aws', 'local-witness'],
  client: [],
  demo: ['local-aws', 'local-witness'],
  deploy: [],
  'local-aws': [],
  'local-mail': [],
  'local-witness': [],
  'verify-ledger': [],
}

module.exports = {
  forbidden: [
    {
      name: 'domain-is-pure',
      comment:
        'The format and the decisions: no Nest, no I/O, no clock. Hashing and curves are the only outside code.',
      severity: 'error',
      from: { path: '^src/domain', ...code },
      to: { pathNot: '^src/domain|^#(?:sha256|ed25519)$|node_modules/@noble/|^(node:)?crypto$' },
    },
    only('format-stands-alone', '^src/domain/ledger/', '^src/domain/ledger/', 'All an auditor has to trust.'),
    only('store-knows-the-format', '^src/event-store/', '^src/(event-store|domain|storage)/'),
    only('ledger-process', '^src/ledger/', '^src/(ledger|witness|domain|event-store|storage)/'),
    only('worker', '^src/worker/', '^src/worker/', 'Questions to a thread, and its answers.'),
    only('remote', '^src/remote/', '^src/remote/', 'What bounds every remote party knows none of them.'),
    only('witnesses', '^src/witness/', '^src/(witness|domain|remote|storage)/'),
    only('mail', '^src/mail/', '^src/(mail|domain|remote)/'),
    only('session', '^src/session/', '^src/(session|domain|remote|storage)/'),
    only('oidc', '^src/oidc/', '^src/(oidc|domain|ledger|event-store|storage)/'),
    only('aws', '^src/aws/', '^src/((aws|domain|remote)/|config[./])'),
    only(
      'commands',
      '^src/commands/',
      '^src/((commands|domain|event-store|ledger|oidc|aws|policy|session|projections)/|config[./])',
      'A change of the keys looks at their read model, caught up first, and is appended only where it still holds.',
    ),
    only(
      'storage',
      '^src/storage/',
      '^src/(storage|domain)/',
      'Files as such: what is in them is not its matter.',
    ),
    only(
      'config',
      '^src/config[./]',
      '^src/(config[./]|domain/|storage/|witness/|event-store/eventstoredb/address)',
    ),
    only(
      'subcommands',
      '^src/subcommands/',
      '^src/(?!http/|commands/|app\\.module|start/run\\.ts|main\\.ts)|^tools/verify-ledger/(sources/|usage-error)',
      'What import reads is what verify-ledger reads, by the same code.',
    ),
    only('policy', '^src/policy/', '^src/(policy|domain)/'),
    only('projections', '^src/projections/', '^src/(projections|domain|event-store|storage)/'),
    {
      name: 'only-the-start-imports-http',
      severity: 'error',
      from: { path: '^src', pathNot: '^src/(http/|app\\.module|start/)|\\.test\\.ts$' },
      to: { path: '^src/http' },
    },
    {
      name: 'the-verifier-trusts-only-the-format',
      comment:
        'verify-ledger may import nothing of the server but how a file is written whole, memory bounded, SQLite missed.',
      severity: 'error',
      from: { path: '^tools/verify-ledger', ...code },
      to: { path: '^src/(?!domain/ledger/|storage/(?:atomic-file|native-module)|bounded-garbage)' },
    },
    {
      name: 'the-client-knows-only-the-format',
      comment: 'The client library checks receipts, and imports nothing else of the server.',
      severity: 'error',
      from: { path: '^tools/client', ...code },
      to: { path: '^src/(?!domain/ledger/)' },
    },
    ...Object.entries(PROGRAMS).map(([program, others]) => ({
      name: `tools/${program}`,
      comment: 'A program of tools/ imports no other program, but for those named in PROGRAMS.',
      severity: 'error',
      from: { path: `^tools/${program}/`, ...code },
      to: { path: '^tools/[^/]+/', pathNot: `^tools/(${[program, ...others].join('|')})/` },
    })),
    {
      name: 'production-code-does-not-know-tests',
      severity: 'error',
      from: { path: '^(src|tools)', ...code },
      to: { path: '^test/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist' },
  },
}
