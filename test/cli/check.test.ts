import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkCommand } from '../../src/cli/check.ts'
import { errorText } from '../../src/cli/show-error.ts'
import { CaesuraError, CaesuraErrors } from '../../src/core/errors.ts'
import { capture } from './capture.ts'

const pipeline = 'name: p\nstages:\n  - { id: a, model: m, prompt: "{{ input }}" }\n'
let folder: string
const at = (name: string) => join(folder, name)
const file = (name: string, content: string | Uint8Array) => {
  writeFileSync(at(name), content)
  return at(name)
}
const check = (...args: string[]) => capture(checkCommand(), ...args)
const errorsOf = async (...args: string[]) => {
  const { error } = await check(...args)
  if (error instanceof CaesuraErrors) return error.errors
  if (error instanceof CaesuraError) return [error]
  throw error ?? new Error('nothing was refused')
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-check-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('check', () => {
  it('says OK for a pipeline and a configuration, found by what they hold', async () => {
    const files = [file('p.yaml', pipeline), file('c.json', '{"models": {"fast": "gemma3:1b"}}')]
    symlinkSync(files[0]!, at('link.yaml'))
    const { stdout, stderr, error } = await check(...files, at('link.yaml'))
    expect({ stdout, stderr, error }).toEqual({
      stdout: `OK ${files[0]} (pipeline)\nOK ${files[1]} (configuration)\nOK ${at('link.yaml')} (pipeline)\n`,
      stderr: '',
      error: undefined,
    })
  })

  it('throws the errors of all files at once, and says OK for the others', async () => {
    const good = file('good.yaml', pipeline)
    const bad = file('bad.yaml', 'name: p\nstages:\n  - { id: a, model: m, prompt: "", polcy: cut-in }\n')
    const { stdout, error } = await check(bad, good, at('none.yaml'))
    expect(stdout).toBe(`OK ${good} (pipeline)\n`)
    expect(error).toBeInstanceOf(CaesuraErrors)
    expect(
      (error as CaesuraErrors).errors.map(({ code, place }) => [code, place.file, place.line, place.column]),
    ).toEqual([
      ['CAESURA_E_PROMPT_EMPTY', bad, 3, 32],
      ['CAESURA_E_PIPELINE', bad, 3, 36],
      ['CAESURA_E_FILE', at('none.yaml'), undefined, undefined],
    ])
  })

  it('prints one JSON document and asks for exit status 2', async () => {
    const good = file('good.yaml', pipeline)
    const silent = file('silent.yaml', 'name: p\nstages: [{ id: a, model: m, prompt: x, policy: { then: again } }]\n')
    const bad = file('bad.yaml', 'name: p\nstages:\n  - { id: a, model: m, prompt: x, policy: { response: abrot } }\n')
    const { stdout, status, error } = await check(good, silent, bad, '--json')
    expect({ status, error }).toEqual({ status: 2, error: undefined })
    expect(JSON.parse(stdout)).toEqual({
      files: [
        { file: good, kind: 'pipeline', ok: true },
        {
          file: silent,
          kind: 'pipeline',
          ok: true,
          warnings: [expect.objectContaining({ file: silent, line: 2, path: 'stages[0].prompt' })],
        },
        {
          file: bad,
          kind: 'pipeline',
          ok: false,
          errors: [
            {
              code: 'CAESURA_E_PIPELINE',
              message: 'stages[0].policy.response is not a known response.',
              file: bad,
              line: 3,
              column: 55,
              path: 'stages[0].policy.response',
              received: 'abrot',
              expected: expect.stringContaining('abort'),
              hint: 'Did you mean `abort`?',
            },
          ],
        },
      ],
    })
  })

  it('prints warnings to stderr', async () => {
    const silent = file('silent.yaml', 'name: p\nstages: [{ id: a, model: m, prompt: x, policy: { then: again } }]\n')
    const { stdout, stderr } = await check(silent)
    expect(stdout).toBe(`OK ${silent} (pipeline)\n`)
    expect(stderr).toContain(`${silent}:2:29: warning: stages[0] starts again`)
  })

  it.each([
    ['a missing file', () => at('missing.yaml'), 'CAESURA_E_FILE', /does not exist/],
    ['a file below a file', () => join(file('f.yaml', pipeline), 'x.yaml'), 'CAESURA_E_FILE', /does not exist/],
    ['a folder', () => mkdtempSync(at('folder-')), 'CAESURA_E_FILE', /is a folder/],
    ['a device', () => '/dev/null', 'CAESURA_E_FILE', /not a regular file/],
    ['a name with a NUL', () => 'a\u0000b', 'CAESURA_E_FILE', /cannot be read/],
    ['binary', () => file('binary', new Uint8Array([1, 0, 2])), 'CAESURA_E_ENCODING', /binary/],
    ['invalid UTF-8', () => file('latin', new Uint8Array([97, 58, 32, 0xe9])), 'CAESURA_E_ENCODING', /not valid UTF-8/],
    ['tabs', () => file('tab.yaml', 'name: p\nstages:\n\t- id: a\n'), 'CAESURA_E_YAML', /tab/],
    ['a key twice', () => file('twice.yaml', `${pipeline}name: q\n`), 'CAESURA_E_YAML', /stands twice/],
    ['an empty file', () => file('empty.yaml', ''), 'CAESURA_E_YAML', /empty/],
    ['none of the three', () => file('other.yaml', 'stage: []\n'), 'CAESURA_E_PIPELINE', /neither a pipeline, nor/],
    ['a text', () => file('text.yaml', 'hello'), 'CAESURA_E_PIPELINE', /neither a pipeline, nor/],
    ['an experiment without arms', () => file('e.yaml', 'arms: []\n'), 'CAESURA_E_EXPERIMENT', /name is missing/],
  ])('refuses %s', async (_, make, code, message) => {
    const name = make()
    const [error] = await errorsOf(name)
    expect(error).toMatchObject({ code, exitCode: 2, message: expect.stringMatching(message), place: { file: name } })
  })

  it('refuses 50 MB without reading them', async () => {
    truncateSync(file('huge.yaml', ''), 50_000_000)
    const [error] = await errorsOf(at('huge.yaml'))
    expect(error).toMatchObject({
      code: 'CAESURA_E_FILE_TOO_LARGE',
      place: { received: '50,000,000 bytes', expected: 'at most 1,048,576 bytes' },
    })
  })

  it('refuses a pipe without waiting for its writer', async () => {
    execFileSync('mkfifo', [at('pipe')])
    expect((await errorsOf(at('pipe')))[0]).toMatchObject({ code: 'CAESURA_E_FILE' })
  })

  it('knows the neighbour of a file that is not there', async () => {
    file('draft-refine.yaml', pipeline)
    expect((await errorsOf(at('draft-refine.yml')))[0]!.place.hint).toBe('Did you mean `draft-refine.yaml`?')
  })
})

describe('an error for people', () => {
  it('is file:line:column: message, then received, expected and hint', async () => {
    const bad = file('bad.yaml', 'name: p\nstages:\n  - { id: a, model: m, prompt: x, policy: { response: abrot } }\n')
    const [error] = await errorsOf(bad)
    expect(errorText(error!).split('\n')).toEqual([
      `${bad}:3:55: stages[0].policy.response is not a known response. CAESURA_E_PIPELINE`,
      '  received: abrot',
      expect.stringMatching(/^ {2}expected: .*abort/),
      '  hint:     Did you mean `abort`?',
    ])
  })
})
