import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { schemaCommand } from '../../src/cli/schema.ts'
import { CaesuraError } from '../../src/core/errors.ts'
import { capture } from './capture.ts'

const print = (...args: string[]) => capture(schemaCommand(), ...args)

describe('schema', () => {
  it.each(['pipeline', 'config', 'experiment', 'record', 'event', 'probe'])(
    'prints the JSON Schema of %s, with title and description',
    async (name) => {
      const { stdout } = await print(name)
      expect(JSON.parse(stdout)).toMatchObject({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: expect.stringContaining('Caesura'),
        description: expect.any(String),
      })
    },
  )

  it('describes a pipeline as a file writes it: defaults are not required, durations may be texts', async () => {
    const { properties, required } = JSON.parse((await print('pipeline')).stdout)
    expect(required).toEqual(['name', 'stages'])
    const [ofModel, ofText] = properties.stages.items.anyOf
    expect(ofModel.required).toEqual(['id', 'model'])
    expect(ofModel.oneOf).toEqual([{ required: ['prompt'] }, { required: ['messages'] }])
    expect(ofText.required).toEqual(['id', 'say'])
    expect(ofModel.properties.timeout.properties.total.anyOf).toContainEqual({
      type: 'string',
      pattern: expect.any(String),
    })
  })

  it.each(['pipeline', 'experiment'])('of %s is the same as the file that the examples name', async (name) => {
    const kept = readFileSync(new URL(`../../examples/${name}.schema.json`, import.meta.url), 'utf8')
    expect(kept, 'run: npm run -s schemas').toBe((await print(name)).stdout)
  })

  it.each([
    ['pipelin', 'Did you mean `pipeline`?'],
    ['experimnt', 'Did you mean `experiment`?'],
    ['toString', undefined],
  ])('refuses the name %s', async (name, hint) => {
    const { stdout, error } = await print(name)
    expect(stdout).toBe('')
    expect(error).toBeInstanceOf(CaesuraError)
    expect(error).toMatchObject({
      code: 'CAESURA_E_USAGE',
      place: { received: name, expected: 'pipeline, config, experiment, record, event or probe' },
    })
    expect((error as CaesuraError).place.hint).toBe(hint)
  })
})
