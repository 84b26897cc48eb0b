import fc from 'fast-check'
import { expect, it } from 'vitest'
import { present } from '../../src/core/present.ts'

it('leaves out what is undefined and keeps all else, in its order', () => {
  const value = fc.oneof(fc.constant(undefined), fc.constant(null), fc.constant(''), fc.constant(0), fc.boolean())
  const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'toString', 'constructor'))
  fc.assert(
    fc.property(names, fc.array(value, { minLength: 6, maxLength: 6 }), (keys, values) => {
      const given = Object.fromEntries(keys.map((key, index) => [key, values[index]]))
      const kept = Object.entries(given).filter(([, entry]) => entry !== undefined)
      expect(Object.entries(present(given))).toEqual(kept)
    }),
  )
})
