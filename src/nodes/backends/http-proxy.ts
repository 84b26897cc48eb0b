import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { BlockList, isIP, type Socket } from 'node:net'
import { buildConnector } from 'undici'
import { withoutPassword } from '../../core/address.ts'
import type { Environment } from '../../core/environment.ts'
import { CaesuraError } from '../../core/errors.ts'
import { connectionError } from './http-errors.ts'

/** A proxy on the way to a server. */
export interface HttpProxy {
  readonly origin: URL
  /** Without user and password. */
  readonly shown: string
  /** The variable that names it. */
  readonly variable: string
  /** The value of `Proxy-Authorization`, where it has a user. */
  readonly authorization?: string
}

/**
 * The proxy that the environment names for a server; undefined for none. The names in lower case are stronger, and `HTTPS_PROXY` is
 * `HTTP_PROXY` by default, as in undici. This machine is never reached through a proxy, as in Go and so in Ollama's own client.
 * Throws `CAESURA_E_CONFIG` for a variable that names no http or https proxy.
 */
export function proxyFor(server: URL, environment: Environment): HttpProxy | undefined {
  const read = (upper: string): { variable: string; value: string } => {
    const variable = environment[upper.toLowerCase()] === undefined ? upper : upper.toLowerCase()
    return { variable, value: environment[variable]?.trim() ?? '' }
  }
  const forHttps = read('HTTPS_PROXY')
  const { variable, value } = server.protocol === 'https:' && forHttps.value !== '' ? forHttps : read('HTTP_PROXY')
  if (value === '' || isThisMachine(server.hostname) || isExcepted(server, read('NO_PROXY').value)) return undefined
  return readProxy(variable, value)
}

function readProxy(variable: string, value: string): HttpProxy {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new CaesuraError('CAESURA_E_CONFIG', `${variable} names no http or https proxy`, {
      received: withoutPassword(value, '…@'),
      expected: 'a URL such as http://proxy:3128',
    })
  const { username, password } = url
  const credentials = `${decoded(username)}:${decoded(password)}`
  return {
    origin: new URL(url.origin),
    shown: url.origin,
    variable,
    ...(username + password !== '' && {
      authorization: `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`,
    }),
  }
}

/** A percent sign that begins no code stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const bare = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

function isThisMachine(hostname: string): boolean {
  const host = bare(hostname)
  return host === 'localhost' || host.endsWith('.localhost') || holds(loopback, host)
}

function holds(list: BlockList, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && list.check(host, family === 4 ? 'ipv4' : 'ipv6')
}

/** `NO_PROXY`: names (and all below them), addresses and networks (`10.0.0.0/8`), with or without a port; `*` for all. */
function isExcepted({ hostname, port, protocol }: URL, list: string): boolean {
  const host = bare(hostname)
  const ownPort = port === '' ? (protocol === 'https:' ? '443' : '80') : port
  return list
    .toLowerCase()
    .split(/[,\s]+/)
    .some((entry) => {
      if (entry === '*') return true
      const network = networkOf(entry)
      if (network !== undefined) return holds(network, host)
      const [, name = entry, onlyPort = ownPort] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? []
      const wanted = bare(name.replace(/^\*?\./, ''))
      return wanted !== '' && onlyPort === ownPort && (host === wanted || host.endsWith(`.${wanted}`))
    })
}

function networkOf(entry: string): BlockList | undefined {
  const [, address = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? []
  const family = isIP(address)
  if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) return undefined
  const list = new BlockList()
  list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6')
  return list
}

/** The fault of the proxy itself: the server behind it was not reached. */
export function proxyFault(error: unknown, { shown, variable }: HttpProxy, server: URL): CaesuraError {
  if (error instanceof CaesuraError) return error
  const { code, message } = connectionError(error, `the proxy ${shown}`)
  const hint = `${shown} comes from ${variable}. Correct it, or name ${server.hostname} in NO_PROXY.`
  return new CaesuraError(code, `${message}; it was to lead to ${server.host}`, { hint, cause: error })
}

/** The proxy wants a user and a password, or others. */
export const proxyWantsUser = ({ shown, variable }: HttpProxy, server: URL): CaesuraError =>
  new CaesuraError(
    'CAESURA_E_AUTH',
    `the proxy ${shown} does not accept its user and password, or wants some (407); it was to lead to ${server.host}`,
    { hint: `Write them into ${variable}: http://USER:PASSWORD@HOST:PORT, percent-encoded.` },
  )

/** Connects to a proxy for requests that name their server. */
export function toProxy(proxy: HttpProxy, server: URL, timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs })
  // undici takes the name for TLS from the request, which is for the server.
  return ({ servername: _, ...options }, callback) =>
    connect(options, (error, socket) => {
      if (error === null) callback(null, socket)
      else callback(proxyFault(error, proxy, server), null)
    })
}

/** Connects to a server over TLS, in a tunnel that a proxy opens (`CONNECT`). */
export function throughProxy(proxy: HttpProxy, server: URL, timeoutMs: number): buildConnector.connector {
  const encrypt = buildConnector({ timeout: timeoutMs })
  return (options, callback) => {
    openTunnel(proxy, server, timeoutMs).then(
      // undici's connector may throw: nobody else would hear of it.
      (httpSocket) => {
        try {
          encrypt({ ...options, httpSocket }, callback)
        } catch (error) {
          callback(error as Error, null)
        }
      },
      (error: unknown) => callback(proxyFault(error, proxy, server), null),
    )
  }
}

/** Node's own client opens it: undici would tell of the proxy's answer as if it were the server's. */
function openTunnel(proxy: HttpProxy, server: URL, timeoutMs: number): Promise<Socket> {
  const { origin, authorization } = proxy
  const target = `${server.hostname}:${server.port || '443'}`
  return new Promise((resolve, reject) => {
    const request = (origin.protocol === 'https:' ? httpsRequest : httpRequest)({
      method: 'CONNECT',
      host: bare(origin.hostname),
      port: origin.port || (origin.protocol === 'https:' ? 443 : 80),
      path: target,
      headers: { host: target, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
      agent: false,
    })
    const tooLate = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    request.on('error', (error) => {
      clearTimeout(tooLate)
      reject(error)
    })
    request.on('connect', ({ statusCode = 0 }, socket, head) => {
      clearTimeout(tooLate)
      if (statusCode === 200 && head.length === 0) return resolve(socket as Socket)
      // A server that speaks first is none with TLS.
      socket.on('error', () => {}).destroy()
      if (statusCode === 407) reject(proxyWantsUser(proxy, server))
      else reject(new Error(`it answered ${statusCode} when asked for a connection to ${target}`))
    })
    request.end()
  })
}
