import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../../../src/core/call.ts'
import { formatFault } from '../../../src/core/document-format.ts'
import { exampleOf } from '../../../src/nodes/backends/schema-example.ts'

const name = fc.constantFrom('a', 'b', 'c')
const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<JsonSchema>({ type: 'boolean' }, { type: 'null' }, { enum: ['x', 1] }, { const: null }, {}),
    fc.record({ type: fc.constant('string'), minLength: fc.nat(5), maxLength: fc.integer({ min: 5, max: 9 }) }),
    fc.record({ type: fc.constantFrom('integer', 'number'), minimum: fc.integer({ min: -9, max: 9 }) }),
    fc.record({
      type: fc.constant('integer'),
      exclusiveMaximum: fc.integer({ min: -5, max: 5 }),
      multipleOf: fc.constant(1),
    }),
    fc.record({ type: fc.constant(['null', 'string']) }),
    fc.record({ type: fc.constant('array'), items: tie('schema'), minItems: fc.nat(3) }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }),
    fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(name, tie('schema'), { maxKeys: 3, noNullPrototype: true }),
      required: fc.uniqueArray(name),
    }),
  ),
}))

describe('an example of a schema', () => {
  it('holds to it', () => {
    fc.assert(
      fc.property(schema, (given) => {
        expect(formatFault(given, JSON.stringify(exampleOf(given)))).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  it('follows references and parts that must all hold', () => {
    const given = {
      $defs: { 'a/b': { type: 'integer', minimum: 3 } },
      allOf: [{ properties: { n: { $ref: '#/$defs/a~1b' } } }, { required: ['n'] }],
    }
    expect(exampleOf(given)).toEqual({ n: 3 })
  })
})
