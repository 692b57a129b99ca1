import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface NodeCertificate {
  key: Buffer
  certificate: Buffer
}

/** A private CA and a certificate from it for 127.0.0.1, made with openssl in `folder`. */
export function certificates(folder: string): { caFile: string; tls: NodeCertificate } {
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign']
  const files = ['-keyout', join(folder, 'ca.key'), '-out', join(folder, 'ca.pem')]
  openssl('req', '-x509', ...NEW_KEY, ...files, '-days', '2', '-subj', '/CN=test CA', ...ca)
  return { caFile: join(folder, 'ca.pem'), tls: nodeCertificate(folder) }
}

/** Another one from the CA in `folder`, in place of the last: by default good for 127.0.0.1, and for two days. */
export function nodeCertificate(folder: string, { name = 'IP:127.0.0.1', days = 2 } = {}): NodeCertificate {
  const at = (file: string) => join(folder, file)
  openssl('req', ...NEW_KEY, '-keyout', at('node.key'), '-out', at('node.csr'), '-subj', '/CN=node')
  writeFileSync(at('node.ext'), `subjectAltName=${name}\n`)
  const ca = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial']
  const from = ['-in', at('node.csr'), ...ca, '-extfile', at('node.ext')]
  openssl('x509', '-req', ...from, '-days', `${days}`, '-out', at('node.pem'))
  return { key: readFileSync(at('node.key')), certificate: readFileSync(at('node.pem')) }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}
