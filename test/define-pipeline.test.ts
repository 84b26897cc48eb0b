import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { CaesuraError, CaesuraErrors } from '../src/core/errors.ts'
import { definePipeline } from '../src/index.ts'
import { startNode } from './cli/caesura.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-define-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** As a program in plain JavaScript calls it. */
const define = definePipeline as (value: unknown) => unknown
const thrownBy = (work: () => unknown): Error => {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
const one = { name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'x', policy: { response: 'dran' } }] }
const two = { ...one, maxInterrupts: 0 }
const WHOLE = `stages[0].policy.response is not a known response.
  received: dran
  expected: drain, abort, overlap, race, grace, boundary, hold or adaptive
  hint:     Did you mean \`drain\`?`

describe('what definePipeline throws', () => {
  it('is told wholly by its message', () => {
    const error = thrownBy(() => define(one))
    expect(error).toBeInstanceOf(CaesuraError)
    expect(error.message).toBe(WHOLE)
    expect(error).toMatchObject({
      code: 'CAESURA_E_PIPELINE',
      place: { path: 'stages[0].policy.response', received: 'dran', hint: 'Did you mean `drain`?' },
    })
  })

  it('is told wholly by its message where several things are wrong', () => {
    const error = thrownBy(() => define(two))
    expect(error).toBeInstanceOf(CaesuraErrors)
    expect(error.message).toContain(WHOLE)
    expect(error.message).toContain('maxInterrupts must be a whole number from 1 to 1,000.\n  received: 0\n')
    expect((error as CaesuraErrors).errors.map(({ place }) => place.path)).toContain('maxInterrupts')
  })

  it('has the stack of who called it, and is shown as one', () => {
    for (const value of [one, two]) {
      const shown = inspect(thrownBy(() => define(value)))
      expect(shown.match(/^ {4}at .*/m)?.[0]).toContain('define-pipeline.test.ts')
      expect(shown).not.toContain('place: {')
    }
  })

  it('ends a program with few lines', async () => {
    const index = pathToFileURL(join(import.meta.dirname, '../src/index.ts')).href
    writeFileSync(
      join(folder, 'main.mjs'),
      `import { definePipeline } from '${index}'\ndefinePipeline(${JSON.stringify(two)})\n`,
    )
    const { status, stderr } = await startNode(folder, ['main.mjs']).ended
    expect(status).toBe(1)
    expect(stderr).toContain(WHOLE)
    expect(stderr.trim().split('\n').length).toBeLessThan(25)
  })
})
