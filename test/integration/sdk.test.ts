import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { RunRecord } from '../../src/core/record.ts'
import { caesura, examplePipeline, startCaesura } from '../cli/caesura.ts'
import type { Span } from '../fixtures/otlp/spans.ts'
import { OtlpSink } from '../fixtures/otlp-sink.ts'

let folder: string
let sink: OtlpSink
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-sdk-'))
  sink = new OtlpSink()
  await sink.up()
})
afterEach(() => sink.clear())
afterAll(async () => {
  await sink.down()
  rmSync(folder, { recursive: true, force: true })
})

/** A step whose own code asks a server, and a model after it. */
const index = pathToFileURL(join(import.meta.dirname, '../../src/index.ts')).href
const FETCHES = `import { z } from '${pathToFileURL(join(import.meta.dirname, '../../node_modules/zod/index.js')).href}'
import { extendCatalogue, stepKind } from '${index}'
const fetches = stepKind({
  name: 'fetches', summary: 'asks a server', shape: { fetches: z.string() }, takesTime: true,
  read: ({ fetches: url }) => ({ step: { kind: 'fetches', url } }),
  templates: () => [],
  open: ({ url }) => ({ work: { kind: 'fetches', url } }),
  async perform({ url }, { token }) {
    token(String((await fetch(url)).status))
    return { end: 'completed' }
  },
})
export const catalogue = extendCatalogue({ steps: [fetches] })
`
const INPUT = 'How do I descale a kettle?'
const INSTRUMENTATION = '@opentelemetry/instrumentation-undici'
const importing = (name: string) => ({
  NODE_OPTIONS: `--import ${fileURLToPath(new URL(`../fixtures/instrumented/${name}.mjs`, import.meta.url))}`,
})
const toSink = (more: NodeJS.ProcessEnv = {}) => ({
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces`,
  ...more,
})
const run = (env: NodeJS.ProcessEnv, ...flags: string[]) =>
  caesura(folder, ['run', examplePipeline, '--input', INPUT, '--json', ...flags], env)
const recordIn = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as RunRecord
const withModelServer = async <T>(env: NodeJS.ProcessEnv, use: (url: string) => Promise<T>): Promise<T> => {
  const server = startCaesura(folder, ['model-server', '--port', '0', '--json'], env)
  try {
    return await use((JSON.parse(await server.printed('}')) as { url: string }).url)
  } finally {
    server.child.kill('SIGTERM')
    await server.ended
  }
}
const onServer = (url: string) => ['--backend', 'ollama', '--url', url, '--model', 'caesura-demo']
const theirs = () => sink.spans.filter(({ scope }) => scope.name === INSTRUMENTATION)
const ofKind = (kind: Span['kind']) => sink.spans.filter((span) => span.kind === kind && !theirs().includes(span))
const parentsOf = (spans: readonly Span[]) => spans.map(({ parentSpanId }) => parentSpanId).sort()
const idsOf = (spans: readonly Span[]) => spans.map(({ spanId }) => spanId).sort()

describe('instrumentation that a user loads', () => {
  it('has its spans where those of runs are, of the same process, and takes no call for its own', async () => {
    const attributes = { OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test' }
    await withModelServer(toSink(), async (url) => {
      writeFileSync(join(folder, 'fetches.ts'), FETCHES)
      const stages = [
        { id: 'look', fetches: `${url}/api/version` },
        { id: 'answer', model: 'caesura-demo', prompt: '{{ input }}' },
      ]
      writeFileSync(join(folder, 'looks.yaml'), JSON.stringify({ name: 'looks', stages }))
      const ended = await caesura(
        folder,
        ['run', 'looks.yaml', '--catalogue', 'fetches.ts', '--input', INPUT, '--json', ...onServer(url)],
        toSink({ ...importing('undici'), ...attributes }),
      )
      expect(ended).toMatchObject({ status: 0 })
    })
    // The model server is asked by the call, whose span that is.
    expect(theirs().map(({ attributes: said }) => said['url.path'])).toEqual(['/api/version'])
    const [call, ...more] = ofKind('client')
    expect(more).toEqual([])
    const step = sink.spans.find(({ spanId }) => spanId === theirs()[0]!.parentSpanId)
    expect(step).toMatchObject({ traceId: call!.traceId, attributes: { 'caesura.stage': 'look' } })
    expect(call!.resource).toMatchObject({ 'service.name': 'caesura', 'deployment.environment.name': 'test' })
    for (const { resource } of theirs()) {
      expect(resource).toMatchObject({ ...call!.resource, 'telemetry.sdk.language': 'nodejs' })
      expect(resource['host.name']).toBeTypeOf('string')
      expect(JSON.stringify(resource)).not.toContain(INPUT)
    }
    // A second `traceparent` would be as none.
    expect(ofKind('server')).toHaveLength(1)
    expect(parentsOf(ofKind('server'))).toEqual(idsOf(ofKind('client')))
  }, 60_000)

  it('has what the detectors find that are asked for', async () => {
    await withModelServer(toSink(), async (url) => {
      writeFileSync(join(folder, 'fetches.ts'), FETCHES)
      const stages = [{ id: 'look', fetches: `${url}/api/version` }]
      writeFileSync(join(folder, 'looks.yaml'), JSON.stringify({ name: 'looks', stages }))
      const args = ['run', 'looks.yaml', '--catalogue', 'fetches.ts', '--input', INPUT, '--json']
      const env = toSink({ ...importing('undici'), OTEL_NODE_RESOURCE_DETECTORS: 'process' })
      expect(await caesura(folder, args, env)).toMatchObject({ status: 0 })
    })
    const [{ resource }] = theirs() as [Span]
    expect(Number(resource['process.pid'])).toBeGreaterThan(0)
    expect(resource).not.toHaveProperty('host.name')
    expect(resource['service.instance.id']).toMatch(/-\d+$/)
  }, 60_000)

  it('is left as it is where the user has set all of OpenTelemetry up', async () => {
    const env = toSink({ ...importing('whole-sdk'), OTEL_LOGS_EXPORTER: 'none' })
    await withModelServer(toSink(), async (url) => {
      const ended = await run({ ...env, OTEL_LOG_LEVEL: 'error' }, ...onServer(url))
      expect(ended).toMatchObject({ status: 0 })
      expect(ended.stderr).not.toMatch(/duplicate/)
    })
    expect(theirs().length).toBeGreaterThan(0)
    expect(new Set(idsOf(theirs())).size).toBe(theirs().length)
    expect(new Set(theirs().map(({ resource }) => resource['service.name']))).toEqual(new Set(['theirs']))
    expect(parentsOf(ofKind('server'))).toEqual(idsOf(ofKind('client')))
  }, 60_000)
})

describe('the resource of a run’s spans', () => {
  it('is its process’s name and what the variable says: nothing that an export from elsewhere could not say', async () => {
    await run(toSink(), '--backend', 'embedded')
    const [{ resource }] = sink.spans as [Span]
    expect(resource).toMatchObject({ 'service.name': 'caesura' })
    for (const name of ['host.name', 'process.pid']) expect(resource).not.toHaveProperty(name)
    expect(JSON.stringify(resource)).not.toContain(INPUT)
  }, 60_000)
})

describe('OTEL_PROPAGATORS', () => {
  const b3 = { OTEL_PROPAGATORS: 'b3' }

  it('says in which headers a call names its trace, and in which a server looks for it', async () => {
    await withModelServer(toSink(b3), async (url) => {
      expect(await run(toSink(b3), ...onServer(url))).toMatchObject({ status: 0 })
    })
    expect(ofKind('server')).toHaveLength(2)
    expect(parentsOf(ofKind('server'))).toEqual(idsOf(ofKind('client')))
    sink.clear()
    await withModelServer(toSink(), async (url) => {
      expect(await run(toSink(b3), ...onServer(url))).toMatchObject({ status: 0 })
    })
    expect(ofKind('client')).toHaveLength(2)
    expect(ofKind('server')).toEqual([])
  }, 60_000)

  it('of none passes nothing on; one that is none is told of', async () => {
    await withModelServer(toSink(), async (url) => {
      expect(await run(toSink({ OTEL_PROPAGATORS: 'none' }), ...onServer(url))).toMatchObject({ status: 0 })
    })
    expect(ofKind('client')).toHaveLength(2)
    expect(ofKind('server')).toEqual([])
    const ended = await run(toSink({ OTEL_PROPAGATORS: 'tracecontext,jaeger' }), '--backend', 'embedded')
    expect(ended.stderr.match(/"jaeger"/g)).toHaveLength(1)
    expect(recordIn(ended).outcome).toBe('completed')
  }, 60_000)
})

it('spans go by the protocol that the variables name', async () => {
  const ended = await run(toSink({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }), '--backend', 'embedded')
  expect(ended.status).toBe(0)
  expect(sink.requests.map(({ contentType }) => contentType)).toContain('application/json')
}, 60_000)
