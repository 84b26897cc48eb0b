/** Every key begins with it. One hash tag, so that all of them lie on one node of a Redis Cluster. */
export const DEFAULT_PREFIX = '{caesura}'

/** The names of everything that a fleet keeps in Redis. `docs/fleet.md` lists them; a test compares. */
export interface FleetKeys {
  readonly prefix: string
  /** Hash: what is run, by whom (`owner`, `epoch`), its state, its record. */
  run(runId: string): string
  /** Stream: the run's events, entry `seq-0` each. */
  events(runId: string): string
  /** Stream: signals and cancels, in the order in which they came. */
  signals(runId: string): string
  /** Set: the inboxes of those who read the run's events. */
  readers(runId: string): string
  /** Hash: a call, its request, its worker, whether it is to stop. */
  call(runId: string, callId: string): string
  /** Stream: what a call's worker told: marks, tokens, its end. */
  news(runId: string, callId: string): string
  /** Stream: what one process is to hear. */
  inbox(id: string): string
  /** Exists while the process of an inbox lives. */
  alive(id: string): string
  /** Hash: a node that a stage worker serves. Gone 2 s after its worker. */
  node(name: string): string
  /** Set: the names of nodes. */
  readonly nodes: string
  /** Sorted set: workers that host runs, by their last sign of life, ms since 1970. */
  readonly hosts: string
  /** Sorted set: runs that have not ended, by when they were submitted, ms since 1970. */
  readonly live: string
  /** Sorted set: runs that have ended and are still kept, by when they ended, ms since 1970. */
  readonly finished: string
  /** Hash: a session, its turns, its live run. */
  session(id: string): string
  /** List: the runs that inputs of a session become where no visit of its live run sees them. */
  sessionWaiting(id: string): string
  /** Sorted set: of `live` those of a tenant. */
  liveOf(tenant: string): string
  /** Sorted set: of `finished` those of one outcome (`unknown`: it can't be read), of one tenant, of one pipeline. */
  endedOf(kind: 'outcome' | 'tenant' | 'pipeline', name: string): string
  /** Sorted set: runs that have ended and whose spans have not arrived, by when they were to be sent, ms since 1970. */
  readonly untold: string
  /** Hash: how many runs of each tenant have not ended. */
  readonly tenants: string
  /** Set: the names of experiments on live traffic that were stopped here. */
  readonly stopped: string
  /** List: what was refused as unreadable, newest first, with the reason. */
  readonly dead: string
  /** Exists while a worker looks for runs that have lost their ticket. */
  readonly sweep: string
  /** Channel: the calls that a worker is to stop, and those that it may take without a ticket. */
  orders(workerId: string): string
}

export function fleetKeys(prefix = DEFAULT_PREFIX): FleetKeys {
  return {
    prefix,
    run: (runId) => `${prefix}:run:${runId}`,
    events: (runId) => `${prefix}:events:${runId}`,
    signals: (runId) => `${prefix}:signals:${runId}`,
    readers: (runId) => `${prefix}:readers:${runId}`,
    call: (runId, callId) => `${prefix}:call:${runId}:${callId}`,
    news: (runId, callId) => `${prefix}:news:${runId}:${callId}`,
    inbox: (id) => `${prefix}:inbox:${id}`,
    alive: (id) => `${prefix}:alive:${id}`,
    node: (name) => `${prefix}:node:${name}`,
    nodes: `${prefix}:nodes`,
    hosts: `${prefix}:hosts`,
    live: `${prefix}:live`,
    finished: `${prefix}:finished`,
    session: (id) => `${prefix}:session:${id}`,
    sessionWaiting: (id) => `${prefix}:session-waiting:${id}`,
    liveOf: (tenant) => `${prefix}:live-tenant:${tenant}`,
    endedOf: (kind, name) => `${prefix}:ended-${kind}:${name}`,
    untold: `${prefix}:untold`,
    tenants: `${prefix}:tenants`,
    stopped: `${prefix}:stopped`,
    dead: `${prefix}:dead`,
    sweep: `${prefix}:sweep`,
    orders: (workerId) => `${prefix}:orders:${workerId}`,
  }
}

/** BullMQ's queues. */
export const RUNS_QUEUE = 'runs'
export const poolQueue = (pool: string): string => `pool-${pool}`
export const nodeQueue = (node: string): string => `node-${node}`
