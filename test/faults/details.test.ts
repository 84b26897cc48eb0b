import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { ollamaBackend } from '../../src/nodes/backends/ollama.ts'
import { startNode } from '../cli/caesura.ts'
import { line, serve } from './cases/scene.ts'
import { faultCases } from './catalogue.ts'
import { runFault } from './run-fault.ts'

const named = (part: string) => faultCases.find(({ fault }) => fault.includes(part))!
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

describe('a kept connection that the server closed', () => {
  it.each([
    // The close may cross the second request, which then comes twice.
    ['closes an idle connection', [2, 3]],
    ['breaks a kept connection', [3]],
  ])('%s: costs nobody a call', async (fault, requests) => {
    const run = await runFault(named(fault))
    expect(run.record.stages.map(({ id, attempt, settlement }) => [id, attempt, settlement])).toEqual([
      ['before', 1, 'completed'],
      ['answer', 1, 'completed'],
    ])
    expect(run.record.stages.filter(({ error }) => error !== undefined)).toEqual([])
    expect(requests).toContain(run.requests)
    expect(run.accepted).toBe(2)
  })
})

describe('a line without an end', () => {
  it('is not read further than its limit', async () => {
    const { bytesWritten } = await runFault(named('64 MB without an end'))
    // What the server got rid of is what we read, and what the kernel holds of it for both.
    expect(bytesWritten).toBeLessThan(16 * 1_048_576)
  })

  it('is never held whole, packed or not: a process with less memory than the line survives it', async () => {
    const files = ['catalogue.ts', 'run-fault.ts'].map((file) => new URL(file, import.meta.url).href)
    const program = `
      const [{ faultCases }, { runFault }] = await Promise.all(${JSON.stringify(files)}.map((file) => import(file)))
      for (const fault of faultCases.filter(({ fault }) => fault.includes('64 MB'))) {
        console.log((await runFault(fault)).outcome.code)
      }`
    const args = ['--max-old-space-size=48', '--input-type=module', '--eval', program]
    const { stdout, stderr } = await startNode(fileURLToPath(new URL('.', import.meta.url)), args).ended
    expect(stdout, stderr).toBe('CAESURA_E_LINE_TOO_LONG\nCAESURA_E_LINE_TOO_LONG\n')
  })
})

describe('a wall clock that jumps by a day', () => {
  it('changes no duration of the record', async () => {
    const { record, ms } = await runFault(named('wall clock jumps'))
    expect(ms).toBeLessThan(60_000)
    expect(record.durationMs).toBeLessThan(60_000)
    for (const { marks } of record.stages) {
      expect(marks.map((mark) => mark.ms)).toEqual(marks.map((mark) => mark.ms).toSorted((a, b) => a - b))
      expect(marks.filter(({ ms }) => ms < 0 || ms > record.durationMs)).toEqual([])
    }
  })
})

describe('a certificate that nobody vouches for', () => {
  it('is named as the cause', async () => {
    const { record } = await runFault(named('a certificate'))
    expect(record.error?.message).toMatch(/self-signed certificate/)
  })
})

describe('good lines and a bad one in one packet', () => {
  it.each([
    ['no JSON', '{"message":{"content":\n', 'CAESURA_E_PROTOCOL'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x0a]), 'CAESURA_E_PROTOCOL'],
    ['half a character before the line break', Buffer.from([0x7b, 0xe2, 0x0a]), 'CAESURA_E_PROTOCOL'],
    ['too long', Buffer.alloc(2 * 1_048_576, 'x'), 'CAESURA_E_LINE_TOO_LONG'],
    ['an error', '{"error":"no"}\n', 'CAESURA_E_MODEL_ERROR'],
    ['cut off', line(' c').slice(0, 30), 'CAESURA_E_STREAM_CUT'],
  ])('(%s): the good ones are kept', async (_name, bad, code) => {
    const body = Buffer.concat([Buffer.from(line('a') + line(' b')), Buffer.from(bad)])
    const { outcome } = await runFault({
      ...named('`{"error"}`'),
      start: () => serve((exchange) => exchange.answer(200, {}, body)),
    })
    expect(outcome).toMatchObject({ code, text: 'a b', tokens: 2 })
  })
})

describe('the Retry-After of a busy server', () => {
  it.each([
    [429, { 'retry-after': '7' }, 7_000],
    [503, { 'retry-after': '0' }, 0],
    [429, { 'retry-after': 'Sun, 01 Nov 2026 10:00:30 GMT', date: 'Sun, 01 Nov 2026 10:00:00 GMT' }, 30_000],
    [429, { 'retry-after': 'Sun, 01 Nov 2026 09:00:00 GMT', date: 'Sun, 01 Nov 2026 10:00:00 GMT' }, 0],
    [429, { 'retry-after': 'soon' }, undefined],
    [429, {}, undefined],
    [500, { 'retry-after': '7' }, undefined],
  ])('%i with %j is kept with the end of the call', async (status, headers, expected) => {
    const scene = await serve((exchange) => exchange.answer(status, headers, '{"error":"later"}'))
    const backend = ollamaBackend({ url: scene.url })
    cleanups.push(() => backend.close(), scene.close)
    const request = {
      callId: 'answer.1',
      runId: 'r',
      stage: 'answer',
      attempt: 1,
      model: 'demo',
      messages: [{ role: 'user' as const, content: 'hello' }],
      options: {},
      placement: 'any' as const,
    }
    const end = await backend.generate(request, {
      clock: systemClock,
      signal: new AbortController().signal,
      mark: () => {},
      token: () => {},
      thinking: () => {},
    })
    expect(end.end).toBe('failed')
    expect(end.retryAfterMs).toBe(expected)
  })
})
