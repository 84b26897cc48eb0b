import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { AbstractConnector, Redis } from 'ioredis'
import type { ClusterRedis, Endpoint } from '../core/redis-address.ts'

/** How long a node of the cluster may take to say who holds the fleet's slot, ms. */
const ANSWER_MS = 1500
/** Between two rounds over all nodes that are known, ms. */
const AGAIN_MS = 200

type Stream = Awaited<ReturnType<AbstractConnector['connect']>>
type Tell = Parameters<AbstractConnector['connect']>[0]

/**
 * Connects to the node of a Redis Cluster that holds this key. A fleet's keys have one hash tag, so that node holds them all; it is asked
 * for anew at each connection, for another one takes its place when it dies.
 */
export function slotOwnerOf(place: ClusterRedis, key: string): new (options: unknown) => AbstractConnector {
  return class SlotOwner extends AbstractConnector {
    constructor(options: unknown) {
      super((options as { disconnectTimeout: number }).disconnectTimeout)
    }

    /** Rejects only after `disconnect`: ioredis takes a connector that rejects for one that has given up. */
    async connect(tell: Tell): Promise<Stream> {
      this.connecting = true
      while (this.connecting) {
        let fault: unknown
        for (const endpoint of place.endpoints) {
          try {
            const owner = await ownerSeenBy(endpoint, place, key)
            if (!this.connecting) break
            return this.#open(owner)
          } catch (error) {
            fault = error
          }
        }
        if (!this.connecting) break
        tell('error', fault instanceof Error ? fault : new Error(String(fault)))
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      }
      throw new Error('Connection is closed.')
    }

    #open({ host, port }: Endpoint): Stream {
      const stream = place.isTls ? connectTls({ host, port }) : connectTcp({ host, port })
      stream.once('error', (error) => {
        this.firstError = error
      })
      this.stream = stream
      return stream
    }
  }
}

/** A node answers for its own keys, and names the node of any other. Needs no right that a fleet has not. */
async function ownerSeenBy(endpoint: Endpoint, place: ClusterRedis, key: string): Promise<Endpoint> {
  const { username, password, isTls } = place
  const asked = new Redis({
    ...endpoint,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    ...(isTls && { tls: {} }),
    retryStrategy: () => null,
    connectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
    enableReadyCheck: false,
    lazyConnect: true,
  })
  let fault: Error | undefined
  asked.on('error', (error: Error) => {
    fault = error
  })
  try {
    await asked.connect()
    await asked.exists(key)
    return endpoint
  } catch (error) {
    const [, host, port] = /^MOVED \d+ (.*):(\d+)$/.exec((error as Error).message) ?? []
    if (port === undefined) throw fault ?? error
    return { host: host || endpoint.host, port: Number(port) }
  } finally {
    asked.disconnect()
  }
}
