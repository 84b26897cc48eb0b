import { rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { onPath, run } from '../processes.ts'

/** A llama.cpp server for tests: one that runs already, a Python that can start one, or the reason why there is none. */
export type Provided =
  | { readonly kind: 'running'; readonly url: string }
  | { readonly kind: 'python'; readonly python: string }
  | { readonly kind: 'none'; readonly reason: string }

/** llama.cpp b11549. */
const PACKAGE = 'xllamacpp==2026.10.11549'

const venv = (): string => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'caesura-test', 'xllamacpp')

/**
 * Looks for a llama.cpp server: `LLAMA_SERVER_URL`, the package `xllamacpp` in the cache folder; else installs that where
 * Python is present (34 MB, seconds). `tell` gets progress lines.
 */
export async function provideLlamaServer(tell: (line: string) => void): Promise<Provided> {
  const url = process.env.LLAMA_SERVER_URL
  if (url !== undefined && url !== '') return { kind: 'running', url }
  const python = join(venv(), 'bin', 'python')
  if (await works(python)) return { kind: 'python', python }
  const system = await onPath('python3')
  if (system === undefined)
    return { kind: 'none', reason: 'no LLAMA_SERVER_URL, and no python3 to install a server with' }
  try {
    tell(`installing ${PACKAGE} into ${venv()}, once`)
    await rm(venv(), { recursive: true, force: true })
    await run(system, ['-m', 'venv', venv()], {})
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PACKAGE], {})
    if (await works(python)) return { kind: 'python', python }
    return { kind: 'none', reason: `${PACKAGE} does not load on this machine` }
  } catch (error) {
    return { kind: 'none', reason: `installing ${PACKAGE} failed: ${error instanceof Error ? error.message : error}` }
  }
}

const works = (python: string): Promise<boolean> =>
  run(python, ['-c', 'import xllamacpp'], {}).then(
    () => true,
    () => false,
  )
