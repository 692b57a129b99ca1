// Where to listen, and who can get there.

import { BlockList, isIPv4, isIPv6 } from 'node:net'

import { InvalidSettingError } from './environment.js'

export interface Address {
  host: string
  port: number
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether only this machine can reach `host`. A name other than localhost may resolve to anything, so it is not. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return LOOPBACK.check(host, 'ipv4')
  if (isIPv6(host)) return LOOPBACK.check(host.replace(/%.*/, ''), 'ipv6')
  return host.toLowerCase() === 'localhost'
}

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST_NAME = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*)$`, 'i')

/** A name whose last part is a number is a misspelt IPv4 address to every resolver. */
export function isHostName(host: string): boolean {
  return host.length <= 253 && HOST_NAME.test(host) && !/(?:^|\.)\d+$/.test(host)
}

export function isHost(host: string): boolean {
  return isIPv4(host) || isIPv6(host) || isHostName(host)
}

/** `host:port`, with an IPv6 address in brackets. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  const fits = bracketed === undefined ? host !== undefined && isHost(host) : isIPv6(bracketed)
  if (host === undefined || !fits || !(port <= 65_535)) {
    throw new InvalidSettingError('HOST:PORT, such as 127.0.0.1:8090 or [::1]:8090')
  }
  return { host, port }
}

export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
