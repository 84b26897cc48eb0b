import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { catalogue } from '../../src/app/compose.ts'
import { policiesCommand } from '../../src/cli/policies.ts'
import { readPolicy } from '../../src/policies/reading/policy-schema.ts'
import { capture } from './capture.ts'

const print = (...args: string[]) => capture(policiesCommand(), ...args)
const kinds = ['triggers', 'responses', 'carries', 'warms', 'placements', 'thens', 'presets'] as const
const names = [...new Set(kinds.flatMap((kind) => catalogue[kind].map(({ name }) => name)))]

describe('policies', () => {
  it('lists every name with its summary, within 80 columns', async () => {
    const { stdout } = await print()
    for (const kind of kinds) {
      for (const { name, summary } of catalogue[kind]) {
        expect(stdout).toContain(`\n  ${name}`)
        expect(stdout.replace(/\s+/g, ' ')).toContain(summary)
      }
    }
    expect(Math.max(...stdout.split('\n').map((line) => stringWidth(line)))).toBeLessThanOrEqual(80)
  })

  it('lists the same as JSON, with parameters and defaults', async () => {
    const listing = JSON.parse((await print('--json')).stdout)
    expect(Object.keys(listing)).toEqual(kinds)
    for (const kind of kinds) {
      expect(listing[kind].map(({ name }: { name: string }) => name)).toEqual(catalogue[kind].map(({ name }) => name))
      for (const entry of listing[kind])
        expect(entry).toMatchObject({ parameters: expect.any(Object), summary: expect.stringMatching(/./) })
    }
    expect(listing.triggers.find(({ name }: { name: string }) => name === 'after').parameters).toMatchObject({
      after: { summary: expect.stringContaining('duration'), schema: { anyOf: expect.any(Array) } },
      signals: { default: 'heed' },
    })
    expect(listing.triggers.find(({ name }: { name: string }) => name === 'signal').default).toBe(true)
    expect(listing.presets[0].policy).toHaveProperty('response')
  })

  it.each(names)('shows an example for %s that a pipeline may use', async (name) => {
    const { stdout } = await print(name)
    const examples = stdout.split('\n\n').filter((block) => block.startsWith('    policy:'))
    expect(examples.length).toBeGreaterThan(0)
    for (const example of examples) expect(readPolicy(catalogue, parse(example).policy)).toHaveProperty('value')
  })

  it('refuses a name that nothing has', async () => {
    expect((await print('aftr')).error).toMatchObject({
      code: 'CAESURA_E_USAGE',
      place: { received: 'aftr', hint: 'Did you mean `after`?' },
    })
  })
})
