import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'

export interface SpanSenderSettings {
  readonly exporter: SpanExporter
  /** Where it sends to, for what is logged. */
  readonly to: string
  /** Spans that may wait, of one request, and for how long they wait for others. */
  readonly mostWaiting: number
  readonly batch: number
  readonly delayMs: number
  /** Hears of it when spans can't be sent, once, and when they can be sent again. */
  readonly log: (line: string) => void
  /** Spans that were sent, or that were given up. */
  readonly count: (spans: number, fate: 'sent' | 'dropped') => void
}

/** Spans that are made when they are sent. */
export interface PlannedSpans {
  /** How many at most. */
  readonly count: number
  make(): ReadableSpan[]
  /** Called when they have arrived. */
  sent?(): void
}

/** After a failure the next try comes after this, then after twice as long, ms. */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

/**
 * Sends the spans of runs that have ended, in order, a request at a time. What waits is the record: its spans are made when their
 * request goes out, so a run pays nothing while it runs. A collector that is away costs no more memory than `mostWaiting` spans;
 * the oldest are given up first, and counted. OpenTelemetry's BatchSpanProcessor wants spans that are made already, and gives up each
 * batch whose request fails.
 */
export class SpanSender {
  readonly #settings: SpanSenderSettings
  readonly #waiting: PlannedSpans[] = []
  #spans = 0
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  /** Spans of the request that is under way. */
  #underWay = 0
  #pauseMs = 0
  /** The last request had no answer in time: there may be a collector all the same. */
  #isSlow = false
  #lost = 0
  #isOver = false
  #isGivenUp = false

  constructor(settings: SpanSenderSettings) {
    this.#settings = settings
  }

  /** Spans that have not arrived. */
  get waiting(): number {
    return this.#spans + this.#underWay
  }

  offer(planned: PlannedSpans): void {
    if (this.#isOver) {
      this.#drop(planned.count)
      return
    }
    this.#waiting.push(planned)
    this.#spans += planned.count
    while (this.#spans > this.#settings.mostWaiting) this.#drop(this.#next().count)
    this.#schedule()
  }

  /** Sends what waits, for at most `limitMs`; what is left then is given up. */
  async close(limitMs: number): Promise<void> {
    this.#isOver = true
    clearTimeout(this.#timer)
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), limitMs).unref())
    const flushed = (async () => {
      await this.#sending
      // A collector that was away may be back: it is asked once more. One that is there and slow is asked again until the time is over.
      do {
        if (this.#waiting.length > 0) await this.#send()
      } while (this.#waiting.length > 0 && !this.#isGivenUp && (this.#pauseMs === 0 || this.#isSlow))
    })()
    await Promise.race([flushed, late])
    this.#isGivenUp = true
    if (this.waiting > 0) {
      // Why is said already where a request has failed.
      if (this.#pauseMs === 0) this.#settings.log(`spans can't be sent to ${this.#settings.to}: no answer in time`)
      this.#drop(this.waiting)
      this.#waiting.length = 0
      this.#spans = 0
      this.#underWay = 0
    }
    await Promise.race([this.#settings.exporter.shutdown().catch(() => undefined), late])
  }

  #next(): PlannedSpans {
    const next = this.#waiting.shift()!
    this.#spans -= next.count
    return next
  }

  #drop(spans: number): void {
    this.#lost += spans
    this.#settings.count(spans, 'dropped')
  }

  #schedule(): void {
    if (this.#sending !== undefined || this.#isOver) return
    const { batch, delayMs } = this.#settings
    const isFull = this.#spans >= batch && this.#pauseMs === 0
    if (this.#timer !== undefined && !isFull) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        void this.#send()
      },
      isFull ? 0 : Math.max(delayMs, this.#pauseMs),
    ).unref()
  }

  #send(): Promise<void> {
    this.#sending ??= this.#sendBatch().finally(() => {
      this.#sending = undefined
      if (this.#waiting.length > 0) this.#schedule()
    })
    return this.#sending
  }

  async #sendBatch(): Promise<void> {
    const { batch, count, log, to } = this.#settings
    const taken: PlannedSpans[] = []
    const spans: ReadableSpan[] = []
    while (this.#waiting.length > 0 && spans.length < batch) {
      const next = this.#next()
      taken.push(next)
      spans.push(...next.make())
    }
    this.#underWay = spans.length
    const { code, error } = await this.#export(spans)
    if (this.#isGivenUp) return
    this.#underWay = 0
    if (code === ExportResultCode.SUCCESS) {
      count(spans.length, 'sent')
      for (const planned of taken) planned.sent?.()
      if (this.#pauseMs > 0) log(`spans are sent to ${to} again; ${this.#lost} were given up`)
      this.#pauseMs = 0
      this.#lost = 0
      return
    }
    if (this.#pauseMs === 0) log(`spans can't be sent to ${to}: ${reasonOf(error)}`)
    this.#isSlow = isTimeout(error)
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, this.#pauseMs * 2))
    // What a collector refuses for good, it would refuse again.
    if (isFinal(error)) {
      this.#drop(spans.length)
      return
    }
    this.#waiting.unshift(...taken)
    for (const planned of taken) this.#spans += planned.count
  }

  #export(spans: ReadableSpan[]): Promise<ExportResult> {
    return new Promise((resolve) => {
      try {
        this.#settings.exporter.export(spans, resolve)
      } catch (error) {
        resolve({ code: ExportResultCode.FAILED, error: error as Error })
      }
    })
  }
}

/** What a server answered, by HTTP's numbers or by gRPC's, which are smaller. */
const codeOf = (error: Error | undefined): number | undefined => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'number' ? code : undefined
}
const LEAST_HTTP_STATUS = 100
const DEADLINE_EXCEEDED = 4
/** `INVALID_ARGUMENT`, `NOT_FOUND`, `PERMISSION_DENIED`, `UNIMPLEMENTED`, `UNAUTHENTICATED`. */
const FINAL_IN_GRPC: readonly (number | undefined)[] = [3, 5, 7, 12, 16]

/** What an HTTP server answered; undefined where it did not. */
export const statusOf = (error: Error | undefined): number | undefined => {
  const code = codeOf(error)
  return code !== undefined && code >= LEAST_HTTP_STATUS ? code : undefined
}

function isFinal(error: Error | undefined): boolean {
  if (FINAL_IN_GRPC.includes(codeOf(error))) return true
  const status = statusOf(error)
  return status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429
}

/** Over HTTP OpenTelemetry's exporters say in words only that no answer came within their time. */
const isTimeout = (error: Error | undefined): boolean =>
  codeOf(error) === DEADLINE_EXCEEDED || (codeOf(error) === undefined && /\btimed? ?out\b/i.test(error?.message ?? ''))

/** Why an export failed, for people. */
export function reasonOf(error: Error | undefined): string {
  const status = statusOf(error)
  const causes = error instanceof AggregateError ? error.errors : [error]
  const said = causes.map((cause: unknown) => (cause instanceof Error ? cause.message : String(cause))).join(', ')
  return status === undefined ? said : `the collector answered ${status} (${said})`
}
