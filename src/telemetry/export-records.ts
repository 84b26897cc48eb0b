import { withoutPassword } from '../core/address.ts'
import type { Environment } from '../core/environment.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunRecord } from '../core/record.ts'
import { spanExporter } from './exporters.ts'
import { Resources } from './resources.ts'
import { runSpans, spanCount } from './run-spans.ts'
import { isWeb, otlpUrl, telemetrySettings } from './settings.ts'
import { SpanSender } from './span-sender.ts'

/** How long a collector may take for all of it, ms. */
const LIMIT_MS = 30_000

/** Sends the spans of these records. Throws `CAESURA_E_USAGE` for a URL that is none. */
export async function sendRecords(
  records: readonly RunRecord[],
  place: {
    /** Of the collector, without `/v1/traces`. */
    readonly url: string
    readonly environment: Environment
    readonly version: string
    readonly log: (line: string) => void
  },
): Promise<{ readonly sent: number; readonly dropped: number }> {
  if (!isWeb(place.url))
    throw new CaesuraError('CAESURA_E_USAGE', 'this is no address of a collector', {
      received: withoutPassword(place.url),
      expected: 'an http or https URL, such as http://127.0.0.1:4318',
    })
  const settings = telemetrySettings(place.environment)
  const { service = 'caesura', longest, captureContent, tracesProtocol } = settings
  const url = tracesProtocol === 'grpc' ? place.url : otlpUrl(place.url, 'traces')
  // Of runs whose process did not trace: the same each time.
  const resources = new Resources({ ...place, service, instance: 'recorded' })
  const fates = { sent: 0, dropped: 0 }
  const sender = new SpanSender({
    exporter: (await spanExporter({ tracesUrl: url, tracesProtocol }))!,
    to: withoutPassword(place.url),
    mostWaiting: Number.POSITIVE_INFINITY,
    batch: settings.batch,
    delayMs: settings.delayMs,
    log: place.log,
    count: (spans, fate) => {
      fates[fate] += spans
    },
  })
  const spanSettings = { resources, longest, captureContent: captureContent.spans }
  for (const record of records) sender.offer({ count: spanCount(record), make: () => runSpans(record, spanSettings) })
  await sender.close(LIMIT_MS)
  return fates
}
