import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/workers/connection.ts'
import { openFleetRedis } from '../../src/workers/redis.ts'
import { type FakeRedis, startFakeRedis } from '../fixtures/fake-redis.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'

const [first, second] = [withRedis(), withRedis()]
const fakes: FakeRedis[] = []
afterAll(() => {
  for (const fake of fakes) fake.stop()
})

async function fake(answer: (words: readonly string[]) => string): Promise<number> {
  const server = await startFakeRedis(answer)
  fakes.push(server)
  return server.port
}

const moved = (to: () => number) => (words: readonly string[]) =>
  words[0] === 'exists' ? `-MOVED 1234 127.0.0.1:${to()}\r\n` : '+OK\r\n'

describe('a connection to a cluster', () => {
  it('leads to the node that holds the keys, past nodes that are gone, and to the next holder', async () => {
    let owner = first.port
    const node = await fake(moved(() => owner))
    const client = connect({ url: `redis+cluster://127.0.0.1:9,127.0.0.1:${node}` })
    const copy = client.duplicate()
    try {
      await client.set('where', 'first')
      expect(await copy.get('where')).toBe('first')
      owner = second.port
      const back = new Redis(first.url)
      await back.call('client', 'kill', 'type', 'normal', 'skipme', 'yes')
      back.disconnect()
      await client.set('where', 'second')
      const raw = new Redis(second.url)
      expect(await raw.get('where')).toBe('second')
      raw.disconnect()
    } finally {
      client.disconnect()
      copy.disconnect()
    }
  })
})

describe('a Redis that is no master any more', () => {
  it('is asked for the way again, and not more than about once a second', async () => {
    let connections = 0
    const port = await fake(([name]) => {
      if (name === 'info') connections += 1
      if (name === 'info') return '$18\r\nredis_version:7.0.\r\n'
      return name === 'set' ? "-READONLY You can't write against a read only replica.\r\n" : '+OK\r\n'
    })
    const client = connect({ url: `redis://127.0.0.1:${port}` })
    await client.connect()
    try {
      const began = performance.now()
      let refused = 0
      await until(async () => {
        await client.set('a', 'b').catch(() => {
          refused += 1
        })
        return connections > 2
      })
      expect(refused).toBeGreaterThan(2)
      expect(performance.now() - began).toBeGreaterThan(900)
    } finally {
      client.disconnect()
    }
  })
})

describe('an address of the wrong kind is refused at the start', () => {
  const infoOf =
    (mode: string, field = 'redis_mode') =>
    (words: readonly string[]) => {
      const text = `redis_version:7.2.4\r\n${field}:${mode}\r\nloading:0\r\n`
      return words[0] === 'info' ? `$${text.length}\r\n${text}\r\n` : '+OK\r\n'
    }
  it.each([
    ['a node of a cluster', infoOf('cluster'), 'redis://HOST', 'is one of a cluster'],
    ['a node of a Valkey cluster', infoOf('cluster', 'server_mode'), 'redis://HOST', 'is one of a cluster'],
    ['a Sentinel', infoOf('sentinel'), 'redis://HOST', 'is a Sentinel'],
    ['a Redis that is in no cluster', infoOf('standalone'), 'redis+cluster://HOST', 'is in no cluster'],
    ['Sentinels without this master', () => '*-1\r\n', 'redis+sentinel://HOST/other', 'no master of this name'],
    ['Sentinels that are not there', undefined, 'redis+sentinel://127.0.0.1:9/main', 'sentinels are unreachable'],
    [
      'Sentinels that ask for a password',
      () => '-NOAUTH Authentication required.\r\n',
      'redis+sentinel://HOST/m',
      'ask for a',
    ],
    ['a cluster that is not there', undefined, 'redis+cluster://127.0.0.1:9', 'ECONNREFUSED'],
  ])('%s', async (_, answer, pattern, message) => {
    const url = answer === undefined ? pattern : pattern.replace('HOST', `127.0.0.1:${await fake(answer)}`)
    await expect(openFleetRedis({ url })).rejects.toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: expect.stringContaining(message),
      place: { hint: expect.any(String) },
    })
  })

  it('and what is none', async () => {
    await expect(openFleetRedis({ url: 'redis+sentinel://h' })).rejects.toMatchObject({ code: 'CAESURA_E_REDIS' })
  })
})
