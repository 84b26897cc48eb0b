import { describe, expect, it } from 'vitest'
import type { CallEnd } from '../../src/core/call.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import { NodeHealth } from '../../src/workers/node-health.ts'

const failed = (code: ErrorCode, more: Partial<CallEnd> = {}): CallEnd => ({
  end: 'failed',
  error: { code, message: 'm' },
  ...more,
})

describe('the health of a node', () => {
  it.each(['CAESURA_E_REFUSED', 'CAESURA_E_SERVER', 'CAESURA_E_PROTOCOL', 'CAESURA_E_STREAM_CUT'] as const)(
    '%s three times in a row takes it out',
    (code) => {
      const health = new NodeHealth()
      for (let i = 0; i < 2; i++) health.noteEnd(failed(code), 0)
      expect(health.state(1)).toBe('closed')
      health.noteEnd(failed(code), 0)
      expect(health.state(1)).toBe('open')
      expect(health.state(5_001)).toBe('half-open')
    },
  )

  it.each(['CAESURA_E_PROTOCOL', 'CAESURA_E_STREAM_CUT'] as const)('%s of one answer alone does not', (code) => {
    const health = new NodeHealth()
    for (let i = 0; i < 9; i++) health.noteEnd(failed(code, { ofAnswer: true }), 0)
    expect(health.state(1)).toBe('closed')
  })

  it.each(['CAESURA_E_MODEL_ERROR', 'CAESURA_E_CONTEXT_FULL', 'CAESURA_E_REQUEST', 'CAESURA_E_TIMEOUT_STALL'] as const)(
    '%s is the call’s',
    (code) => {
      const health = new NodeHealth()
      for (let i = 0; i < 9; i++) health.noteEnd(failed(code), 0)
      expect(health.state(1)).toBe('closed')
    },
  )
})
