import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A private CA and a certificate from it for 127.0.0.1, made with openssl in `folder`. */
export function certificates(folder: string): { caFile: string; tls: { key: Buffer; certificate: Buffer } } {
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign']
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
    ...ca,
  )
  openssl('req', ...newKey, '-keyout', at('node.key'), '-out', at('node.csr'), '-subj', '/CN=node')
  writeFileSync(at('node.ext'), 'subjectAltName=IP:127.0.0.1\n')
  openssl(
    ...[
      'x509',
      '-req',
      '-in',
      at('node.csr'),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
    ],
    ...['-extfile', at('node.ext'), '-days', '2', '-out', at('node.pem')],
  )
  return {
    caFile: at('ca.pem'),
    tls: { key: readFileSync(at('node.key')), certificate: readFileSync(at('node.pem')) },
  }
}
