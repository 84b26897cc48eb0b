import { afterAll, describe, expect, it } from 'vitest'
import { readyOn } from '../../src/app/overhead-sites.ts'
import { sqliteStore } from '../../src/app/stores.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Backend } from '../../src/core/ports.ts'
import { scripted } from '../../src/index.ts'
import { cellOf } from '../../src/lab/overhead/cells.ts'

const store = sqliteStore(':memory:')
afterAll(() => store.close())
const cell = cellOf({ transport: 'ollama' })
const cold = cellOf({ transport: 'ollama', load: 'cold' })
const { signal } = new AbortController()

/** A node that notes what is asked of it; its first prefill hangs. */
function wedgedOnce() {
  const asked: string[] = []
  const node = scripted({ name: 'n', script: () => ({ tokens: ['a'] }) })
  const backend: Backend = {
    ...node.backend,
    prefill: (_, given) => {
      asked.push('prefill')
      if (asked.length > 1) return Promise.resolve()
      return new Promise((_resolve, reject) => {
        given.addEventListener('abort', () => reject(given.reason))
      })
    },
    unload: async () => void asked.push('unload'),
  }
  const sites = [{ transport: 'ollama', model: 'm', nodes: { one: { ...node, backend } } }] as const
  const design = { cells: [cell, cold], system: 's', prompt: 'p' }
  return { asked, ready: readyOn(sites, { design, limitMs: 50, store, clock: systemClock }) }
}

describe('the site of a transport', () => {
  it('has a server that lost its slot load its model anew before the next trial', async () => {
    const { asked, ready } = wedgedOnce()
    await ready(cell.id, signal)
    expect(asked).toEqual(['prefill', 'unload', 'prefill'])
  })

  it('unloads the model before a trial that is to load it', async () => {
    const { asked, ready } = wedgedOnce()
    asked.push('earlier')
    await ready(cold.id, signal)
    expect(asked).toEqual(['earlier', 'prefill', 'unload'])
  })
})
