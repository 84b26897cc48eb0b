import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { MOST_INPUT_CHARACTERS } from '../../src/core/caller-input.ts'
import { replaceUnsafe } from '../../src/core/unsafe-text.ts'
import { caesura, examplePipeline } from './caesura.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-stdout-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** With a stdout on which there is no room. */
async function onFull(...args: string[]) {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    stdio: ['ignore', full, 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      OLLAMA_HOST: 'http://127.0.0.1:9',
      CAESURA_RECORDS: 'runs.sqlite',
    },
  })
  closeSync(full)
  const [stderr, [status]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  return { status, stderr }
}

describe('a stdout that cannot be written to', () => {
  it.each([['policies'], ['policies', '--json'], ['--help'], ['check', 'nowhere.yaml', '--json']])(
    'is told of in one line: %s %s',
    async (...args) => {
      const { status, stderr } = await onFull(...args.filter((arg) => arg !== undefined))
      expect(status).toBe(3)
      expect(stderr).toBe('stdout cannot be written to: the disk is full\n')
    },
  )

  it('is told of in one line when a run is shown', async () => {
    const { status, stderr } = await onFull(
      'run',
      examplePipeline,
      '--input',
      'How?',
      '--backend',
      'embedded',
      '--no-record',
      '--events',
    )
    expect(status).toBe(3)
    expect(stderr).toContain('stdout cannot be written to: the disk is full\n')
    expect(stderr).not.toMatch(/fault of Caesura|INTERNAL|ENOSPC/)
  })
})

describe('what a terminal is shown of an error', () => {
  const evil = '\u001b[31mred\u202egnirts\u2066\u200f\u009b2J\u0007'

  it('has nothing in it that a terminal obeys, whoever wrote it', async () => {
    const file = join(folder, 'evil.yaml')
    writeFileSync(
      file,
      JSON.stringify({ name: 'p', stages: [{ id: evil, model: 'm', prompt: `{{ ${'x'}${evil} }}` }] }),
    )
    const told = await Promise.all([
      caesura(folder, ['check', file]),
      caesura(folder, ['check', `${evil}.yaml`]),
      caesura(folder, [`--${evil}`]),
      caesura(folder, ['run', examplePipeline, '--input', 'x', '--interrupt', `${evil}ms`]),
      caesura(folder, ['run', examplePipeline, '--input', 'x', '--var', evil]),
    ])
    for (const { status, stderr } of told) {
      expect(status).toBe(2)
      expect(stderr).not.toBe('')
      expect(replaceUnsafe(stderr.replaceAll('\n', ''), () => '?')).toBe(stderr.replaceAll('\n', ''))
    }
    expect(told[4]!.stderr).toContain('\\u001b[31mred\\u202egnirts')
  })
})

describe('an input on stdin', () => {
  it('that is longer than an input may be is refused, and not read to its end', async () => {
    const { status, stderr } = await caesura(
      folder,
      ['run', examplePipeline, '--input', '-'],
      {},
      'a'.repeat(3 * MOST_INPUT_CHARACTERS),
    )
    expect(status).toBe(2)
    expect(stderr).toMatch(/stdin has more than an input may have .*CAESURA_E_USAGE/)
  })
})
