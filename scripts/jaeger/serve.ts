import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Services } from '../services.ts'

/** A Jaeger that this process started. */
export interface OwnJaeger {
  /** Its page and query API. */
  readonly queryUrl: string
  /** Where spans go, by OTLP over HTTP. */
  readonly otlpUrl: string
  /** `GET /status` of it: 200 as long as it is well. */
  readonly healthUrl: string
  stop(): Promise<void>
}

/** Starts a Jaeger 2 on free ports, with its traces in memory. Throws with the end of its log when it does not start. */
export async function startJaeger(binary: string): Promise<OwnJaeger> {
  const [query, grpc, otlp, health] = await freeAddresses(4)
  const config = JSON.stringify(configuration({ query: query!, grpc: grpc!, otlp: otlp!, health: health! }))
  // Nothing is written to stderr unless it cannot start, and then the error of `start` has it.
  const services = new Services(() => {})
  await services.start('jaeger', [binary, '--config', `yaml:${config}`], (log) =>
    log.includes('Everything is ready') ? true : undefined,
  )
  return {
    queryUrl: `http://${query}`,
    otlpUrl: `http://${otlp}`,
    healthUrl: `http://${health}/status`,
    stop: () => {
      // On SIGTERM it takes 10 s to end, and what it has in memory is gone either way.
      services.kill()
      return services.stop()
    },
  }
}

type Addresses = Readonly<Record<'query' | 'grpc' | 'otlp' | 'health', string>>

/** What Jaeger starts with by itself, less the ports that no test uses, and without the batches that would delay spans. */
const configuration = ({ query, grpc, otlp, health }: Addresses) => ({
  service: {
    extensions: ['jaeger_storage', 'jaeger_query', 'healthcheckv2'],
    pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
    telemetry: { metrics: { level: 'none' }, logs: { output_paths: ['stdout'], error_output_paths: ['stderr'] } },
  },
  extensions: {
    jaeger_storage: { backends: { memory: { memory: { max_traces: 100_000 } } } },
    jaeger_query: { storage: { traces: 'memory' }, http: { endpoint: query }, grpc: { endpoint: grpc } },
    healthcheckv2: { use_v2: true, http: { endpoint: health } },
  },
  receivers: { otlp: { protocols: { http: { endpoint: otlp } } } },
  exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
})

/** Addresses of this machine that nothing listens on. All are held at once: they differ. */
async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const addresses = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return addresses
}
