import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runSpans, spanCount } from '../../src/telemetry/run-spans.ts'
import { SpanSender } from '../../src/telemetry/span-sender.ts'
import { OtlpSink } from '../fixtures/otlp-sink.ts'
import { interruptedRun } from '../records.ts'
import { spanSettings } from './sent.ts'

let sink: OtlpSink
let lines: string[]
let fates: { sent: number; dropped: number }
let arrived: string[]
beforeEach(async () => {
  sink = new OtlpSink()
  await sink.up()
  lines = []
  fates = { sent: 0, dropped: 0 }
  arrived = []
})
afterEach(() => sink.down())

const count = spanCount(interruptedRun)
const senderOf = (more: Partial<ConstructorParameters<typeof SpanSender>[0]> = {}): SpanSender =>
  new SpanSender({
    exporter: new OTLPTraceExporter({ url: `${sink.url}/v1/traces`, timeoutMillis: 300 }),
    to: 'the sink',
    mostWaiting: 50_000,
    batch: 128,
    delayMs: 20,
    log: (line) => lines.push(line),
    count: (spans, fate) => {
      fates[fate] += spans
    },
    ...more,
  })
const offer = (sender: SpanSender, runId: string) =>
  sender.offer({
    count,
    make: () => runSpans({ ...interruptedRun, runId }, spanSettings),
    sent: () => arrived.push(runId),
  })

/** One that gives a request up early, and one that a busy machine does not make give up. */
const impatient = () => new OTLPTraceExporter({ url: `${sink.url}/v1/traces`, timeoutMillis: 200 })
const patient = () => new OTLPTraceExporter({ url: `${sink.url}/v1/traces`, timeoutMillis: 30_000 })

describe('a burst', () => {
  it('of 10,000 spans arrives whole, in bounded requests', async () => {
    const sender = senderOf({ exporter: patient() })
    const runs = Math.ceil(10_000 / count)
    for (let run = 0; run < runs; run++) offer(sender, `r${run}`)
    await sender.close(30_000)
    expect(fates).toEqual({ sent: runs * count, dropped: 0 })
    expect(new Set(sink.spans.map(({ spanId }) => spanId)).size).toBe(runs * count)
    expect(arrived).toHaveLength(runs)
    expect(Math.max(...sink.requests.map(({ bytes }) => bytes))).toBeLessThan(1_000_000)
    expect(lines).toEqual([])
  }, 60_000)

  it('beyond what may wait gives the oldest up, and counts them', async () => {
    const sender = senderOf({
      exporter: patient(),
      mostWaiting: 10 * count,
      delayMs: 60_000,
      batch: 1_000_000,
    })
    for (let run = 0; run < 25; run++) offer(sender, `r${run}`)
    expect(sender.waiting).toBe(10 * count)
    expect(fates.dropped).toBe(15 * count)
    await sender.close(30_000)
    expect(arrived).toEqual(Array.from({ length: 10 }, (_, index) => `r${index + 15}`))
  })
})

describe('a collector that is slow', () => {
  it('once, when the process ends, costs no span while there is time', async () => {
    sink.behave('hold')
    const sender = senderOf({ exporter: impatient(), delayMs: 60_000, batch: 2 * count })
    for (let run = 0; run < 6; run++) offer(sender, `r${run}`)
    const closed = sender.close(30_000)
    await sink.until(() => sink.requests.length > 0)
    await expect.poll(() => lines, { timeout: 20_000 }).toHaveLength(1)
    sink.behave('take')
    await closed
    expect(fates).toEqual({ sent: 6 * count, dropped: 0 })
    expect(arrived).toEqual(Array.from({ length: 6 }, (_, run) => `r${run}`))
  }, 60_000)

  it('for ever keeps a process no longer than its limit', async () => {
    sink.behave('hold')
    const sender = senderOf({ exporter: impatient(), delayMs: 60_000 })
    offer(sender, 'r')
    await sender.close(700)
    expect(fates).toEqual({ sent: 0, dropped: count })
  })
})

describe('a collector that is away', () => {
  it('costs one warning, bounded memory and no span that still fits; one line says that it is back', async () => {
    await sink.down()
    const sender = senderOf({ mostWaiting: 40 * count })
    for (let run = 0; run < 30; run++) offer(sender, `r${run}`)
    await expect.poll(() => lines.length, { timeout: 20_000 }).toBe(1)
    expect(lines[0]).toMatch(/^spans can't be sent to the sink: /)
    for (let run = 30; run < 50; run++) offer(sender, `r${run}`)
    expect(sender.waiting).toBeLessThanOrEqual(40 * count)
    await sink.up()
    await expect.poll(() => arrived.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(40)
    await sender.close(10_000)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatch(/again; \d+ were given up$/)
    expect(fates.sent + fates.dropped).toBe(50 * count)
    expect(arrived.at(-1)).toBe('r49')
  }, 60_000)

  it('and is back when the process ends gets what waits', async () => {
    await sink.down()
    const sender = senderOf()
    offer(sender, 'r')
    await expect.poll(() => lines.length, { timeout: 20_000 }).toBe(1)
    await sink.up()
    await sender.close(10_000)
    expect(fates).toEqual({ sent: count, dropped: 0 })
  }, 60_000)

  it('that takes requests and never answers does not keep a process that ends', async () => {
    sink.behave('hold')
    const sender = senderOf({ exporter: new OTLPTraceExporter({ url: `${sink.url}/v1/traces` }) })
    offer(sender, 'r')
    offer(sender, 's')
    await sender.close(200)
    expect(lines).toEqual([`spans can't be sent to the sink: no answer in time`])
    expect(fates).toEqual({ sent: 0, dropped: 2 * count })
  })

  it('that never comes back does not keep a process that ends', async () => {
    await sink.down()
    const sender = senderOf({ delayMs: 60_000 })
    offer(sender, 'r')
    await sender.close(50)
    expect(fates).toEqual({ sent: 0, dropped: count })
    expect(lines).toEqual([expect.stringMatching(/^spans can't be sent to the sink: .*ECONNREFUSED/)])
    offer(sender, 'late')
    expect(fates.dropped).toBe(2 * count)
  })
})

it('what a collector refuses for good is not sent again', async () => {
  sink.behave('bad-request')
  const sender = senderOf()
  offer(sender, 'r')
  await expect.poll(() => fates.dropped, { timeout: 20_000 }).toBe(count)
  expect(lines[0]).toMatch(/the collector answered 400/)
  expect(sink.requests).toHaveLength(1)
  await sender.close(1000)
})

it('a collector that is busy gets them later', async () => {
  sink.behave({ retryAfterSeconds: 1 })
  const sender = senderOf()
  offer(sender, 'r')
  await expect.poll(() => lines.length, { timeout: 20_000 }).toBe(1)
  sink.behave('take')
  await expect.poll(() => arrived, { timeout: 20_000 }).toEqual(['r'])
  expect(fates).toEqual({ sent: count, dropped: 0 })
  await sender.close(1000)
}, 60_000)
