import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
export const examplePipeline = fileURLToPath(new URL('../../examples/draft-refine.yaml', import.meta.url))

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves to what stdout holds so far, as soon as that has this text in it. */
  printed(text: string): Promise<string>
}

/** Starts the command line in a process of its own, in `folder`, with records there and no Ollama unless `env` names one. */
export const startCaesura = (
  folder: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
  stdin?: string,
): Started => startNode(folder, [main, ...args], env, stdin)

/** Starts a program on this Node, as `startCaesura` does. */
export function startNode(
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdin?: string,
): Started {
  const child = spawn(process.execPath, [...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      OLLAMA_HOST: 'http://127.0.0.1:9',
      CAESURA_RECORDS: 'runs.sqlite',
      ...env,
    },
  })
  let stdout = ''
  let stderr = ''
  const waiting = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
    for (const look of waiting) look()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  // A command that reads no stdin may be gone before it is written.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin ?? '')
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }))
  })
  return {
    child,
    ended,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (stdout.includes(text)) resolve(stdout)
        }
        waiting.add(look)
        look()
        void ended.then(() => reject(new Error(`ended without printing ${text}: ${stdout}${stderr}`)))
      }),
  }
}

export const caesura = (
  folder: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
  stdin?: string,
): Promise<Ended> => startCaesura(folder, args, env, stdin).ended
