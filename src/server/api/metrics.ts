import type { ScrapedFigures } from '../../core/figures.ts'
import type { RunHost } from '../../core/run-host.ts'

/** What the API counts. */
export interface ApiMetrics {
  submitted(pipeline: string): void
  streamOpened(format: string): void
  streamClosed(format: string): void
  /** `ms` is absent for a stream. */
  answered(request: { route: string; method: string; status: number; ms?: number }): void
  /** Prometheus text. */
  text(): Promise<string>
  readonly contentType: string
  /** The server has stopped. */
  close(): void
}

/** What the API counts itself, beside what the host of the runs tells. */
export function apiMetrics(figures: ScrapedFigures, runs: RunHost): ApiMetrics {
  const streams = new Map<string, number>()
  const change = (format: string, by: number) => streams.set(format, (streams.get(format) ?? 0) + by)
  const ends = [
    figures.watch(() => ({
      'caesura.streams': [...streams].map(([format, value]) => ({ value, labels: { format } })),
    })),
    runs.watch(figures),
  ]
  return {
    contentType: figures.contentType,
    submitted: (pipeline) => figures.count('caesura.runs.submitted', { pipeline }),
    streamOpened: (format) => change(format, 1),
    streamClosed: (format) => change(format, -1),
    answered({ route, method, status, ms }) {
      figures.count('caesura.http.requests', { route, method, status: String(status) })
      if (ms !== undefined) figures.time('caesura.http.request', ms, { route })
    },
    text: () => figures.text(),
    close() {
      for (const end of ends) end()
    },
  }
}
