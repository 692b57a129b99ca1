// One operation on the OS keychain: read, write or remove ACCOUNT. Ended from outside when the keychain does not answer.

import { text } from 'node:stream/consumers'

const SERVICE = 'agentkeys'

interface Entry {
  getPassword(): string | null
  setPassword(password: string): void
  deletePassword(): boolean
}

interface Keyring {
  Entry: new (service: string, account: string, options: object) => Entry
}

process.stdout.write('\n')
const [operation, account = ''] = process.argv.slice(2)
const secret = await text(process.stdin)
const name = '@napi-rs/keyring'
const { Entry } = (await import(name)) as Keyring
// On Linux the Secret Service and nothing else: the package's own fall-back, the kernel keyring, is empty after a reboot.
const entry = new Entry(SERVICE, account, { linux: { store: 'secret-service' } })
switch (operation) {
  case 'read':
    process.stdout.write(entry.getPassword() ?? '')
    break
  case 'write':
    entry.setPassword(secret)
    break
  case 'remove':
    entry.deletePassword()
    break
  default:
    process.exitCode = 2
}
