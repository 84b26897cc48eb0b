import { describe, expect, it } from 'vitest'
import type { Backend } from '../src/core/ports.ts'
import { cellOf } from '../src/experiments/overhead/cells.ts'
import { scripted } from '../src/index.ts'
import { siteOn } from '../src/overhead-sites.ts'

const plan = { model: 'm', messages: [], limitMs: 50 }
const cell = cellOf({ transport: 'ollama' })
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
  return { asked, node: { ...node, backend } }
}

describe('the site of a transport', () => {
  it('has a server that lost its slot load its model anew before the next trial', async () => {
    const { asked, node } = wedgedOnce()
    await siteOn({ one: node }, plan).ready(cell, signal)
    expect(asked).toEqual(['prefill', 'unload', 'prefill'])
  })

  it('unloads the model before a trial that is to load it', async () => {
    const { asked, node } = wedgedOnce()
    asked.push('earlier')
    await siteOn({ one: node }, plan).ready({ ...cell, load: 'cold' }, signal)
    expect(asked).toEqual(['earlier', 'prefill', 'unload'])
  })
})
