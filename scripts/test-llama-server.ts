import { provideLlamaServer } from './llama-server/provide.ts'
import { startLlamaServer } from './llama-server/serve.ts'
import { runAgainst } from './run-against.ts'

await runAgainst('test:llama-server', 'vitest.llama-server.config.ts', async ({ tell, onEnd }) => {
  const provided = await provideLlamaServer(tell)
  if (provided.kind === 'none') return { skipped: provided.reason }
  if (provided.kind === 'running') {
    tell(`using ${provided.url}`)
    return { env: { LLAMA_SERVER_URL: provided.url } }
  }
  const server = await startLlamaServer(provided.python)
  onEnd(() => server.stop())
  tell(`started a llama.cpp server on ${server.url}`)
  return { env: { LLAMA_SERVER_URL: server.url } }
})
