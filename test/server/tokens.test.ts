import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CaesuraError } from '../../src/core/errors.ts'
import { callers } from '../../src/server/api/access.ts'
import { readTokens, roles } from '../../src/server/api/tokens.ts'

const A = 'token-number-one-1'
const B = 'token-number-two-2'

describe('the tokens file', () => {
  it('gives each line its name, role and tenant; a bare one may do everything', () => {
    const text = `# who may ask\r\n${A}\n\n  ${B}  tenant=acme  name=ci@acme role=run # a remark\n`
    expect(readTokens(text, 'f')).toEqual([
      { token: A, role: 'admin' },
      { token: B, role: 'run', name: 'ci@acme', tenant: 'acme' },
    ])
  })

  it.each([
    ['a token that is too short', 'short'],
    ['a second word that is no key', `${A} ${B}`],
    ['a key that is not known', `${A} rolle=read`],
    ['a role that is none', `${A} role=reader`],
    ['a role without a value', `${A} role=`],
    ['a key twice', `${A} role=read role=run`],
    ['a name with other characters', `${A} name=a/b`],
    ['a tenant that is empty', `${A} tenant=`],
    ['a token twice', `${A}\n# again\n${A} role=read`],
    ['no token at all', '# nothing'],
  ])('refuses %s with its line, and shows no token', (what, text) => {
    let caught: unknown
    try {
      readTokens(text, 'tokens.txt')
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(CaesuraError)
    const { code, exitCode, place } = caught as CaesuraError
    const line = what === 'a token twice' ? 3 : 1
    expect({ code, exitCode, ...place }).toMatchObject({ code: 'CAESURA_E_USAGE', exitCode: 2, file: 'tokens.txt' })
    if (what !== 'no token at all') expect(place.line).toBe(line)
    const shown = JSON.stringify(caught)
    expect(shown).not.toContain('token-number')
    expect(shown).not.toContain('reader')
  })

  it('is read back whatever order its words have', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9_.:@-]{1,20}$/)
    const line = fc.record({ name: word, role: fc.constantFrom(...roles), tenant: word }, { requiredKeys: [] })
    fc.assert(
      fc.property(line, fc.boolean(), (granted, isTurned) => {
        const words = Object.entries(granted).map(([key, value]) => `${key}=${value}`)
        const text = [A, ...(isTurned ? words.reverse() : words)].join(' ')
        expect(readTokens(text, 'f')).toEqual([{ token: A, role: 'admin', ...granted }])
      }),
    )
  })
})

describe('a caller', () => {
  it('is who its token says, by a digest and never by the token', () => {
    const tell = callers([A, { token: B, role: 'run', name: 'ci', tenant: 'acme' }])
    expect(tell({ authorization: `Bearer ${A}` }, 'here')).toMatchObject({ isAllowed: true, role: 'admin' })
    const found = tell({ authorization: `bearer  ${B}` }, 'here')
    expect(found).toMatchObject({ isAllowed: true, role: 'run', name: 'ci', tenant: 'acme' })
    expect(JSON.stringify(found)).not.toContain(B)
    for (const wrong of [undefined, '', `Bearer ${A}x`, `Bearer ${A}, Bearer ${B}`, `Basic ${A}`]) {
      expect(tell(wrong === undefined ? {} : { authorization: wrong }, 'here')).toMatchObject({
        id: 'here',
        isAllowed: false,
      })
    }
  })
})
