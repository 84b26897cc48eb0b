import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { msToNs } from '../../src/core/clock.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { Journal } from '../../src/core/journal.ts'
import type { KeptMachines } from '../../src/machines/kept-machines.ts'
import { startRun } from '../../src/machines/start-run.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { scriptedRun, twoStages } from '../fixtures/scripted-run.ts'
import { host, scripted } from './hosted.ts'

const one = definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: '{{ input }}' }] })

/** Every text anywhere in a value. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : []
}
const illFormed = (value: unknown) => texts(value).filter((text) => !text.isWellFormed())
const tokensOf = (events: readonly RunEvent[], callId: string) =>
  events.flatMap((event) => (event.type === 'token' && event.callId === callId ? [event] : []))

const answer = (tokens: readonly string[]): CallScript => ({ tokens, firstTokenMs: 50, tokenMs: 10 })

describe('a model that cuts characters in two', () => {
  it('is heard as if it had not: the half waits for the piece that completes it', async () => {
    const { finish, events } = scriptedRun(one, {
      input: 'x',
      script: answer(['\ud83d', '\ude00 a\ud83d', '\ude01', 'b', '\ud83d']),
    })
    const record = await finish()
    expect(tokensOf(events, 'a.1').map(({ ms, text }) => [ms, text])).toEqual([
      [60, '😀 a'],
      [70, '😁'],
      [80, 'b'],
      [90, '\uFFFD'],
    ])
    expect(record.output).toBe('😀 a😁b\uFFFD')
    // The model had generated its first token at 50 ms, and five in all.
    expect(record.stages[0]).toMatchObject({
      firstTokenMs: 50,
      lastTokenMs: 90,
      tokens: { generated: 5, wasted: 0 },
    })
  })

  it('is counted by its pieces when it is aborted, those of a half character included', async () => {
    const policy = { trigger: { tokens: 3 }, response: 'abort', carry: 'none' }
    const { finish, prompts } = scriptedRun(twoStages(policy), {
      input: 'x',
      script: ({ stage }) => answer(stage === 'draft' ? ['a', '\ud83d', '\ude00', 'b', 'c'] : ['so']),
    })
    const record = await finish()
    expect(record.stages[0]).toMatchObject({ text: 'a😀', tokens: { generated: 3, delivered: 3, wasted: 3 } })
    expect(prompts.get('refine.1')).toBe('Draft: |Change: |Own: ')
  })

  it('gives what it had said to the next prompt, in whole characters, whenever it is stopped', async () => {
    for (const carry of ['all', 'sentences', 'delivered']) {
      for (const response of ['abort', 'overlap', 'race', 'drain', 'hold']) {
        for (const afterMs of [55, 65, 75]) {
          const { finish, events, prompts } = scriptedRun(twoStages({ response, carry }), {
            input: 'x',
            signals: [{ afterMs, input: 'more' }],
            script: ({ stage }) => answer(stage === 'draft' ? ['Yes! \ud83d', '\ude00 No. \ud83d', '\ude00'] : ['so']),
          })
          const record = await finish()
          expect(illFormed([record, events, [...prompts.values()]]), `${response} ${carry} ${afterMs}`).toEqual([])
        }
      }
    }
  })

  it('says the whole text made well-formed, wherever it was cut', async () => {
    const unit = fc.constantFrom('a', '. ', '文', '🫖', '\ud83d', '\ude00')
    const piece = fc.tuple(fc.array(unit, { minLength: 1, maxLength: 3 }), fc.nat(4))
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (parts) => {
        const whole = parts.flatMap(([units]) => units).join('')
        const tokens: string[] = []
        for (let from = 0, at = 0; from < whole.length; at += 1) {
          const length = 1 + (parts[at % parts.length]?.[1] ?? 0)
          tokens.push(whole.slice(from, from + length))
          from += length
        }
        const { finish, events } = scriptedRun(one, { input: 'x', script: answer(tokens) })
        const record = await finish()
        const said = tokensOf(events, 'a.1').map(({ text }) => text)
        expect(said.join('')).toBe(whole.toWellFormed())
        expect(record.output).toBe(whole.toWellFormed())
        expect(said).not.toContain('')
        expect(illFormed(events)).toEqual([])
        expect(record.stages[0]?.tokens).toMatchObject({ generated: tokens.length, wasted: 0 })
      }),
      { numRuns: 200 },
    )
  })

  it('is told once where its run goes on elsewhere, whatever of a character had been told', async () => {
    const tokens = ['a', '\ud83d', '\ude00', 'b\ud83d', '\ude01', '\ud83d']
    for (const moment of [40, 55, 65, 75, 85, 95]) {
      const backend = scripted(answer(tokens))
      const { run, clock, environment } = host(one, { backend })
      await clock.advance(msToNs(moment))
      const persisted: KeptMachines = JSON.parse(JSON.stringify(run.persist()))
      const { journal } = environment
      const events = [...journal.log.since(0)]
      const state = JSON.parse(JSON.stringify(journal.state))
      run.abandon()
      const identity = { runId: 'r', pipeline: 'p', trace: { traceId: '0'.repeat(32) } }
      const kept = new Journal(identity, clock, undefined, { state, events, texts: new Map() })
      const record = await clock.until(startRun({ ...environment, journal: kept }, undefined, persisted).result)
      expect(record.output).toBe('a😀b😁\uFFFD')
      const told = tokensOf(kept.log.since(0), 'a.1').map(({ text }) => text)
      expect(told, `${moment} ms`).toEqual(['a', '😀', 'b', '😁', '\uFFFD'])
      expect(record.stages[0]?.tokens.generated).toBe(6)
    }
  })

  it('and an error that quotes half a character is told in whole ones', async () => {
    const fail = { code: 'CAESURA_E_MODEL_ERROR', message: 'bad \ud83d', afterTokens: 1 } as const
    const { finish, events } = scriptedRun(one, { input: 'x', script: { tokens: ['a'], fail } })
    const record = await finish()
    expect(record.error?.message).toBe('bad \uFFFD')
    expect(illFormed([record, events])).toEqual([])
  })
})

describe('a caller that gives half a character', () => {
  const asked = definePipeline({
    name: 'p',
    stages: [
      {
        id: 'a',
        model: 'm',
        system: 'Be {{ vars.tone }}.',
        prompt: '{{ input }}',
        policy: { response: 'abort', then: 'again', limit: 3 },
      },
      { id: 'b', model: 'm', prompt: '{{ interrupt.input }} {{ input | split: "" | first }}' },
    ],
  })

  it('has U+FFFD in its place: in inputs, variables, signals, and what a template cuts', async () => {
    const { finish, events, run, prompts, clock } = scriptedRun(asked, {
      input: '😀\ud83d',
      vars: { tone: 'kind\udc00' },
      signals: [{ afterMs: 20, input: 'planned \ud83d' }],
      script: answer(['a', 'b', 'c']),
    })
    await clock.advance(msToNs(30))
    void run.interrupt({ input: 'a person \ude00' })
    const record = await finish()
    expect(record.interrupts.map(({ input }) => input)).toEqual(['planned \uFFFD', 'a person \uFFFD'])
    expect(prompts.get('a.1')).toBe('😀\uFFFD')
    expect(prompts.get('b.1')).toBe('a person \uFFFD \uFFFD')
    expect(illFormed([record, events, [...prompts.values()]])).toEqual([])
  })

  it('has it in the reason of a cancel', async () => {
    const { finish, run, clock } = scriptedRun(one, { input: 'x', script: answer(['a', 'b']) })
    await clock.advance(msToNs(30))
    run.cancel('enough \ud83d')
    expect((await finish()).cancelReason).toBe('enough \uFFFD')
  })
})
