import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../../src/core/call.ts'
import { formatFault } from '../../src/core/document-format.ts'
import { MOST_SCHEMA, schemaProblem } from '../../src/core/schema-check.ts'

const guard: JsonSchema = {
  type: 'object',
  properties: { allowed: { type: 'boolean' }, why: { type: 'string', maxLength: 9 } },
  required: ['allowed'],
  additionalProperties: false,
}

describe('an answer that is to be a document', () => {
  it.each([
    ['{"allowed": true}', undefined],
    [' {"why":"x","allowed":false}\n', undefined],
    ['{"allowed": tr', 'it ends in the middle'],
    ['{"allowed": true} and so on', 'it is no JSON from character 19 on'],
    ['```json\n{}', 'it is no JSON'],
    ['{"allowed": "yes"}', 'it does not hold to #/properties/allowed/type: it must be boolean'],
    ['{}', "it does not hold to #/required: it must have required property 'allowed'"],
    [
      '{"allowed":true,"SECRET":1}',
      'it does not hold to #/additionalProperties: it must NOT have additional properties',
    ],
  ])('%j: %s', (text, fault) => expect(formatFault(guard, text)).toBe(fault))

  it('is any JSON for `json`', () => {
    for (const text of ['{}', '[1]', '"x"', '3']) expect(formatFault('json', text)).toBeUndefined()
    expect(formatFault('json', '{"a":')).toBe('it ends in the middle')
  })

  it('is one where it was written by a schema of its own values, and none where it was cut', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.nat(), (value, at) => {
        const text = JSON.stringify({ value })
        expect(formatFault({ const: { value: JSON.parse(text).value } }, text)).toBeUndefined()
        // Of a mapping no beginning is whole.
        expect(formatFault('json', text.slice(0, at % text.length))).toBeDefined()
      }),
      { numRuns: 50 },
    )
  })

  it('quotes nothing of the text', () => {
    for (const text of [
      'MARKER',
      '{"MARKER',
      '{"MARKER":1}',
      '{"allowed":"MARKER"}',
      '{"allowed":true,"why":"MARKER MARKER"}',
    ])
      expect(formatFault(guard, text)).not.toContain('MARKER')
  })

  it('is given up where its check has no end: a pattern, or a comparison of all with all', () => {
    const endless = { type: 'string', pattern: '^(a+)+$' }
    expect(schemaProblem(endless)).toBeUndefined()
    expect(formatFault(endless, JSON.stringify(`${'a'.repeat(99)}!`))).toContain('takes longer than')
  })
})

describe('a schema', () => {
  const nested = (levels: number): JsonSchema => (levels === 0 ? { type: 'string' } : { not: nested(levels - 1) })
  /** Each refers to the next one twice: small as a text, endless to check. */
  const bomb: JsonSchema = {
    $ref: '#/$defs/a0',
    $defs: {
      ...Object.fromEntries(
        Array.from({ length: 40 }, (_, i) => [`a${i}`, { anyOf: [1, 2].map(() => ({ $ref: `#/$defs/a${i + 1}` })) }]),
      ),
      a40: { type: 'string' },
    },
  }
  it.each<[string, JsonSchema, PropertyKey[], RegExp]>([
    ['of a type that is none', { type: 'objekt' }, ['type'], /is no JSON Schema/],
    ['without a keyword', { allowed: 'boolean' }, [], /is no JSON Schema/],
    ['of an example', { properties: { a: 'text' } }, ['properties', 'a'], /is no JSON Schema/],
    ['that is too large', { enum: ['x'.repeat(MOST_SCHEMA)] }, [], /is too large/],
    ['that is its own part', { properties: { a: { $ref: '#' } } }, ['properties', 'a', '$ref'], /refers to itself/],
    [
      'that comes back to itself',
      { $defs: { a: { items: { $ref: '#/$defs/b' } }, b: { not: { $ref: '#/$defs/a' } } } },
      ['$defs', 'b', 'not', '$ref'],
      /refers to itself/,
    ],
    ['that refers to nothing', { items: { $ref: '#/$defs/x' } }, ['items', '$ref'], /refers to nothing/],
    ['of elsewhere', { $ref: 'https://example.org/x' }, ['$ref'], /refers to nothing/],
    ['by an anchor', { items: { $anchor: 'x' } }, ['items', '$anchor'], /uses \$anchor/],
    ['that is nested without end', nested(101), Array(100).fill('not'), /is nested too deeply/],
    ['that grows without end', bomb, expect.any(Array) as unknown as PropertyKey[], /too large with its references/],
    ['with a pattern that is none', { pattern: '(' }, [], /cannot be used/],
  ])('%s is refused with its place', (_, schema, path, message) => {
    expect(schemaProblem(schema)).toMatchObject({ path, message: expect.stringMatching(message) })
  })

  it.each<[string, JsonSchema]>([
    ['empty', {}],
    ['of draft 7, with a tuple', { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] }],
    ['with an id, time and again', { $id: 'https://example.org/a', type: 'object' }],
    ['that has the same id', { $id: 'https://example.org/a', type: 'array' }],
    ['with a property named $ref', { properties: { $ref: { type: 'string' }, $id: { type: 'string' } } }],
    [
      'that refers to a part twice',
      { $defs: { a: { type: 'string' } }, items: { $ref: '#/$defs/a' }, not: { $ref: '#/$defs/a' } },
    ],
    ['with data that looks like a reference', { default: { $ref: '#' }, type: 'object' }],
    ['at the bound of depth', nested(99)],
  ])('%s is taken', (_, schema) => expect(schemaProblem(schema)).toBeUndefined())
})
