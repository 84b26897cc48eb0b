import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { rightsNeeded } from '../../src/workers/rights.ts'
import { run } from '../processes.ts'
import { freePorts, type Server, type Servers } from './server.ts'

/** Where a trial runs, and what is done to it in the middle. */
export interface Place {
  readonly url: string
  /** Of the trial's processes. */
  readonly env?: NodeJS.ProcessEnv
  /** Addresses that lead to the same servers and must be refused, each with words of the reason. */
  readonly refused?: readonly (readonly [url: string, reason: RegExp, env?: NodeJS.ProcessEnv])[]
  /** Done while calls go on. */
  disturb?(): Promise<void>
}

export const kinds = { single, user, tls, sentinel, paused, cluster } satisfies Record<
  string,
  (servers: Servers) => Promise<Place>
>

const local = (port: number) => `redis://127.0.0.1:${port}`

/** Commands to one server, over a connection that is closed again. */
async function told(port: number, ...commands: readonly string[][]): Promise<unknown[]> {
  const client = new Redis(port, '127.0.0.1')
  try {
    const answers: unknown[] = []
    for (const [name, ...args] of commands) answers.push(await client.call(name!, ...args))
    return answers
  } finally {
    client.disconnect()
  }
}

async function single(servers: Servers): Promise<Place> {
  const [port] = await freePorts(1)
  await servers.redis(port!)
  return { url: local(port!) }
}

async function user(servers: Servers): Promise<Place> {
  const { url } = await single(servers)
  const port = Number(new URL(url).port)
  const rights = rightsNeeded('{caesura}').split(' ')
  await told(port, ['ACL', 'SETUSER', 'caesura', 'on', '>secret', ...rights])
  await told(port, ['ACL', 'SETUSER', 'nobody', 'on', '>secret', ...rights, '-xadd'])
  return {
    url: url.replace('://', '://caesura:secret@'),
    // Redis 6 can't be asked what a user may do.
    refused: [[url.replace('://', '://caesura:wrong@'), /refuses the user or the password/]],
  }
}

