import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { Command } from 'commander'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { abCommand } from '../../src/cli/ab/ab.ts'
import { cancelCommand } from '../../src/cli/cancel.ts'
import { checkCommand } from '../../src/cli/check.ts'
import { doctorCommand } from '../../src/cli/doctor.ts'
import { exportCommand } from '../../src/cli/export.ts'
import { interruptCommand } from '../../src/cli/interrupt.ts'
import { nodesCommand } from '../../src/cli/nodes.ts'
import { overheadCommand } from '../../src/cli/overhead.ts'
import { probeCommand } from '../../src/cli/probe.ts'
import { runCommand } from '../../src/cli/run.ts'
import { runsCommand } from '../../src/cli/runs.ts'
import { serveCommand } from '../../src/cli/serve.ts'
import { workerCommand } from '../../src/cli/worker.ts'
import { json, startOllamaLike } from '../servers/ollama-like.ts'
import { caesura } from './caesura.ts'
import { capture } from './capture.ts'

const MARK = 'MARKword'
/** A user and a password in all the ways that people write them. */
const credentials = [`me:${MARK}`, `me:p%40${MARK}`, `me:p@${MARK}`, `me:p/${MARK}`, `${MARK}`, `:${MARK}`]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-secrets-'))
  vi.stubEnv('CAESURA_RECORDS', join(folder, 'runs.sqlite'))
  vi.stubEnv('OLLAMA_HOST', '')
  vi.stubEnv('REDIS_URL', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const pipeline = () => file('one.yaml', 'name: one\nstages:\n  - { id: only, model: m, prompt: "{{ input }}" }\n')
const experiment = () =>
  file(
    'e.yaml',
    `name: e\npipeline: ${pipeline()}\narms: [{ name: a, policy: cut-in }, { name: b, policy: let-finish }]\nworkload: { prompts: [x], interrupts: { after: 1ms } }\nsessions: 2\n`,
  )

/** All that a verb tells, with what lies behind its error. */
async function told(command: Command, ...args: string[]) {
  const plain = await capture(command, ...args)
  return { ...plain, text: plain.stdout + plain.stderr + inspect(plain.error, { depth: 20, maxStringLength: null }) }
}

/** The verbs that talk to a model server, with what they need beside its address. */
const verbs: Readonly<Record<'run' | 'probe' | 'ab' | 'overhead', () => [() => Command, ...string[]]>> = {
  run: () => [runCommand, pipeline(), '--input', 'x'],
  probe: () => [probeCommand, '--budget', '1s'],
  ab: () => [abCommand, experiment()],
  overhead: () => [overheadCommand, '--quick'],
}
type Verb = keyof typeof verbs

describe.each(Object.keys(verbs) as Verb[])('%s', (verb) => {
  it.each(['--url', 'OLLAMA_HOST'])('refuses a password in %s, and tells nothing of it', async (from) => {
    for (const each of credentials)
      for (const scheme of ['http://', ''])
        for (const flags of [[], ['--json']]) {
          const [make, ...args] = verbs[verb]()
          const url = `${scheme}${each}@127.0.0.1:9`
          if (from === 'OLLAMA_HOST') vi.stubEnv('OLLAMA_HOST', url)
          const { text, error } = await told(make(), ...args, ...flags, ...(from === '--url' ? ['--url', url] : []))
          expect(error, url).toMatchObject({ exitCode: 2 })
          expect(text).not.toContain(MARK)
        }
  })
})

describe.each(['run', 'probe', 'ab'] as const)('%s with a configuration', (verb) => {
  const config = (node: object) =>
    file('c.yaml', JSON.stringify({ nodes: [{ name: 'n', ...node }], models: { m: 'm' } }))
  const tried = async (node: object) => {
    const [make, ...args] = verbs[verb]()
    return told(make(), ...args, '--config', config(node))
  }

  it('refuses a password in a URL, and tells nothing of it', async () => {
    for (const backend of ['ollama', 'openai'])
      for (const each of credentials) {
        const { text, error } = await tried({ backend, url: `http://${each}@127.0.0.1:9` })
        expect(error).toMatchObject({ code: 'CAESURA_E_CONFIG', place: { path: 'nodes[0].url', line: 1 } })
        expect(text).not.toContain(MARK)
      }
  })

  it('tells nothing of headers and keys that a server refuses or quotes', async () => {
    vi.stubEnv('THE_KEY', `key-${MARK}`)
    const refuse = (response: ServerResponse, { headers }: { headers: object }) =>
      json(response, 401, { error: JSON.stringify(headers) })
    const server = await startOllamaLike({ routes: { '/api/version': refuse, '/v1/models': refuse } })
    for (const backend of ['ollama', 'openai'])
      for (const access of [
        { apiKeyEnv: 'THE_KEY' },
        { headers: { 'x-key': MARK, authorization: `Bearer ${MARK}` } },
      ]) {
        const { text, error } = await tried({ backend, url: server.url, ...access })
        expect(error).toMatchObject({ code: 'CAESURA_E_AUTH', message: expect.stringContaining('401') })
        expect(text).not.toContain(MARK)
      }
    await server.close()
  })

  it('refuses headers that are none, and a key that is not there, and tells no value', async () => {
    const url = 'http://127.0.0.1:9'
    for (const backend of ['ollama', 'openai'])
      for (const headers of [
        MARK,
        [MARK],
        { [`a ${MARK}`]: 'b' },
        { a: `${MARK}\u0001` },
        { a: { b: MARK } },
        { host: MARK },
      ]) {
        const { text, error } = await tried({ backend, url, headers })
        expect(error).toMatchObject({ code: 'CAESURA_E_CONFIG', exitCode: 2, place: { line: 1 } })
        expect(text).not.toContain(MARK)
      }
    for (const backend of ['ollama', 'openai'])
      expect((await tried({ backend, url, apiKeyEnv: 'NOT_SET' })).error).toMatchObject({
        code: 'CAESURA_E_CONFIG',
        exitCode: 2,
        message: expect.stringContaining('NOT_SET'),
      })
  })
})

it('doctor and check tell nothing of a password, wherever it stands', async () => {
  for (const each of credentials) {
    const url = `http://${each}@127.0.0.1:9`
    const config = file(
      'c.yaml',
      JSON.stringify({ nodes: [{ name: 'n', backend: 'ollama', url, headers: { a: MARK } }] }),
    )
    vi.stubEnv('OLLAMA_HOST', url)
    vi.stubEnv('REDIS_URL', `redis://${each}@127.0.0.1:9`)
    for (const flags of [[], ['--json']]) {
      for (const more of [[], ['--config', config]]) {
        const { text, status } = await told(doctorCommand(), ...more, ...flags)
        expect(status).toBe(3)
        expect(text).toContain('Ollama')
        expect(text).not.toContain(MARK)
      }
      expect((await told(checkCommand(), config, ...flags)).text).not.toContain(MARK)
    }
  }
}, 60_000)

describe('a URL of the fleet or of a collector', () => {
  const urls = (scheme: string) => [
    ...credentials.map((each) => `${scheme}${each}@127.0.0.1:9`),
    `${scheme}127.0.0.1:9?password=${MARK}`,
    `me:${MARK}@127.0.0.1:9`,
  ]
  const fleet: Readonly<Record<string, () => [Command, ...string[]]>> = {
    nodes: () => [nodesCommand()],
    runs: () => [runsCommand()],
    cancel: () => [cancelCommand(), 'some-run'],
    interrupt: () => [interruptCommand(), 'some-run'],
    serve: () => [serveCommand(), '--port', '0', '--log', 'text'],
    run: () => [runCommand(), pipeline(), '--input', 'x'],
  }

  it.each(Object.entries(fleet))(
    '%s tells nothing of its password',
    async (_, made) => {
      for (const url of urls('redis://')) {
        const [command, ...args] = made()
        const { text, error } = await told(command, ...args, '--redis', url)
        expect(error).toBeDefined()
        expect(text).not.toContain(MARK)
      }
    },
    60_000,
  )

  it('export tells nothing of its password', async () => {
    await told(runCommand(), pipeline(), '--input', 'x', '--backend', 'embedded')
    for (const url of [...urls('ftp://'), ...urls('')]) {
      const { text, error } = await told(exportCommand(), 'last', '--otlp', url)
      expect(error).toMatchObject({ code: 'CAESURA_E_USAGE' })
      expect(text).not.toContain(MARK)
    }
  }, 60_000)
})

it('worker stages refuses a password in --url and OLLAMA_HOST, and tells nothing of it', async () => {
  for (const each of credentials) {
    const url = `http://${each}@127.0.0.1:9`
    const worker = (...args: string[]) => told(workerCommand(), 'stages', '--node', 'n', ...args)
    for (const backend of ['ollama', 'openai']) {
      const { text, error } = await worker('--backend', backend, '--url', url)
      expect(error).toMatchObject({ code: 'CAESURA_E_USAGE', exitCode: 2 })
      expect(text).not.toContain(MARK)
    }
    vi.stubEnv('OLLAMA_HOST', url)
    const { text, error } = await worker()
    expect(error).toMatchObject({ exitCode: 2 })
    expect(text).not.toContain(MARK)
  }
})

it('a whole process tells no password, not even of a flag that it does not know', async () => {
  const url = `http://me:${MARK}@127.0.0.1:9`
  for (const args of [
    ['run', pipeline(), '--input', 'x', '--url', url],
    ['run', pipeline(), '--input', 'x', `--ulr=${url}`],
    ['run', pipeline(), '--input', 'x', '--backend', url],
  ])
    for (const flags of [[], ['--json']]) {
      const { status, stdout, stderr } = await caesura(folder, [...args, ...flags])
      expect(status).toBe(2)
      expect(stdout + stderr).not.toContain(MARK)
      if (flags.length > 0) expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CAESURA_E_USAGE' } })
    }
}, 120_000)
