import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis, type TestRedis } from '../fixtures/redis.ts'
import { caesura, type Ended, type Started, startCaesura } from './caesura.ts'

const pipeline = `name: two
stages:
  - { id: draft, model: m, prompt: "{{ input }}", policy: { trigger: signal, response: abort, carry: all } }
  - { id: refine, model: m, prompt: "{{ draft.output }} {{ interrupt.input }}" }
`

/** A fleet of real processes over a Redis of its own, and the command line beside it. */
export class FleetProcesses {
  readonly folder = mkdtempSync(join(tmpdir(), 'caesura-fleet-'))
  readonly redis: TestRedis
  /** Two stages; `draft` is aborted by a signal. */
  readonly pipeline: string
  readonly #workers: Started[] = []
  readonly #env: NodeJS.ProcessEnv

  /** `password`: of its Redis; none by default. `env`: of all processes. */
  static async start({ password = '', env = {} }: { password?: string; env?: NodeJS.ProcessEnv } = {}) {
    const redis = await startRedis(password === '' ? [] : ['--requirepass', password])
    const url = new URL(redis.url)
    url.password = password
    return new FleetProcesses(redis, { REDIS_URL: url.href, ...env })
  }

  private constructor(redis: TestRedis, env: NodeJS.ProcessEnv) {
    this.redis = redis
    this.#env = env
    this.pipeline = this.file('two.yaml', pipeline)
  }

  file(name: string, text: string): string {
    const file = join(this.folder, name)
    writeFileSync(file, text)
    return file
  }

  /** Resolves when the worker works. */
  async worker(...args: string[]): Promise<Started> {
    const worker = startCaesura(this.folder, ['worker', ...args, '--json'], this.#env)
    this.#workers.push(worker)
    await worker.printed('}')
    return worker
  }

  /** A node that says `count` pieces, one each `ms`. */
  scripted(name: string, count: number, ms: number, ...args: string[]): Promise<Started> {
    const script = ['--backend', 'scripted', '--tokens', String(count), '--token-ms', String(ms)]
    return this.worker('stages', '--node', name, ...script, ...args)
  }

  run = (...args: string[]): Promise<Ended> => caesura(this.folder, args, this.#env)

  start = (...args: string[]): Started => startCaesura(this.folder, args, this.#env)

  /** Prints the id of a run that goes on by itself. */
  async detached(...flags: string[]): Promise<string> {
    const args = ['run', this.pipeline, '--redis', '--detach', '--input', 'hello', ...flags]
    const { status, stdout, stderr } = await this.run(...args)
    if (status !== 0) throw new Error(stderr)
    return stdout.trim()
  }

  /** What a verb prints with `--json`. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse((await this.run(...args, '--json')).stdout) as T
  }

  async stop(): Promise<void> {
    for (const { child } of this.#workers) child.kill('SIGKILL')
    await Promise.all(this.#workers.map((worker) => worker.ended))
    await this.redis.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Asks again until `look` gives something; the test's own timeout bounds it. */
export async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
