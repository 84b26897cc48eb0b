import type { CounterName, GaugeName, TimerName } from '../core/figures.ts'
import { attribute as key } from './semconv.ts'

/**
 * Every metric, by its name: with its unit, its labels and what it says. For Prometheus `.` becomes `_`, seconds are named in it, and a
 * counter ends in `_total`, as Prometheus itself names what is pushed to it.
 */
export interface MetricRow {
  readonly kind: 'counter' | 'histogram' | 'gauge'
  /** UCUM: `s`, or what is counted in braces; '' for 0 and 1. */
  readonly unit: string
  readonly labels: readonly string[]
  readonly says: string
  /** Upper bounds, where histograms are not exponential. */
  readonly buckets?: readonly number[]
}

/** Series of one metric. Whatever is more goes into one series with `otel.metric.overflow="true"`. */
export const MOST_SERIES = 2000
/** The longest value of a label, UTF-16 units. */
export const LONGEST_LABEL = 200

const doubling = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => Number((first * 2 ** index).toPrecision(12)))

/** Those of the GenAI conventions: .01, .02, .04 … 81.92 s. */
export const GEN_AI_SECONDS = doubling(0.01, 14)
const GEN_AI_TOKENS = Array.from({ length: 14 }, (_, index) => 4 ** index)
/** An interrupt may be answered within one token: from 1.25 ms. */
const INTERRUPT_SECONDS = [...doubling(0.00125, 3), ...doubling(0.01, 14)]
const PHASE_SECONDS = [0.0001, 0.0003, ...INTERRUPT_SECONDS]
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const REDIS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5]

const ofCall = [key.operationName, key.providerName, key.requestModel] as const
const ofInterrupt = [key.response, key.decision, key.requestModel] as const
const ofCost = [key.requestModel, key.policy, key.settlement] as const
const ofNode = ['node', 'pool'] as const

const histogram = (buckets: readonly number[], labels: readonly string[], says: string, unit = 's'): MetricRow => ({
  kind: 'histogram',
  unit,
  labels,
  says,
  buckets,
})
const counter = (unit: string, labels: readonly string[], says: string): MetricRow => ({
  kind: 'counter',
  unit,
  labels,
  says,
})
const gauge = (unit: string, labels: readonly string[], says: string): MetricRow => ({
  kind: 'gauge',
  unit,
  labels,
  says,
})

const ofRuns = {
  'gen_ai.workflow.duration': histogram(
    GEN_AI_SECONDS,
    [key.workflowName, key.outcome, key.errorType],
    'A run, from its start to its end.',
  ),
  'gen_ai.client.operation.duration': histogram(
    GEN_AI_SECONDS,
    [...ofCall, key.settlement, key.errorType],
    'A call, from its slot (without one: from its start) until it has settled. Each call once, whatever became of it.',
  ),
  'gen_ai.client.operation.time_to_first_chunk': histogram(
    GEN_AI_SECONDS,
    [...ofCall, key.node],
    'From the slot of a call to its first token. Calls without a first token are not in it.',
  ),
  'gen_ai.client.operation.time_per_output_chunk': histogram(
    GEN_AI_SECONDS,
    [...ofCall, key.node],
    'Mean time between two tokens of a call, once a call. Calls of one token are not in it, nor those whose tokens came all at once.',
  ),
  'gen_ai.client.token.usage': histogram(
    GEN_AI_TOKENS,
    [...ofCall, key.tokenType, key.settlement],
    'Tokens of a call: input where the server reported it; output, of aborted calls too.',
    '{token}',
  ),
  'caesura.interrupts': counter(
    '{interrupt}',
    [key.interruptFate, key.response, key.decision, key.requestModel],
    'Interrupts that were handled, suppressed (a filter of the policy refused a signal) or superseded (a newer signal took its place).',
  ),
  'caesura.interrupt.to_first_token': histogram(
    INTERRUPT_SECONDS,
    ofInterrupt,
    'From an interrupt to the first token of the next stage. Interrupts without one are only in caesura.interrupts.',
  ),
  'caesura.interrupt.to_silence': histogram(
    INTERRUPT_SECONDS,
    ofInterrupt,
    'From the first signal of a gesture to the last text of the interrupted stage that was handed to readers; 0 where none came after it.',
  ),
  'caesura.interrupt.phase': histogram(
    PHASE_SECONDS,
    [key.phase, ...ofInterrupt],
    'The phases of the same interrupts: their sums add up to that of caesura.interrupt.to_first_token.',
  ),
  'caesura.tokens.generated': counter('{token}', ofCost, 'Tokens that calls generated.'),
  'caesura.tokens.wasted': counter(
    '{token}',
    ofCost,
    'Those of them that were neither carried on nor part of an answer that stood.',
  ),
  'caesura.slot.held': counter('s', ofCost, 'Time for which calls held a slot.'),
  'caesura.slot.wasted': counter('s', ofCost, 'The part of it after the last token that was used.'),
  'caesura.experiment.runs': counter(
    '{run}',
    [key.flagKey, key.flagVariant, key.exposed],
    'Runs that took part in an experiment; exposed (`true`): the arms could have done different things.',
  ),
} as const satisfies Record<string, MetricRow>

