import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ollamaUrl } from '../src/nodes/backends/ollama-url.ts'
import { importDemoModel } from './ollama/model.ts'
import { provideOllama } from './ollama/provide.ts'
import { startServer } from './ollama/serve.ts'
import { runAgainst } from './run-against.ts'

await runAgainst('test:ollama', 'vitest.ollama.config.ts', async ({ tell, onEnd }) => {
  const provided = await provideOllama(tell)
  if (provided.kind === 'none') return { skipped: provided.reason }
  let url: string
  if (provided.kind === 'running') url = ollamaUrl(provided.host)
  else {
    const folder = await mkdtemp(join(tmpdir(), 'caesura-ollama-'))
    onEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    const server = await startServer(provided.path, folder)
    onEnd(() => server.stop())
    url = server.url
  }
  tell(provided.kind === 'running' ? `using ${url}` : `started ${provided.path} on ${url}`)
  onEnd(await importDemoModel(url))
  return { env: { OLLAMA_HOST: url } }
})
