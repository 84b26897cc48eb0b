import { Redis } from 'ioredis'
import type { Chance } from '../chaos/chance.ts'
import type { House, Resident } from './house.ts'

/** A fault with a length: what it does, and how it is over. */
export interface Storm {
  readonly name: string
  /** How long it lasts, ms. */
  readonly ms: number
  begin(): Promise<void> | void
  end(): Promise<void> | void
}

type Maker = (house: House, chance: Chance, longestMs: number) => Storm

const lasting = (chance: Chance, shortestMs: number, longestMs: number) =>
  Math.round(chance.between(shortestMs, Math.max(shortestMs, longestMs)))

/** One command of an operator, over a connection of its own; a Redis that refuses it is asked again until it takes it. */
async function order({ redis }: House, ...command: [string, ...string[]]): Promise<void> {
  const client = new Redis(redis.url, { maxRetriesPerRequest: null })
  client.on('error', () => undefined)
  try {
    await client.call(...command)
  } finally {
    client.disconnect()
  }
}

const pauseOf =
  (kind: Resident['kind']): Maker =>
  (house, chance, longestMs) => {
    const resident = chance.pick(house.of(kind))
    const { child } = resident
    return {
      name: `stop-${kind}`,
      ms: lasting(chance, 1000, longestMs),
      begin: () => void child?.kill('SIGSTOP'),
      end: () => void child?.kill('SIGCONT'),
    }
  }

const onLink =
  (name: string, from: number, change: (resident: Resident, chance: Chance) => void): Maker =>
  (house, chance, longestMs) => {
    const resident = chance.pick(house.residents)
    return {
      name,
      ms: lasting(chance, from, longestMs),
      begin: () => change(resident, chance),
      end: () => {
        resident.link.delayMs = 0
        resident.link.isSilent = false
      },
    }
  }

const config =
  (name: string, setting: string, during: string, before: string): Maker =>
  (house, chance, longestMs) => ({
    name,
    ms: lasting(chance, 300, Math.min(longestMs, 5000)),
    begin: () => order(house, 'CONFIG', 'SET', setting, during),
    end: () => order(house, 'CONFIG', 'SET', setting, before),
  })

const atOnce =
  (name: string, ...command: [string, ...string[]]): Maker =>
  (house) => ({ name, ms: 0, begin: () => order(house, ...command), end: () => undefined })

const killing =
  (kind: Resident['kind']): Maker =>
  (house, chance) => {
    const resident = chance.pick(house.of(kind))
    return { name: `kill-${kind}`, ms: 0, begin: () => house.kill(resident), end: () => void house.start(resident) }
  }

export const FLUSH = 'flushall'

/** All kinds of weather. Most seeds bring each of them within some minutes. */
const makers: readonly Maker[] = [
  (house, chance, longestMs) => ({
    name: 'stop-redis',
    ms: lasting(chance, 1000, longestMs),
    begin: () => house.redis.signal('SIGSTOP'),
    end: () => house.redis.signal('SIGCONT'),
  }),
  pauseOf('pipelines'),
  pauseOf('stages'),
  pauseOf('api'),
  config('refuse-oom', 'maxmemory', '1mb', '0'),
  config('refuse-noreplicas', 'min-replicas-to-write', '1', '0'),
  (house, chance, longestMs) => ({
    name: 'refuse-readonly',
    ms: lasting(chance, 300, Math.min(longestMs, 5000)),
    // Where nobody is: it keeps what it has.
    begin: () => order(house, 'REPLICAOF', '127.0.0.1', '9'),
    end: () => order(house, 'REPLICAOF', 'NO', 'ONE'),
  }),
  atOnce('client-kill', 'CLIENT', 'KILL', 'TYPE', 'normal'),
  atOnce('client-kill-pubsub', 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
  (house, chance, longestMs) => {
    const ms = lasting(chance, 300, Math.min(longestMs, 5000))
    const kind = chance.pick(['ALL', 'WRITE'])
    return {
      name: `client-pause-${kind.toLowerCase()}`,
      ms,
      begin: () => order(house, 'CLIENT', 'PAUSE', String(ms), kind),
      end: () => undefined,
    }
  },
  atOnce(FLUSH, 'FLUSHALL'),
  onLink('mute-connections', 0, ({ link }) => link.mute()),
  onLink('silent-link', 1000, ({ link }) => {
    link.isSilent = true
  }),
  onLink('slow-link', 1000, ({ link }, chance) => {
    link.delayMs = chance.between(20, 300)
  }),
  killing('pipelines'),
  killing('stages'),
  killing('api'),
]

/** Every kind of weather once, in an order of chance; then again. */
export function* forecast(house: House, chance: Chance, longestMs: number): Generator<Storm, never> {
  for (;;) {
    const left = [...makers]
    while (left.length > 0) {
      const [maker] = left.splice(Math.floor(chance.next() * left.length), 1)
      yield maker!(house, chance, longestMs)
    }
  }
}
