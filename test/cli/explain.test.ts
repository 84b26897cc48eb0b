import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { asTyped } from '../../src/cli/as-typed.ts'
import { explainCommand } from '../../src/cli/explain.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { fullProbe } from '../probes.ts'
import { abortInterrupt, draftAborted, interruptedRun } from '../records.ts'
import { capture } from './capture.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-explain-'))
  vi.stubEnv('CAESURA_RECORDS', join(folder, 'runs.sqlite'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

const drained: RunRecord = {
  ...interruptedRun,
  runId: 'drained',
  startedAt: '2026-08-02T10:00:00.000Z',
  stages: [
    {
      ...draftAborted,
      settlement: 'drained',
      settledMs: 147,
      marks: [...draftAborted.marks.filter(({ ms }) => ms < 60), { name: 'settled', ms: 147 }],
    },
    interruptedRun.stages[1]!,
  ],
  interrupts: [
    {
      ...abortInterrupt,
      response: 'drain',
      decision: 'drain',
      toFirstTokenMs: 125,
      phases: [
        { name: 'drain', ms: 87, source: 'observed' },
        { name: 'prefill', ms: 38, source: 'inferred' },
      ],
    },
  ],
}
const keep = (records: RunRecord[], probes = [] as (typeof fullProbe)[]) => {
  const store = sqliteStore(join(folder, 'runs.sqlite'))
  for (const record of records) store.write(record)
  for (const probe of probes) store.writeProbe(probe)
  store.close()
}
const cancelled = ['a', 'b', 'c'].map((runId) => ({ ...interruptedRun, runId }))
const flat = (text: string) => text.replace(/\s+/g, ' ')

describe('explain', () => {
  it('tells what an abort would have saved from the runs recorded beside it', async () => {
    keep([drained, ...cancelled])
    const { stdout } = await capture(explainCommand(), 'drained')
    expect(flat(stdout)).toContain(
      'An abort would have saved about 77 ms, and thrown away up to 69 ms of slot time: 87 ms of drain against a cancel of 10 ms, the median of 3 recorded cancels of caesura-demo-3m on embedded while decoding.',
    )
    const { stdout: json } = await capture(explainCommand(), 'drained', '--json')
    expect(JSON.parse(json).interrupts[0]).toMatchObject({
      during: 'decoding',
      alternatives: [
        { kind: 'abort', savedMs: 77, lag: { source: 'records', n: 3 }, inWords: expect.stringMatching(/^An abort/) },
      ],
      unknown: [],
    })
  })

  it('… or from a probe of that model and node, and says so', async () => {
    keep([drained], [{ ...fullProbe, node: 'embedded', model: 'caesura-demo-3m' }])
    const { stdout } = await capture(explainCommand())
    expect(flat(stdout)).toContain('as the probe of caesura-demo-3m on embedded measured 5 times while decoding')
  })

  it('says what is missing where neither tells', async () => {
    keep([drained, cancelled[0]!])
    const { stdout } = await capture(explainCommand(), 'drained')
    expect(flat(stdout)).toContain(
      `What an abort would have saved is not known: 1 cancel of caesura-demo-3m on embedded while decoding is recorded; 3 are enough, and no probe of it; ${asTyped('caesura probe')} measures one.`,
    )
    expect(stdout).not.toContain('would have saved about')
  })

  it('shows the decision with its inputs', async () => {
    keep([drained])
    const { stdout } = await capture(explainCommand())
    expect(stdout).toMatch(/ {2}trigger +signal\n {2}input +“I have no vinegar.”\n {2}call +draft, decoding/)
    expect(stdout).toMatch(/ {2}carry +sentences\n/)
  })
})

describe('explain --html', () => {
  it('writes one page that asks for nothing from anywhere', async () => {
    keep([drained])
    const file = join(folder, 'run.html')
    writeFileSync(file, 'old')
    const { stdout, stderr } = await capture(explainCommand(), '--html', file)
    expect([stdout, stderr]).toEqual(['', `wrote ${file}\n`])
    const page = readFileSync(file, 'utf8')
    expect(page).toMatch(/^<!doctype html>/)
    expect(page).not.toMatch(/<script|\bsrc=|@import|https?:/)
    expect(readdirSync(folder).filter((name) => name.includes('html'))).toEqual(['run.html'])
  })

  it('prints the JSON beside it where both are asked for', async () => {
    keep([drained])
    const { stdout } = await capture(explainCommand(), '--json', '--html', join(folder, 'run.html'))
    expect(JSON.parse(stdout)).toMatchObject({ runId: 'drained' })
  })

  it('goes on leading a link to where it led', async () => {
    keep([drained])
    writeFileSync(join(folder, 'target.html'), 'old')
    symlinkSync('target.html', join(folder, 'link.html'))
    await capture(explainCommand(), '--html', join(folder, 'link.html'))
    expect(readFileSync(join(folder, 'target.html'), 'utf8')).toContain('<!doctype html>')
  })

  it('refuses a place where it cannot be written, and leaves nothing behind', async () => {
    keep([drained])
    mkdirSync(join(folder, 'there'))
    for (const [file, reason] of [
      [join(folder, 'none', 'run.html'), /its folder does not exist/],
      [join(folder, 'there'), /it is a folder/],
      ['/dev/null', /it is not a regular file/],
    ] as const) {
      const { error } = await capture(explainCommand(), '--html', file)
      expect(error).toMatchObject({ code: 'CAESURA_E_FILE', exitCode: 2, message: expect.stringMatching(reason) })
    }
    expect(readdirSync(folder).toSorted()).toEqual(['runs.sqlite', 'there'])
  })
})
