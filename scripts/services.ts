import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** How long a process may take to end after SIGTERM, ms. */
const END_MS = 15_000

interface Service {
  readonly name: string
  readonly child: ChildProcess
}

/** Processes that are started one after the other and stopped in the opposite order. */
export class Services {
  readonly #running: Service[] = []
  readonly #hear: (line: string) => void
  #stopping = false

  /** `hear` is told what the processes write to stderr, a line at a time, and when one ends by itself. */
  constructor(hear: (line: string) => void) {
    this.#hear = hear
  }

  /** Starts a program; resolves to what `ready` makes of its stdout so far, as soon as that is something. Throws when it ends before. */
  async start<T>(
    name: string,
    [program, ...args]: readonly [string, ...string[]],
    ready: (stdout: string) => T | undefined,
    env: NodeJS.ProcessEnv = {},
  ): Promise<T> {
    // A group of its own: Ctrl-C in the terminal is for this process alone, which then stops the others in order.
    const child = spawn(program, args, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const service = { name, child }
    this.#running.push(service)
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-2000)
      for (const line of text.split('\n')) if (line.trim() !== '') this.#hear(`${name}: ${line}`)
    })
    const ended = once(child, 'close')
    ended.catch(() => undefined)
    void ended.then(
      ([code, signal]) => {
        this.#running.splice(this.#running.indexOf(service), 1)
        if (!this.#stopping) this.#hear(`${name}: ended (${signal ?? code})`)
      },
      () => undefined,
    )
    return new Promise((resolve, reject) => {
      let stdout = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
        const value = ready(stdout)
        if (value !== undefined) resolve(value)
      })
      const fail = () => reject(new Error(`${name} did not start: ${said.trim()}`))
      ended.then(fail, fail)
    })
  }

  /** Ends all at once. */
  kill(): void {
    this.#stopping = true
    for (const { child } of this.#running) child.kill('SIGKILL')
  }

  /** Stops all, the youngest first, each when the one before has ended. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const { child } of this.#running.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      const limit = setTimeout(() => child.kill('SIGKILL'), END_MS)
      await ended
      clearTimeout(limit)
    }
  }
}

/** The JSON document that a verb prints with `--json`, once it is whole. */
export function jsonDocument<T>(stdout: string): T | undefined {
  try {
    return JSON.parse(stdout) as T
  } catch {
    return undefined
  }
}
