import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { generateOn } from '../../src/core/backend-call.ts'
import type { CallRequest, GenerateContext } from '../../src/core/call.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Backend } from '../../src/core/ports.ts'

const request: CallRequest = {
  ...{ callId: 'a.1', runId: 'r', stage: 'a', attempt: 1, model: 'm', placement: 'any' },
  messages: [{ role: 'user', content: 'q' }],
  options: {},
}

// biome-ignore lint/suspicious/noExplicitAny: as a program without types writes
type Untyped = any

/** What becomes of a call whose backend, written without types, does this. */
async function end(generate: (context: Untyped, request: CallRequest) => unknown, cancelled = false) {
  const heard: unknown[] = []
  const controller = new AbortController()
  if (cancelled) controller.abort()
  const context: GenerateContext = {
    clock: systemClock,
    signal: controller.signal,
    mark: (...told) => heard.push(['mark', ...told]),
    token: (...told) => heard.push(['token', ...told]),
    thinking: (...told) => heard.push(['thinking', ...told]),
  }
  const backend = { kind: 'own', generate: (asked: CallRequest, given: unknown) => generate(given, asked) }
  return { end: await generateOn(backend as unknown as Backend, request, context), heard }
}

const broken = (message: RegExp) => ({
  end: 'failed',
  retryable: false,
  error: { code: 'CAESURA_E_BACKEND', message: expect.stringMatching(message) },
})

describe('the call of a backend that anybody may have written', () => {
  it.each<[string, (context: Untyped) => unknown, RegExp]>([
    [
      'ends with an unknown word',
      () => ({ end: 'banana' }),
      /^the backend own ends a call with .*banana.*; allowed: end: completed, cancelled or failed/,
    ],
    ['ends with nothing', () => undefined, /ends a call with undefined/],
    ['ends with a text', () => 'completed', /ends a call with completed/],
    ['ends as cancelled of its own accord', () => ({ end: 'cancelled' }), /cancelled that nobody has cancelled/],
    ['fails without a reason', () => ({ end: 'failed' }), /without saying why/],
    ['fails with a reason that is none', () => ({ end: 'failed', error: 'because' }), /without saying why/],
    ['throws', () => JSON.parse('{'), /has thrown: /],
    ['rejects', () => Promise.reject(new Error('out of order')), /has thrown: out of order/],
    [
      'hands over a number',
      ({ token }) => {
        token(5)
        return { end: 'completed' }
      },
      /a piece that is no text: 5/,
    ],
    [
      'hands over a number and hides what it hears',
      ({ token }) => {
        try {
          token(5)
        } catch {}
        return { end: 'completed' }
      },
      /a piece that is no text: 5/,
    ],
    [
      'thinks in objects',
      ({ thinking }) => {
        thinking({})
        return { end: 'completed' }
      },
      /a piece that is no text/,
    ],
    [
      'sets an unknown mark',
      ({ mark }) => {
        mark('somewhere')
        return { end: 'completed' }
      },
      /a mark that is none: somewhere/,
    ],
    [
      'tells of no instant',
      ({ token }) => {
        token('a', Number.NaN)
        return { end: 'completed' }
      },
      /no instant: NaN/,
    ],
  ])('fails where it %s', async (_, generate, message) => {
    expect((await end(generate)).end).toEqual(broken(message))
  })

  it('fails with a reason of its own where it knows no code of ours', async () => {
    const given = { end: 'failed', error: { code: 'E_OWN', message: 'no luck' }, retryable: true }
    expect((await end(() => given)).end).toEqual({
      ...{ end: 'failed', retryable: true },
      error: { code: 'CAESURA_E_BACKEND', message: 'the backend own has failed: no luck' },
    })
  })

  it('keeps a fault with a code of ours, and whether it may pass', async () => {
    const error = { code: 'CAESURA_E_SERVER_BUSY', message: 'full' }
    expect((await end(() => ({ end: 'failed', error, retryable: true, retryAfterMs: 5, more: 1 }))).end).toEqual({
      ...{ end: 'failed', error, retryable: true, retryAfterMs: 5 },
    })
    expect((await end(() => ({ end: 'cancelled' }), true)).end).toEqual({ end: 'cancelled' })
  })

  it('has its answer, without what cannot be said of one', async () => {
    const said = {
      finishReason: 'banana',
      promptTokens: -5,
      generatedTokens: 1.5,
      thinkingTokens: '3',
      server: { loadNs: -1 },
    }
    expect((await end(() => ({ end: 'completed', ...said, retryAfterMs: -1 }))).end).toEqual({ end: 'completed' })
    const right = {
      finishReason: 'length',
      promptTokens: 0,
      generatedTokens: 7,
      thinkingTokens: 2,
      server: { loadNs: 5 },
    }
    expect((await end(() => ({ end: 'completed', ...right }))).end).toEqual({ end: 'completed', ...right })
  })

  it('hears pieces and marks, no empty ones, and none after the end', async () => {
    let late: (() => void) | undefined
    const { heard, end: ended } = await end(({ token, thinking, mark }) => {
      mark('request-sent')
      thinking('hm')
      token('')
      token('a', 7)
      late = () => {
        token('b')
        mark('done')
      }
      return { end: 'completed' }
    })
    late!()
    expect(ended).toEqual({ end: 'completed' })
    expect(heard).toEqual([
      ['mark', 'request-sent', undefined],
      ['thinking', 'hm', undefined],
      ['token', 'a', 7],
    ])
  })

  it('ends once, as one of three, whatever comes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything(), fc.anything(), fc.boolean(), async (given, piece, throws) => {
        const { end: ended } = await end(({ token }) => {
          try {
            token(piece)
          } catch (error) {
            if (throws) throw error
          }
          if (throws) throw given
          return given
        })
        expect(['completed', 'cancelled', 'failed']).toContain(ended.end)
        if (ended.end === 'failed') expect(ended.error!.message).toEqual(expect.any(String))
      }),
    )
  })
})
