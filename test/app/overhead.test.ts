import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ModelServerProcess, startModelServerProcess } from '../../src/app/model-server-process.ts'
import { scripted } from '../../src/app/nodes.ts'
import { measureOverhead, type OverheadSettings, overheadFrom } from '../../src/app/overhead.ts'
import { cellId } from '../../src/lab/overhead/cells.ts'
import type { Transport } from '../../src/lab/overhead/design.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { bundledModel } from '../../src/nodes/backends/model-file.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'

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
  const start: NonNullable<OverheadSettings['startServer']> = (flags) => (server ??= startModelServerProcess(flags))
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
          tell: async (made) => {
            if (typeof made !== 'string' && made.block === 1) process.kill(await pid(), 'SIGKILL')
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

/** Passes on what comes, `delayMs` later in each direction. Ends with `close`. */
async function slowProxy(to: string, delayMs: number) {
  const { port } = new URL(to)
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), '127.0.0.1')
    for (const [from, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from.setNoDelay())
      from.on('data', (bytes) => setTimeout(() => other.writable && other.write(bytes), delayMs))
      from.on('error', () => {})
      from.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

describe('measureOverhead on a server that was named', () => {
  it(
    'tells what its network costs, behind a proxy that adds 100 ms each way',
    async () => {
      const { start: startServer } = oneServer()
      const { url, model } = await startServer({ model: bundledModel, slots: 1 })
      const proxy = await slowProxy(url, 100)
      try {
        const cells = ['http', 'ollama', 'in-process'].map((transport) =>
          cellId({ transport: transport as Transport, answer: 'short' }),
        )
        const only: OverheadSettings['only'] = ({ id }) => cells.includes(id)
        const result = await measureOverhead(settings({ url: proxy.url, ollamaModel: model, startServer, only }))
        const [first] = result.contrasts
        expect(first).toMatchObject({ name: 'transport', server: 'ollama, two clocks' })
        expect(first?.ms).toBeGreaterThanOrEqual(199)
        expect(result.contrasts.find(({ server }) => server === 'embedded server, two clocks')?.ms).toBeLessThan(150)
        const { host } = new URL(proxy.url)
        expect(result.answer).toContain(
          `HTTP costs ${Math.round(first!.ms!)} ms (one block, no interval) a call to the Ollama at ${host}`,
        )
        expect(result.setting.servers).toContainEqual(expect.objectContaining({ name: 'ollama', address: host }))
        expect(result.scope).toContain(`The answer is for the Ollama at ${host}`)
      } finally {
        await proxy.close()
      }
    },
    PATIENCE_MS,
  )
})

/** A node that answers with as many tokens as it is asked for. */
const playing = (name: string, firstTokenMs: number, abortMs = 0) =>
  scripted({
    name,
    slots: 1,
    script: ({ options }) => ({
      tokens: Array.from({ length: options.maxTokens ?? 1 }, () => 'a '),
      ...{ firstTokenMs, tokenMs: 4, abortMs, finishReason: 'length' },
    }),
  })

/** All of the quick experiment in virtual time: in-process a first token takes 5 ms, over HTTP 12. */
async function playedOut(own: Partial<OverheadSettings> = {}) {
  const clock = new VirtualClock()
  const site = (transport: Transport, firstTokenMs: number) => ({
    ...{ transport, model: 'm' },
    nodes: { one: playing(transport, firstTokenMs, 2), two: { ...playing(`${transport}-2`, firstTokenMs), slots: 2 } },
  })
  const open: OverheadSettings['open'] = async () => ({
    ...{ native: site('in-process', 5), overHttp: site('http', 12), ollama: { skipped: 'there is none' } },
    lost: new AbortController().signal,
    close: async () => {},
  })
  const played = measureOverhead(settings({ clock, open, only: () => true, blocks: 6, budgetMs: 3_600_000, ...own }))
  return { result: await clock.until(played), clock }
}

describe('measureOverhead in virtual time', () => {
  it('finds what each thing costs, to the microsecond', async () => {
    const { result, clock } = await playedOut()
    const ms = (name: string, server = 'embedded server') =>
      result.contrasts.find((each) => each.name === name && each.server === server)?.ms
    const { maxTokens, blocks } = result.setting
    // The token at half of the answer interrupts; after it as many come as are left.
    const rest = (maxTokens - Math.round(maxTokens / 2)) * 4
    expect(blocks).toBe(6)
    expect(ms('transport')).toBe(7)
    expect(ms('drain', 'embedded server, observed')).toBe(rest)
    expect(ms('drain', 'in-process, observed')).toBe(rest)
    expect(ms('abort', 'embedded server, observed')).toBe(2)
    expect(ms('drain')).toBe(rest)
    expect(ms('slot')).toBe(rest)
    expect(result.slopeInsideFirstStage.value).toBeCloseTo(-1, 6)
    expect(result.answer).toMatch(/^No: HTTP costs 7\.0 ms \(95 % interval 7\.0 to 7\.0\)/)
    // A scripted server has no clock of its own.
    expect(result.cautions).toEqual([
      'Not measured: transport (embedded server, two clocks), preparation (embedded server).',
    ])
    expect(result.execution).toMatch(/^[0-9a-f]{8}$/)
    expect(result.startedAt).toBe('2026-01-01T00:00:00.000Z')
    expect(result.durationMs).toBe(Math.round(clock.now() / 1e6))
    expect(store.readExecution('overhead')?.ended?.how).toBe('complete')
    expect(overheadFrom(store, result.execution)).toEqual(result)
  }, 60_000)

  it('begins no block that would end after the budget, and says that its time was up', async () => {
    const { result, clock } = await playedOut({ blocks: 100, budgetMs: 30_000 })
    expect(result.setting.blocks).toBeLessThan(100)
    expect(clock.now() / 1e6).toBeLessThanOrEqual(33_000)
    expect(store.readExecution('overhead')?.ended?.how).toBe('time')
  }, 60_000)
})

describe('an Ollama that has the model, and cannot make the calls', () => {
  const failing: OverheadSettings['open'] = async () => {
    const nodes = (name: string) => ({ one: playing(name, 5) })
    const fail = { code: 'CAESURA_E_MODEL_ERROR', message: 'it is broken', afterTokens: 0 } as const
    const broken = scripted({ name: 'ollama', script: { tokens: [], fail } })
    return {
      native: { transport: 'in-process', model: 'm', nodes: nodes('in-process') },
      overHttp: { transport: 'http', model: 'm', nodes: nodes('http') },
      ollama: { transport: 'ollama', model: 'm', nodes: { one: broken }, isNamed: true },
      lost: new AbortController().signal,
      close: async () => {},
    }
  }

  it('ends it where --url named it: nothing else is what was asked for', async () => {
    const clock = new VirtualClock()
    const measuring = measureOverhead(settings({ clock, open: failing, url: 'http://far:11434' }))
    await expect(clock.until(measuring)).rejects.toMatchObject({ code: 'CAESURA_E_MODEL_ERROR' })
    expect(store.experiments()).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('is left out with a line where OLLAMA_HOST did', async () => {
    const clock = new VirtualClock()
    const notices: string[] = []
    const result = await clock.until(
      measureOverhead(settings({ clock, open: failing, notice: (line) => notices.push(line) })),
    )
    expect(notices).toEqual(['Without Ollama: its calls fail: it is broken.'])
    expect(result.scope).toContain('a server of our own on this machine')
  })
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
