import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startRedis, type TestRedis } from '../../test/fixtures/redis.ts'
import { Link } from './proxy.ts'

const workerFile = fileURLToPath(new URL('./worker.ts', import.meta.url))
const clockFile = new URL('./clock.ts', import.meta.url).href
const DAY_MS = 86_400_000
/** Blocks: files of the worker on a full disk may not get larger. */
const FULL_DISK = 'trap "" XFSZ; ulimit -f 800; exec "$@"'

/** A process of the fleet, with its own way to Redis. It is started again when it has been killed. */
export interface Resident {
  readonly kind: 'pipelines' | 'stages' | 'api'
  readonly name: string
  readonly link: Link
  /** How wrong its wall clock is, ms. */
  readonly clockMs: number
  /** Where it keeps records, on a disk that is full. */
  readonly records?: string
  child: ChildProcess | undefined
  /** Its worker's id, or the API's URL. */
  ready: string | undefined
}

/** What the processes did by themselves. */
export interface Seen {
  /** Calls, by `run call`, and how often a model was asked for them. */
  readonly asked: Map<string, number>
  /** Processes that ended without being killed. */
  readonly exited: string[]
  /** What they said of rejections that nobody handled. */
  readonly unhandled: string[]
}

/** A Redis and a fleet in processes of their own. */
export class House {
  readonly redis: TestRedis
  readonly residents: readonly Resident[]
  readonly seen: Seen = { asked: new Map(), exited: [], unhandled: [] }
  readonly #folder: string
  #isClosed = false

  static async open(): Promise<House> {
    const redis = await startRedis()
    const folder = await mkdtemp(join(tmpdir(), 'caesura-storms-'))
    const resident = async (
      kind: Resident['kind'],
      name: string,
      clockMs = 0,
      records?: string,
    ): Promise<Resident> => ({
      ...{ kind, name, clockMs, link: await Link.to(redis.port), child: undefined, ready: undefined },
      ...(records !== undefined && { records }),
    })
    const house = new House(redis, folder, [
      await resident('pipelines', 'p1', DAY_MS),
      await resident('pipelines', 'p2', 0, join(folder, 'records.sqlite')),
      await resident('stages', 's1', -DAY_MS),
      await resident('stages', 's2'),
      await resident('stages', 's3'),
      await resident('api', 'a1'),
    ])
    await Promise.all(house.residents.map((each) => house.start(each)))
    return house
  }

  private constructor(redis: TestRedis, folder: string, residents: readonly Resident[]) {
    this.redis = redis
    this.residents = residents
    this.#folder = folder
  }

  of(kind: Resident['kind']): readonly Resident[] {
    return this.residents.filter((each) => each.kind === kind)
  }

  /** Resolves when it works. Where Redis does not answer it ends, and is started again, as whoever keeps services alive does. */
  async start(resident: Resident): Promise<void> {
    const { kind, name, link, clockMs, records } = resident
    const node = [process.execPath, '--import', clockFile, workerFile, kind, link.url, name]
    const command = records === undefined ? node : ['sh', '-c', FULL_DISK, 'sh', ...node, records]
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, STORM_CLOCK_MS: String(clockMs) },
    })
    resident.child = child
    this.#listen(resident, child)
    const ready = await new Promise<string | undefined>((resolve) => {
      child.on('message', ({ ready: told, asked }: { ready?: string; asked?: string }) => {
        if (told !== undefined) resolve(told)
        if (asked !== undefined) this.seen.asked.set(asked, (this.seen.asked.get(asked) ?? 0) + 1)
      })
      child.once('exit', (code, signal) => {
        resolve(undefined)
        if (resident.child !== child || resident.ready === undefined || this.#isClosed) return
        this.seen.exited.push(`${kind} ${name}: ended with ${signal ?? code}`)
        resident.ready = undefined
        void this.start(resident)
      })
    })
    if (resident.child !== child) return
    resident.ready = ready
    if (ready === undefined && !this.#isClosed) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      await this.start(resident)
    }
  }

  async kill(resident: Resident): Promise<void> {
    const { child } = resident
    resident.ready = undefined
    resident.child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.residents.map((each) => this.kill(each)))
    for (const { link } of this.residents) link.close()
    await this.redis.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #listen({ kind, name }: Resident, { stderr }: ChildProcess): void {
    stderr?.setEncoding('utf8')
    stderr?.on('data', (text: string) => {
      if (/unhandled|UNHANDLED|triggerUncaughtException/.test(text))
        this.seen.unhandled.push(`${kind} ${name}: ${text.slice(0, 500)}`)
      if (process.env.STORMS_LOG !== undefined) process.stderr.write(text)
    })
  }
}
