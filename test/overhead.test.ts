import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cellId } from '../src/experiments/overhead/cells.ts'
import { type ModelServerProcess, startModelServerProcess } from '../src/model-server-process.ts'
import { measureOverhead, type OverheadSettings, overheadFrom } from '../src/overhead.ts'
import { sqliteStore } from '../src/stores/sqlite.ts'

let folder: string
let store: ReturnType<typeof sqliteStore>
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-overhead-'))
  store = sqliteStore(join(folder, 'runs.sqlite'))
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

/** A few cells that need one server: a call alone, on a fresh connection; a drain. */
const few = new Set([
  ...(['in-process', 'http'] as const).flatMap((transport) => [
    cellId({ transport }),
    cellId({ transport, answer: 'short' }),
  ]),
  cellId({ transport: 'http', answer: 'short', connection: 'fresh' }),
  cellId({ transport: 'http', interrupt: 'at 100 ms', handoff: 'drain' }),
])
/** Processes start and a model computes: on a busy machine that takes a while. */
const PATIENCE_MS = 60_000

const settings = (more: Partial<OverheadSettings> = {}): OverheadSettings => ({
  ...{ store, quick: true, seed: 3, budgetMs: 60_000, blocks: 1, usualUrl: 'http://127.0.0.1:9' },
  signal: new AbortController().signal,
  tell: () => {},
  notice: () => {},
  only: ({ id }) => few.has(id),
  ...more,
})

/** Starts one real server, and has it stand for the one with two slots too, which these cells do not need. */
function oneServer() {
  let server: Promise<ModelServerProcess> | undefined
  const start: OverheadSettings['startServer'] = (flags) => (server ??= startModelServerProcess(flags))
  return { start, pid: async () => (await server)?.pid ?? 0 }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('measureOverhead on the bundled model', () => {
  it(
    'measures the same work in-process and over HTTP, and derives the same bytes from its records again',
    async () => {
      const notices: string[] = []
      const { start: startServer, pid } = oneServer()
      const result = await measureOverhead(settings({ notice: (line) => notices.push(line), startServer }))
      expect(notices).toEqual(['Without Ollama: no Ollama answers at http://127.0.0.1:9.'])
      expect(result.setting.skipped).toEqual([{ transport: 'ollama', reason: expect.any(String) }])
      expect(result.cells).toHaveLength(few.size)
      expect(result.cells.flatMap(({ lost }) => lost).every((lost) => lost === 0)).toBe(true)
      expect(result.cautions.filter((caution) => caution.includes('tokens') || caution.includes('text'))).toEqual([])
      for (const name of ['transport', 'connection', 'preparation'])
        expect(result.contrasts.find((each) => each.name === name)).toMatchObject({ ms: expect.any(Number), n: 1 })
      expect(result.warmUps).toBe(few.size)
      expect(JSON.stringify(overheadFrom(store, 'last'))).toBe(JSON.stringify(result))
      expect(isAlive(await pid())).toBe(false)
    },
    PATIENCE_MS,
  )

  it(
    'ends with a code, its records kept and no process left, when the server is killed on the way',
    async () => {
      const { start: startServer, pid } = oneServer()
      const measuring = measureOverhead(
        settings({
          only: ({ id }) => id === cellId({ transport: 'http', answer: 'short' }),
          ...{ blocks: 1_000, startServer },
          tell: async ({ block }) => {
            if (block === 2) process.kill(await pid(), 'SIGKILL')
          },
        }),
      )
      await expect(measuring).rejects.toMatchObject({
        code: 'CAESURA_E_CONNECTION',
        message: expect.stringContaining('has ended: SIGKILL'),
        place: { hint: expect.stringContaining('caesura overhead --from') },
      })
      expect(isAlive(await pid())).toBe(false)
      expect(overheadFrom(store, 'last').cautions).toContain('It did not come to its end (failed).')
    },
    PATIENCE_MS,
  )
})

describe('what cannot be measured', () => {
  it.each([
    ['a model that is not there', { model: '/nowhere/model.gguf' }, 'CAESURA_E_NO_MODEL'],
    ['a model that is no file', { model: 'gemma3:1b' }, 'CAESURA_E_USAGE'],
  ])('%s', async (_, more, code) => {
    await expect(measureOverhead(settings(more))).rejects.toMatchObject({ code })
  })

  it('an Ollama that was asked for and is not there', async () => {
    const startServer: OverheadSettings['startServer'] = async () => ({
      ...{ url: 'http://127.0.0.1:9', model: 'm', pid: 0, lost: new AbortController().signal },
      stop: async () => {},
    })
    const measuring = measureOverhead(settings({ url: 'http://127.0.0.1:9', startServer }))
    await expect(measuring).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
  })

  it('an execution that is not recorded', () => {
    expect(() => overheadFrom(store, 'last')).toThrow(expect.objectContaining({ code: 'CAESURA_E_EXPERIMENT_UNKNOWN' }))
  })
})
