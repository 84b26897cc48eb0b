/**
 * `npm run check:package`: packs the package, which builds it, installs the tarball in an empty folder as a user would, and uses it
 * there: the command line, the bundled model, the types. Needs npm's registry or its cache.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { z } from 'zod'
import { redisServer } from './redis-server.ts'
import { jsonDocument, Services } from './services.ts'
import { freePorts } from './where/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = z
  .object({
    version: z.string(),
    overrides: z.record(z.string(), z.string()),
    devDependencies: z.looseObject({ 'node-llama-cpp': z.string() }),
  })
  .parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')))

/** The packed command line must run on this Node, not on an older one that the machine has. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`, NO_COLOR: '1' }

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

async function run(folder: string, command: string, ...args: readonly string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, {
      cwd: folder,
      env,
      maxBuffer: 64_000_000,
      shell: process.platform === 'win32',
    })
    return { status: 0, stdout, stderr }
  } catch (error) {
    const ended = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() }).safeParse(error)
    if (!ended.success) throw error
    return { status: ended.data.code, stdout: ended.data.stdout, stderr: ended.data.stderr }
  }
}

async function mustRun(folder: string, command: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(folder, command, ...args)
  assert.equal(status, 0, `${[command, ...args].join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}

async function step(name: string, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now()
  await work()
  console.log(`check:package: ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`)
}

const folder = await mkdtemp(join(tmpdir(), 'caesura-package-'))
const app = join(folder, 'app')
const installed = join(app, 'node_modules/caesura-engine')
let tarball = ''
const install = (...what: readonly string[]) =>
  mustRun(app, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...what)
const caesura = join(app, 'node_modules/.bin/caesura')

/** As a strict project of somebody else compiles them. */
async function compile(...files: readonly string[]): Promise<void> {
  const lib = ['es2023', 'esnext.disposable', 'dom']
  const options = { module: 'nodenext', target: 'es2023', lib, strict: true, allowImportingTsExtensions: true }
  const compilerOptions = { ...options, types: [], noEmit: true }
  await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  await mustRun(app, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.')
}

const services = new Services((line) => console.error(line))

/** Starts a verb that goes on, on the Node of this process; resolves to its process id when it works. */
async function start(...args: readonly string[]): Promise<number> {
  const main = join(installed, 'dist/cli/main.js')
  const name = args.slice(0, 2).join(' ')
  const { pid } = await services.start<{ pid: number }>(name, [process.execPath, main, ...args, '--json'], jsonDocument)
  return pid
}

async function end(pid: number): Promise<void> {
  process.kill(pid)
  const isThere = () => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  while (isThere()) await setTimeout(50)
}

async function startRedis(): Promise<string> {
  const [port] = await freePorts(1)
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const isReady = (stdout: string) => stdout.includes('Ready to accept connections') || undefined
  await services.start('redis', [await redisServer(), ...flags], isReady)
  return `redis://127.0.0.1:${port}`
}

const pipelineRun = () =>
  run(
    app,
    caesura,
    ...['run', join(installed, 'examples/draft-refine.yaml'), '--backend', 'embedded'],
    ...['--input', 'How do I descale my kettle?', '--interrupt', 'tokens=12:I have no vinegar.', '--json'],
  )

try {
  await step('builds, and packs what it needs and nothing else', async () => {
    await rm(join(root, 'dist'), { recursive: true, force: true })
    const packed = z
      .array(z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) }))
      .length(1)
      .parse(JSON.parse(await mustRun(root, 'npm', 'pack', '--json', '--silent', '--pack-destination', folder)))[0]!
    tarball = join(folder, packed.filename)
    const paths = packed.files.map(({ path }) => path)
    for (const needed of [
      'LICENSE',
      'README.md',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
      'examples/draft-refine.yaml',
      'models/caesura-demo-3m.q8_0.gguf',
      'models/caesura-demo-3m.md',
    ])
      assert.ok(paths.includes(needed), `${needed} is not in the package`)
    for (const path of paths)
      assert.doesNotMatch(
        path,
        /^(src|test|bench|scripts|models\/train|\.)|\.(sqlite|tsbuildinfo)/,
        `${path} is packed`,
      )
  })

  await step('publint finds nothing', async () => {
    const { buffer } = new Uint8Array(await readFile(tarball))
    const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true })
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg, { color: false })),
      [],
    )
  })

  await step('installs in an empty folder, without the engine', async () => {
    await mkdir(app)
    const { overrides } = manifest
    await writeFile(
      join(app, 'package.json'),
      JSON.stringify({ name: 'app', private: true, type: 'module', overrides }),
    )
    await install(tarball)
    assert.equal((await mustRun(app, caesura, '--version')).trim(), manifest.version)
  })

  await step('says what to install where the engine is missing', async () => {
    const { status, stdout } = await pipelineRun()
    assert.equal(status, 3, stdout)
    const { error } = z
      .object({ error: z.object({ code: z.string(), hint: z.string().optional() }) })
      .parse(JSON.parse(stdout))
    assert.equal(error.code, 'CAESURA_E_NO_BACKEND')
    assert.equal(error.hint, 'npm install node-llama-cpp')
  })

  await step('the library loads and its types compile', async () => {
    const source = [
      "import { createEngine, definePipeline, llamaCpp, ollama, scripted } from 'caesura-engine'",
      "const node = llamaCpp({ name: 'here', model: 'no.gguf' })",
      'const engine = createEngine({ nodes: [node] })',
      "const pipeline = definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'Hi' }] })",
      '// @ts-expect-error a typo in a policy is red',
      "export const typo = () => definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'Hi', policy: { response: 'dran' } }] })",
      'await engine.close()',
      'console.log(pipeline.name, typeof ollama, typeof scripted)',
    ]
    await writeFile(join(app, 'main.ts'), `${source.join('\n')}\n`)
    await compile('main.ts')
    assert.equal((await mustRun(app, process.execPath, 'main.ts')).trim(), 'p function function')
  })

  await step('examples/library.ts runs in a checkout by the command of its header', async () => {
    const [, command] = /In a checkout: `([^`]+)`/.exec(await readFile(join(root, 'examples/library.ts'), 'utf8')) ?? []
    assert.match(await mustRun(root, 'sh', '-c', command!), /^completed; interrupt to first token: [\d.]+ ms$/m)
  })

  await step('the policy of docs/own-policies.md works in this process', async () => {
    const page = await readFile(join(root, 'docs/own-policies.md'), 'utf8')
    const programs = [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)]
    assert.deepEqual(
      programs.map(([, name]) => name),
      ['policies.ts', 'main.ts', 'steps.ts', 'backends.ts'],
    )
    for (const [, name, code] of programs) await writeFile(join(app, name!), code!)
    await compile('policies.ts', 'main.ts', 'steps.ts', 'backends.ts')
    assert.deepEqual((await mustRun(app, process.execPath, 'main.ts')).trim().split('\n'), [
      'aborted: 1 of 3 tokens had come',
      'drained: 3 of 3 tokens had come',
    ])
  })

  await step('… and on a fleet whose worker loads it', async () => {
    const stages = [
      {
        id: 'draft',
        model: 'm',
        prompt: '{{ input }}',
        policy: { trigger: { tokens: 2 }, response: { 'finish-long': 2 } },
      },
      { id: 'refine', model: 'm', prompt: '{{ draft.output }}' },
    ]
    await writeFile(join(app, 'long.yaml'), JSON.stringify({ name: 'long', stages }))
    const own = ['--catalogue', join(app, 'policies.ts')]
    assert.match(await mustRun(app, caesura, 'check', 'long.yaml', ...own), /^OK long.yaml/)
    const redis = await startRedis()
    const node = ['--backend', 'scripted', '--node', 'n', '--tokens', '9', '--first-token-ms', '20', '--token-ms', '20']
    const any = await start('worker', 'stages', ...node, '--redis', redis)
    // Without the policy the run fails, and says why; with it the run is what it is in one process.
    for (const flags of [[], own]) {
      const worker = await start('worker', 'pipelines', ...flags, '--redis', redis)
      const { stdout } = await run(app, caesura, 'run', 'long.yaml', ...own, '--redis', redis, '--input', 'Q', '--json')
      const { outcome, stages, error } = z
        .object({
          outcome: z.string(),
          stages: z.array(z.object({ settlement: z.string() })),
          error: z.object({ code: z.string() }).optional(),
        })
        .parse(JSON.parse(stdout))
      if (flags.length === 0) assert.deepEqual([outcome, error?.code], ['failed', 'CAESURA_E_POLICY'])
      else
        assert.deepEqual(
          [outcome, ...stages.map(({ settlement }) => settlement)],
          ['completed', 'drained', 'completed'],
        )
      await end(worker)
    }
    // The step of the same page, in this process and on the same fleet.
    const facts = { id: 'facts', lookup: '{{ input }}' }
    await writeFile(join(app, 'facts.yaml'), JSON.stringify({ name: 'facts', stages: [facts] }))
    const steps = ['--catalogue', join(app, 'steps.ts')]
    const found = /Vinegar dissolves limescale\.\s+Never mix vinegar and bleach\.\s+completed/
    assert.match(await mustRun(app, caesura, 'run', 'facts.yaml', ...steps, '--input', 'vinegar'), found)
    await start('worker', 'pipelines', ...steps, '--redis', redis)
    const onFleet = ['--redis', redis, '--input', 'vinegar']
    assert.match(await mustRun(app, caesura, 'run', 'facts.yaml', ...steps, ...onFleet), found)
    // The backend of the same page, in this process and on the same fleet.
    await writeFile(
      join(app, 'ask.yaml'),
      JSON.stringify({ name: 'ask', stages: [{ id: 'a', model: 'canned', prompt: 'x' }] }),
    )
    await writeFile(
      join(app, 'own.config.yaml'),
      /^```yml\n(.*?)^```/ms.exec(await readFile(join(root, 'docs/own-policies.md'), 'utf8'))![1]!,
    )
    const desk = ['--catalogue', join(app, 'backends.ts'), '--config', join(app, 'own.config.yaml')]
    assert.match(await mustRun(app, caesura, 'check', 'own.config.yaml', ...desk.slice(0, 2)), /^OK own.config.yaml/)
    assert.match(await mustRun(app, caesura, 'run', 'ask.yaml', ...desk, '--input', 'x'), /Ask me later\./)
    // It would take the call as well: it answers to every model.
    await end(any)
    await start('worker', 'stages', '--node', 'desk', ...desk, '--redis', redis)
    assert.match(await mustRun(app, caesura, 'run', 'ask.yaml', '--redis', redis, '--input', 'x'), /Ask me later\./)
  })

  await step('installs the engine beside it', async () => {
    await install(`node-llama-cpp@${manifest.devDependencies['node-llama-cpp']}`)
  })

  await step('runs the example on the bundled model', async () => {
    const { status, stdout, stderr } = await pipelineRun()
    assert.equal(status, 0, stdout + stderr)
    const record = z
      .object({
        outcome: z.literal('completed'),
        output: z.string(),
        stages: z.array(z.object({ id: z.string(), settlement: z.string() })),
      })
      .parse(JSON.parse(stdout))
    assert.deepEqual(
      record.stages.map(({ id, settlement }) => `${id} ${settlement}`),
      ['draft aborted', 'refine completed'],
    )
    assert.match(record.output, /^Without vinegar/)
  })
} finally {
  await services.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}
