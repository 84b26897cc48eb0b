import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What a suite against a real server is told. */
export interface Run {
  tell(line: string): void
  /** Has something undone at the end, in reverse order, whatever happens. */
  onEnd(step: () => Promise<void>): void
}

/**
 * Runs the tests of one vitest configuration against a real server, with the arguments of this process. `start` provides the
 * server and says what the tests find in their environment, or why there is no server: then it is skipped, in one line.
 */
export async function runAgainst(
  name: string,
  config: string,
  start: (run: Run) => Promise<{ readonly env: Readonly<Record<string, string>> } | { readonly skipped: string }>,
): Promise<void> {
  const tell = (line: string) => console.log(`${name}: ${line}`)
  const undo: (() => Promise<void>)[] = []
  let vitest: ReturnType<typeof spawn> | undefined
  let stoppedBy: 'SIGINT' | 'SIGTERM' | undefined
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      stoppedBy ??= signal
      vitest?.kill(signal)
    })
  }
  const run = async (): Promise<number> => {
    const started = await start({ tell, onEnd: (step) => void undo.push(step) })
    if ('skipped' in started) {
      tell(`skipped: ${started.skipped}`)
      return 0
    }
    if (stoppedBy !== undefined) return 1
    const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', config, ...process.argv.slice(2)]
    return new Promise((resolve, reject) => {
      vitest = spawn(process.execPath, args, {
        cwd: root,
        env: { ...process.env, ...started.env },
        stdio: 'inherit',
      })
      vitest.on('error', reject)
      vitest.on('close', (status) => resolve(status ?? 1))
    })
  }
  try {
    process.exitCode = await run()
  } catch (error) {
    tell(`failed: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  } finally {
    for (const step of undo.reverse()) await step().catch((error: unknown) => tell(`clean-up: ${error}`))
    if (stoppedBy !== undefined) process.exitCode = stoppedBy === 'SIGINT' ? 130 : 143
  }
}