/** What `runMeasurements` takes of a record. */
export type RunMetricName = keyof typeof ofRuns

const ofProcesses = {
  'caesura.runs.submitted': counter('{run}', ['pipeline'], 'Runs that this server submitted.'),
  'caesura.http.requests': counter('{request}', ['route', 'method', 'status'], 'Requests answered.'),
  'caesura.http.request': histogram(
    REQUEST_SECONDS,
    ['route'],
    'From a request to the end of its answer; streams are left out.',
  ),
  'caesura.streams': gauge('{stream}', ['format'], 'Event streams that are open.'),
  'caesura.redis.round_trip': histogram(REDIS_SECONDS, [], 'PING to PONG.'),
  'caesura.redis.up': gauge('', [], '1 while Redis answers.'),
  'caesura.node.slots': gauge('{slot}', ofNode, 'Calls at once.'),
  'caesura.node.busy': gauge('{call}', ofNode, 'Calls that run.'),
  'caesura.node.up': gauge('', ofNode, '1 while the node takes calls.'),
  'caesura.queue.waiting': gauge('{ticket}', ['queue'], 'What waits: runs for a worker, calls for a pool or a node.'),
  'caesura.workers.up': gauge('{worker}', ['kind'], 'Workers that give signs of life: pipelines, stages.'),
  'caesura.runs.live': gauge('{run}', [], 'Runs that have not ended.'),
  'caesura.telemetry.spans': counter('{span}', ['fate'], 'Spans that were sent, or dropped.'),
  'caesura.telemetry.spans_waiting': gauge('{span}', [], 'Spans that wait to be sent.'),
  'caesura.telemetry.pushes': counter('{push}', ['fate'], 'Pushes of figures that were sent, or failed.'),
  'caesura.worker.up': gauge('', ofNode, '1 while this worker’s node takes calls.'),
  'caesura.worker.slots': gauge('{slot}', ofNode, 'Calls at once of this worker.'),
  'caesura.worker.busy': gauge('{call}', ofNode, 'Slots of this worker that are taken.'),
  'caesura.worker.waiting': gauge('{call}', ofNode, 'Calls that this worker has taken up and that wait for a slot.'),
  'caesura.worker.stuck': gauge(
    '',
    ofNode,
    '1 while a call has had nothing from the server for long, though others had.',
  ),
  'caesura.worker.calls': counter('{call}', [...ofNode, 'end'], 'Calls made: completed, cancelled or failed.'),
  'caesura.worker.lock_losses': counter(
    '{lock}',
    [],
    'Locks that could not be renewed; what they stood for goes elsewhere.',
  ),
  'caesura.worker.runs': gauge('{run}', [], 'Runs that this worker hosts.'),
  'caesura.worker.takeovers': counter('{run}', [], 'Runs taken over from another worker.'),
  'caesura.worker.handovers': counter('{run}', [], 'Runs handed over in good order as this worker stopped.'),
  'caesura.worker.refused_writes': counter(
    '{run}',
    [],
    'Runs lost because Redis refused their state: another worker has them.',
  ),
  'caesura.redis.refusals': counter(
    '{command}',
    ['refusal'],
    'Commands that Redis refused for now (`OOM`, `READONLY`, …) and that were sent again.',
  ),
  'caesura.worker.dead_runs': counter('{run}', [], 'Runs and tickets put aside because they could not be read.'),
  'caesura.model_server.slots': gauge('{slot}', [], 'Calls at once.'),
  'caesura.model_server.busy': gauge('{call}', [], 'Slots that are taken.'),
  'caesura.model_server.waiting': gauge('{call}', [], 'Calls that wait for a slot.'),
  'caesura.model_server.calls': counter('{call}', ['end'], 'Calls answered: completed, cancelled or failed.'),
} as const satisfies Record<CounterName | TimerName | GaugeName, MetricRow>

export const metricTable: Readonly<Record<MetricName, MetricRow>> = { ...ofRuns, ...ofProcesses }
export type MetricName = RunMetricName | keyof typeof ofProcesses

/** As Prometheus knows it; a histogram's series add `_bucket`, `_sum`, `_count`. */
export function prometheusName(name: string): string {
  const { kind, unit } = metricTable[name as MetricName]
  return `${scrapedName(name, unit)}${kind === 'counter' ? '_total' : ''}`
}

/** Without what a counter ends in. */
export const scrapedName = (name: string, unit: string): string =>
  `${name.replaceAll('.', '_')}${unit === 's' ? '_seconds' : ''}`
