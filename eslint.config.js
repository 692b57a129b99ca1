import js from '@eslint/js'
import tseslint from 'typescript-eslint'

const pure = [
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'Time is an argument here.' },
  {
    selector: 'MemberExpression[object.name="Date"][property.name="now"]',
    message: 'Time is an argument here.',
  },
  {
    selector: 'MemberExpression[object.name="Math"][property.name="random"]',
    message: 'Chance is an argument here.',
  },
]

/** Their constructors are called by Nest with the parts of the broker, or are the one place where a thing is put together. */
const MANY_PARAMETERS = [
  'src/commands/change-keys.ts',
  'src/commands/mint-authorizer.ts',
  'src/commands/mint-aws-creds.ts',
  'src/commands/mint-oidc-jwt.ts',
  'src/http/ledger.controller.ts',
  'src/http/readiness.ts',
  'src/ledger/sequencer.ts',
  'src/witness/witness.test.ts',
  'test/support/broker-process.ts',
]

/** A list of things, each a line or two: to be split when they grow. */
const LONG_FUNCTIONS = [
  'src/http/openapi/key-operations.ts',
  'src/app.module.ts',
  'src/event-store/eventstoredb/follow.ts',
  'src/http/metrics.ts',
  'src/start/open-ledger-stack.ts',
  'test/support/ledger-vectors.ts',
  'tools/agentkeys/commands/inbox.ts',
  'tools/demo/story.ts',
]

export default tseslint.config(
  {
    ignores: [
      'dist',
      'test/vectors',
      'packages/write-shrinkwrap.js',
      'jest.config.js',
      'eslint.config.js',
      '.dependency-cruiser.cjs',
    ],
  },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-properties': [
        'error',
        {
          object: 'URL',
          property: 'canParse',
          message: 'Wrong about Latin-1 letters once it is compiled, in Node 20: catch what new URL throws.',
        },
      ],
      // No way around `protected`: see src/event-store/eventstoredb/client.ts.
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      // CONTRIBUTING.md says 35 lines; a few more are no reason to split what belongs together.
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
    },
  },
  // What a suite describes is one function to ESLint.
  { files: ['**/*.test.ts', 'test/contract/*.ts'], rules: { 'max-lines-per-function': 'off' } },
  { files: MANY_PARAMETERS, rules: { 'max-params': 'off' } },
  { files: LONG_FUNCTIONS, rules: { 'max-lines-per-function': 'off' } },
  {
    files: ['src/domain/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-globals': ['error', 'fetch', 'process', 'setTimeout', 'performance'],
      'no-restricted-syntax': ['error', ...pure],
    },
  },
)
