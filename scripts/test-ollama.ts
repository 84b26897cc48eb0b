import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ollamaUrl } from '../src/backends/ollama-url.ts'
import { importDemoModel } from './ollama/model.ts'
import { provideOllama } from './ollama/provide.ts'
import { startServer } from './ollama/serve.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const tell = (line: string) => console.log(`test:ollama: ${line}`)

/** Undone in reverse order, whatever happens. */
const undo: (() => Promise<void>)[] = []
let vitest: ReturnType<typeof spawn> | undefined
let stoppedBy: 'SIGINT' | 'SIGTERM' | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stoppedBy ??= signal
    vitest?.kill(signal)
  })
}

async function main(): Promise<number> {
  const provided = await provideOllama(tell)
  if (provided.kind === 'none') {
    tell(`skipped: ${provided.reason}`)
    return 0
  }
  let url: string
  if (provided.kind === 'running') url = ollamaUrl(provided.host)
  else {
    const folder = await mkdtemp(join(tmpdir(), 'caesura-ollama-'))
    undo.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    const server = await startServer(provided.path, folder)
    undo.push(() => server.stop())
    url = server.url
  }
  tell(provided.kind === 'running' ? `using ${url}` : `started ${provided.path} on ${url}`)
  undo.push(await importDemoModel(url))
  if (stoppedBy !== undefined) return 1
  const args = ['run', '--config', 'vitest.ollama.config.ts', ...process.argv.slice(2)]
  return new Promise((resolve, reject) => {
    vitest = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
      cwd: root,
      env: { ...process.env, OLLAMA_HOST: url },
      stdio: 'inherit',
    })
    vitest.on('error', reject)
    vitest.on('close', (status) => resolve(status ?? 1))
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  tell(`failed: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  for (const step of undo.reverse()) await step().catch((error: unknown) => tell(`clean-up: ${error}`))
  if (stoppedBy !== undefined) process.exitCode = stoppedBy === 'SIGINT' ? 130 : 143
}
