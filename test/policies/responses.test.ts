import { describe, expect, it } from 'vitest'
import type { BoundaryView } from '../../src/core/policy.ts'
import { catalogue } from '../../src/policies/catalogue.ts'

const view: BoundaryView = {
  now: 0,
  interruptedAt: 0,
  carry: 'all',
  call: { startedAt: 0, tokens: 3, settled: false },
  next: { fired: false },
}

describe('responses', () => {
  it.each([
    ['drain', ['fireWhenSettled']],
    ['abort', ['cancelCall', 'fireWhenSettled']],
    ['overlap', ['cancelCall', 'fireNext']],
  ])('%s', (name, commands) => {
    const response = catalogue.responses.find((candidate) => candidate.name === name)!
    expect(response.start(view, undefined).map(({ type }) => type)).toEqual(commands)
    expect(response.on).toBeUndefined()
  })
})