/** A certificate from an authority of its own. */
async function tls(servers: Servers): Promise<Place> {
  const { folder } = servers
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => run('openssl', args, {})
  const key = ['-newkey', 'rsa:2048', '-nodes']
  await openssl(
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=where authority'],
    ...['-keyout', at('ca.key'), '-out', at('ca.pem')],
  )
  await openssl(...['req', ...key, '-subj', '/CN=localhost', '-keyout', at('redis.key'), '-out', at('redis.csr')])
  await writeFile(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  await openssl(
    ...['x509', '-req', '-in', at('redis.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-days', '2', '-extfile', at('names'), '-out', at('redis.pem')],
  )
  const files = [
    '--tls-cert-file',
    at('redis.pem'),
    '--tls-key-file',
    at('redis.key'),
    '--tls-ca-cert-file',
    at('ca.pem'),
  ]
  const [port, strict] = await freePorts(2)
  for (const [of, clients] of [
    [port!, 'no'],
    [strict!, 'yes'],
  ] as const)
    await servers.redis(of, '--port', '0', '--tls-port', String(of), '--tls-auth-clients', clients, ...files)
  const trusting = { NODE_EXTRA_CA_CERTS: at('ca.pem') }
  return {
    url: `rediss://localhost:${port}`,
    env: trusting,
    refused: [
      [`rediss://localhost:${port}`, /authority that this machine does not know/],
      [`rediss://localhost:${strict}`, /ask(?:s)? for a client certificate/, trusting],
    ],
  }
}

const SENTINELS = 3
/** Longer than a failover takes, and shorter than a run may. */
const PAUSE_MS = 5000

/** The master is killed. */
async function sentinel(servers: Servers): Promise<Place> {
  const { master, ...place } = await threeSentinels(servers)
  return { ...place, disturb: () => master.kill() }
}

/** The master is silent until there is another one, and then comes back. */
async function paused(servers: Servers): Promise<Place> {
  const { master, url } = await threeSentinels(servers)
  return { url, disturb: () => master.pause(PAUSE_MS) }
}

/** A master, a replica and three Sentinels. */
async function threeSentinels(servers: Servers): Promise<Place & { readonly master: Server }> {
  const [first, second, ...ports] = await freePorts(2 + SENTINELS)
  const master = await servers.redis(first!)
  await servers.redis(second!, '--replicaof', '127.0.0.1', String(first))
  for (const port of ports) {
    const file = join(servers.folder, `sentinel-${port}.conf`)
    const lines = [
      ...[`port ${port}`, 'bind 127.0.0.1', `dir ${servers.folder}`, `sentinel monitor main 127.0.0.1 ${first} 2`],
      ...['sentinel down-after-milliseconds main 1000', 'sentinel failover-timeout main 6000'],
    ]
    await writeFile(file, `${lines.join('\n')}\n`)
    await servers.start(port, [file, '--sentinel'])
  }
  const knows = async (port: number) => {
    const [text] = await told(port, ['info', 'sentinel'])
    return String(text).includes(`slaves=1,sentinels=${SENTINELS}`)
  }
  for (const port of ports) while (!(await knows(port))) await pause(100)
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',')
  return {
    url: `redis+sentinel://${hosts}/main`,
    refused: [
      [local(ports[0]!), /this is a Sentinel/],
      [`redis+sentinel://${hosts}/other`, /no master of this name/],
    ],
    master,
  }
}

const MASTERS = 3
const SLOTS = 16384

/** Three masters, and a replica of the one that holds the fleet's slot. That one is killed. */
async function cluster(servers: Servers): Promise<Place> {
  const ports = await clusterPorts(MASTERS + 1)
  const flags = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']
  const nodes: Server[] = []
  for (const port of ports)
    nodes.push(await servers.redis(port, ...flags, '--cluster-config-file', `nodes-${port}.conf`))
  for (const [index, port] of ports.slice(0, MASTERS).entries()) {
    const [from, to] = [index, index + 1].map((at) => Math.floor((at * SLOTS) / MASTERS))
    const slots = Array.from({ length: to! - from! }, (_, slot) => String(from! + slot))
    await told(port, ['cluster', 'addslots', ...slots], ['cluster', 'set-config-epoch', String(index + 1)])
  }
  for (const port of ports.slice(1)) await told(ports[0]!, ['cluster', 'meet', '127.0.0.1', String(port)])
  const [slot] = await told(ports[0]!, ['cluster', 'keyslot', '{caesura}:nodes'])
  const owner = Math.floor((Number(slot) * MASTERS) / SLOTS)
  const [id] = await told(ports[owner]!, ['cluster', 'myid'])
  const spare = ports[MASTERS]!
  const knowsOwner = async () => String((await told(spare, ['cluster', 'nodes']))[0]).includes(String(id))
  while (!(await knowsOwner())) await pause(100)
  await told(spare, ['cluster', 'replicate', String(id)])
  const isWell = async (port: number) => String((await told(port, ['cluster', 'info']))[0]).includes('cluster_state:ok')
  for (const port of ports) while (!(await isWell(port))) await pause(100)
  const isCopied = async () => String((await told(spare, ['info', 'replication']))[0]).includes('master_link_status:up')
  while (!(await isCopied())) await pause(100)
  const some = ports.slice(0, 2).map((port) => `127.0.0.1:${port}`)
  return {
    url: `redis+cluster://${[...some, `127.0.0.1:${spare}`].join(',')}`,
    refused: [[local(ports[owner]!), /one of a cluster/]],
    disturb: () => nodes[owner]!.kill(),
  }
}

/** A cluster's nodes speak to each other on a port 10,000 above their own. */
async function clusterPorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const [port] = await freePorts(1)
    // Ports that the system gives out begin high above.
    const low = 20_000 + (port! % 10_000)
    if (!ports.includes(low)) ports.push(low)
  }
  return ports
}
