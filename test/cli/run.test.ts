import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runEventSchema } from '../../src/core/event.ts'
import { recordSchema } from '../../src/core/record.ts'
import { until } from '../fixtures/until.ts'
import { fakeOllama } from '../servers/fake-ollama.ts'
import { caesura, examplePipeline, startCaesura } from './caesura.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-run-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const question = ['--input', 'How do I descale a kettle?']
const embedded = ['--backend', 'embedded']

/** One stage that takes as long as the server does. */
function onePipeline(model = 'some-model'): string {
  const file = join(folder, 'one.yaml')
  writeFileSync(file, `name: one\nstages:\n  - { id: only, model: "${model}", prompt: "{{ input }}" }\n`)
  return file
}

describe('caesura run of a pipeline that asks no model', () => {
  it('needs no server and no model in this process', async () => {
    writeFileSync(join(folder, 'hello.yaml'), 'name: hello\nstages: [{ id: a, say: "Hello {{ input }}." }]\n')
    const { status, stdout, stderr } = await caesura(folder, [
      'run',
      'hello.yaml',
      '--backend',
      'auto',
      '--input',
      'you',
    ])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('Hello you.')
    expect(stdout).toContain('no slot was used and no token generated')
  })
})

describe('caesura run on the bundled model', () => {
  it('cuts the draft, refines it, and says where the time went; plain in a pipe, at most 80 columns', async () => {
    const { status, stdout, stderr } = await caesura(folder, [
      'run',
      examplePipeline,
      ...['--backend', 'auto'],
      ...question,
      '--interrupt',
      'tokens=12:I have no vinegar.',
    ])
    expect(status).toBe(0)
    expect(stderr).toBe('Using the bundled model: no Ollama answers at http://127.0.0.1:9.\n')
    expect(stdout).toContain(' ✂\n  interrupt: I have no vinegar. → abort\n')
    expect(stdout).toContain('\nrefine\n  Without vinegar')
    expect(stdout).toMatch(/\n {2}total +[\d.]+ m?s {2}to the first token of refine\n/)
    expect(stdout).not.toContain('\u001b')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('prints the record with --json, keeps it without text, and finds it again', async () => {
    const ran = await caesura(folder, [
      'run',
      examplePipeline,
      ...embedded,
      ...question,
      '--json',
      '--interrupt',
      'tokens=12:I have no vinegar.',
    ])
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    const record = recordSchema.parse(JSON.parse(ran.stdout))
    expect(record.output).toMatch(/^Without vinegar/)
    expect(record.stages.map((stage) => stage.settlement)).toEqual(['aborted', 'completed'])

    const shown = await caesura(folder, ['runs', 'show', record.runId.slice(0, 8), '--json'])
    const stored = recordSchema.parse(JSON.parse(shown.stdout))
    expect(stored.output).toBeUndefined()
    expect(stored.interrupts.map((interrupt) => interrupt.phases)).toEqual(
      record.interrupts.map((interrupt) => interrupt.phases),
    )
    const listed = await caesura(folder, ['runs', '--json'])
    expect(JSON.parse(listed.stdout)).toMatchObject({ runs: [{ runId: record.runId, outcome: 'completed' }] })
  })

  it('takes the policy of --policy for the first boundary', async () => {
    const policy = '{trigger: {tokens: 12}, response: drain}'
    const { stdout } = await caesura(folder, [
      'run',
      examplePipeline,
      ...embedded,
      ...question,
      '--json',
      '--policy',
      policy,
    ])
    const record = recordSchema.parse(JSON.parse(stdout))
    expect(record.stages[0]?.settlement).toBe('drained')
    expect(record.cost.wastedTokens).toBe(0)
  })

  it('prints numbered events with --events, reads stdin with -, and keeps no record with --no-record', async () => {
    const { status, stdout } = await caesura(
      folder,
      ['run', examplePipeline, ...embedded, '--input', '-', '--events', '--no-record'],
      {},
      'How do I descale a kettle?\n',
    )
    expect(status).toBe(0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => runEventSchema.parse(JSON.parse(line)))
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.at(-1)).toMatchObject({ type: 'run-end', outcome: 'completed' })
    expect((await caesura(folder, ['runs'])).stdout).toBe('No runs are recorded in runs.sqlite.\n')
  })

  it('says when a planned interrupt never came', async () => {
    const { status, stderr } = await caesura(folder, [
      'run',
      examplePipeline,
      ...embedded,
      ...question,
      '--interrupt',
      'tokens=5000',
    ])
    expect(status).toBe(0)
    expect(stderr).toBe('An interrupt of --interrupt never came: the run had ended before.\n')
  })
})

describe('caesura run on an Ollama', () => {
  it('goes there when it answers and has the models', async () => {
    await using server = await fakeOllama({ models: ['caesura-demo:latest'] })
    const { status, stdout, stderr } = await caesura(folder, ['run', examplePipeline, ...question], {
      OLLAMA_HOST: server.url,
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('draft\n  Hello.\n\nrefine\n  Hello.\n')
    expect(server.asked).toEqual(['caesura-demo:latest', 'caesura-demo:latest'])
  })

  it('reads nodes, aliases and the records file from the configuration that CAESURA_CONFIG names', async () => {
    await using server = await fakeOllama({ models: ['gemma3:4b'] })
    mkdirSync(join(folder, 'etc'))
    const config = {
      nodes: [{ name: 'gpu', backend: 'ollama', url: server.url }],
      models: { big: 'gemma3:4b' },
      records: { file: 'kept.sqlite', text: true },
    }
    writeFileSync(join(folder, 'etc', 'config.yaml'), JSON.stringify(config))
    const env = { CAESURA_CONFIG: 'etc/config.yaml', CAESURA_RECORDS: '' }
    expect(await caesura(folder, ['run', onePipeline('big'), ...question], env)).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(server.asked).toEqual(['gemma3:4b'])
    expect(existsSync(join(folder, 'etc', 'kept.sqlite'))).toBe(true)
    const { stdout } = await caesura(folder, ['runs', 'show', 'last', '--json'], env)
    expect(JSON.parse(stdout)).toMatchObject({ output: 'Hello.', stages: [{ node: 'gpu', model: 'gemma3:4b' }] })
    expect(await caesura(folder, ['run', onePipeline('bigg'), ...question], env)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/CAESURA_E_ALIAS(.|\n)*expected: big\n/),
    })
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('cancels the call at the server on %s, writes the record, exits %i', async (signal, code) => {
    await using server = await fakeOllama({ models: ['some-model'], tokens: 'for ever', tokenMs: 5 })
    const run = startCaesura(folder, ['run', onePipeline(), ...question, '--events'], { OLLAMA_HOST: server.url })
    await run.printed('"token"')
    run.child.kill(signal)
    const { status, stderr, stdout } = await run.ended
    expect({ status, stderr }).toEqual({ status: code, stderr: '' })
    expect(server.cut).toBe(1)
    expect(stdout.trimEnd().split('\n').at(-1)).toContain('"outcome":"cancelled"')
    const shown = await caesura(folder, ['runs', 'show', 'last', '--json'])
    expect(JSON.parse(shown.stdout)).toMatchObject({
      outcome: 'cancelled',
      cancelReason: signal,
      stages: [{ settlement: 'aborted' }],
    })
  })

  it('prints the record of a cancelled run with --json', async () => {
    await using server = await fakeOllama({ models: ['some-model'], tokens: 'for ever', tokenMs: 5 })
    const run = startCaesura(folder, ['run', onePipeline(), ...question, '--json'], { OLLAMA_HOST: server.url })
    await until(() => server.asked.length > 0)
    run.child.kill('SIGINT')
    const { status, stdout } = await run.ended
    expect(status).toBe(130)
    expect(recordSchema.parse(JSON.parse(stdout)).outcome).toBe('cancelled')
  })

  it('ends quietly when the reader of stdout goes, and cancels the call', async () => {
    await using server = await fakeOllama({ models: ['some-model'], tokens: 'for ever', tokenMs: 5 })
    const run = startCaesura(folder, ['run', onePipeline(), ...question, '--events'], { OLLAMA_HOST: server.url })
    await run.printed('"token"')
    run.child.stdout?.destroy()
    const { status, stderr } = await run.ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(server.cut).toBe(1)
    const shown = await caesura(folder, ['runs', 'show', 'last', '--json'])
    expect(JSON.parse(shown.stdout)).toMatchObject({ outcome: 'cancelled' })
  })
})

describe('caesura with bad input', () => {
  it.each([
    ['an unknown verb', ['rnu'], 2, 'CAESURA_E_USAGE', 'Did you mean run?'],
    ['an unknown flag', ['run', examplePipeline, '--jsn'], 2, 'CAESURA_E_USAGE', 'Did you mean --json?'],
    ['no input', ['run', examplePipeline], 2, 'CAESURA_E_USAGE', '--input TEXT'],
    ['an empty stdin', ['run', examplePipeline, '--input', '-'], 2, 'CAESURA_E_USAGE', 'stdin is empty'],
    [
      'a wrong --interrupt',
      ['run', examplePipeline, ...question, '--interrupt', 'soon'],
      2,
      'CAESURA_E_USAGE',
      'tokens=N',
    ],
    [
      'a stage that is not there',
      ['run', examplePipeline, ...question, '--interrupt', 'stage=refin,1ms'],
      2,
      'CAESURA_E_USAGE',
      'Did you mean `refine`?',
    ],
    [
      'a wrong --policy',
      ['run', examplePipeline, ...question, '--policy', '{response: abrt}'],
      2,
      'CAESURA_E_USAGE',
      'Did you mean `abort`?',
    ],
    [
      'a --policy that is no YAML',
      ['run', examplePipeline, ...question, '--policy', '{'],
      2,
      'CAESURA_E_USAGE',
      '--policy cannot be read',
    ],
    ['a wrong --var', ['run', examplePipeline, ...question, '--var', 'x'], 2, 'CAESURA_E_USAGE', 'key=value'],
    ['a missing file', ['run', 'nothere.yaml', ...question], 2, 'CAESURA_E_FILE', 'nothere.yaml'],
    ['an unknown run', ['explain', 'nope'], 2, 'CAESURA_E_RUN_UNKNOWN', 'caesura run PIPELINE'],
    [
      'no server',
      ['run', examplePipeline, ...question, '--backend', 'ollama'],
      3,
      'CAESURA_E_NO_SERVER',
      'http://127.0.0.1:9',
    ],
    [
      'no server that OLLAMA_HOST names',
      ['run', examplePipeline, ...question],
      3,
      'CAESURA_E_NO_SERVER',
      'or --backend embedded for the bundled model',
    ],
    [
      'records in a file that is none',
      ['run', examplePipeline, ...question, ...embedded],
      3,
      'CAESURA_E_RECORDS',
      'folder',
      { CAESURA_RECORDS: '.' },
    ],
  ] as const)('%s', async (_name, args, code, error, text, env?: NodeJS.ProcessEnv) => {
    const human = await caesura(folder, args, env)
    expect({ status: human.status, stdout: human.stdout }).toEqual({ status: code, stdout: '' })
    expect(human.stderr).toContain(error)
    expect(human.stderr).toContain(text)
    expect(human.stderr).not.toMatch(/\n {4}at /)
    const machine = await caesura(folder, [...args, '--json'], env)
    expect({ status: machine.status, stderr: machine.stderr }).toEqual({ status: code, stderr: '' })
    const document = JSON.parse(machine.stdout)
    expect(document.error.code).toBe(error)
  })

  it('names the command that gets a missing model', async () => {
    await using server = await fakeOllama({ models: ['other'] })
    const { status, stderr } = await caesura(folder, ['run', onePipeline(), ...question, '--url', server.url])
    expect(status).toBe(3)
    expect(stderr).toContain('CAESURA_E_NO_MODEL')
    expect(stderr).toContain('ollama pull some-model')
    expect(server.asked).toEqual([])
  })
})

it('asks to report a fault of its own, with one JSON document on stdout', async () => {
  // A built-in that is gone stands in for a fault that nobody foresaw.
  const broken = { NODE_OPTIONS: '--import=data:text/javascript,Array.prototype.flat=undefined' }
  const args = ['run', examplePipeline, ...question, ...embedded]
  const human = await caesura(folder, args, broken)
  expect({ status: human.status, stdout: human.stdout }).toEqual({ status: 1, stdout: '' })
  expect(human.stderr).toMatch(/CAESURA_E_INTERNAL\n(.*\n)*.*Please report it/)
  const machine = await caesura(folder, [...args, '--json'], broken)
  expect(machine.status).toBe(1)
  expect(JSON.parse(machine.stdout).error.code).toBe('CAESURA_E_INTERNAL')
})

it('prints its version', async () => {
  expect(await caesura(folder, ['--version'])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    stderr: '',
  })
})
