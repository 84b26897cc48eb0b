import { provideJaeger } from './jaeger/provide.ts'
import { startJaeger } from './jaeger/serve.ts'
import { runAgainst } from './run-against.ts'

await runAgainst('test:jaeger', 'vitest.jaeger.config.ts', async ({ tell, onEnd }) => {
  const provided = await provideJaeger(tell)
  if (provided.kind === 'none') return { skipped: provided.reason }
  if (provided.kind === 'running') tell(`using ${provided.queryUrl}, and ${provided.otlpUrl} for OTLP`)
  const server = provided.kind === 'running' ? provided : await startJaeger(provided.path)
  if ('stop' in server) {
    onEnd(() => server.stop())
    tell(`started Jaeger on ${server.queryUrl}, OTLP on ${server.otlpUrl}`)
  }
  return { env: { JAEGER_QUERY_URL: server.queryUrl, OTEL_EXPORTER_OTLP_ENDPOINT: server.otlpUrl } }
})
