import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { CaesuraError } from '../../core/errors.ts'
import type { RunEvent } from '../../core/event.ts'
import { type FleetRunLine, unknownRun } from '../../core/fleet.ts'
import type { JsonSchema } from '../../core/policy-json-schema.ts'
import { tenantOf } from './access.ts'
import { type StreamFormat, streamEvents, streamFormats } from './event-stream.ts'
import { misuse } from './problem.ts'
import { defineRoute, type Route } from './route.ts'
import {
  cancelQuerySchema,
  eventsQuerySchema,
  interruptRequestSchema,
  listQuerySchema,
  type RunRequest,
  type RunState,
  runRequestSchema,
} from './schemas.ts'
import type { ApiContext, ApiSettings } from './settings.ts'
import { checkSignals, idsOfKey, pipelineOf } from './submit.ts'

const CREATED = { location: 'Of the run.', 'idempotency-replayed': '`true` where the key had been used before.' }

export function runRoutes(context: ApiContext): Route[] {
  const { fleet, settings, metrics, times } = context
  const { pipelines } = settings
  const body = runRequestSchema(pipelineSchemaOf(settings))

  async function submit(body: RunRequest, request: FastifyRequest) {
    const chosen = pipelineOf(body.pipeline, settings)
    const signals = checkSignals(body.signals, chosen)
    const key = request.headers['idempotency-key']
    const caller = context.callerOf(request)
    const ids = key === undefined ? undefined : idsOfKey(String(key), caller.id, body)
    const { input, vars = {}, priority = 0 } = body
    const tenant = tenantOf(caller, body.tenant)
    const runId = ids?.runId ?? body.runId
    const opened = settings.openRequest?.({ method: 'POST', route: '/v1/runs', headers: request.headers })
    const made = await fleet.ask((reached) =>
      reached.submit(chosen, {
        ...{ input, vars, signals, priority, models: settings.models ?? {} },
        ...(runId !== undefined && { runId }),
        ...(ids !== undefined && { fingerprint: ids.fingerprint }),
        ...(tenant !== undefined && { tenant }),
        ...(caller.name !== undefined && { submittedBy: caller.name }),
        ...(body.session !== undefined && { session: body.session }),
        ...(body.experiment !== undefined && { experiment: body.experiment }),
        ...(opened?.trace !== undefined && { trace: opened.trace }),
      }),
    )
    if (made.isNew) opened?.end({ status: 201 })
    if (made.isNew) metrics.submitted(pipelines.get(chosen.name) === chosen ? chosen.name : '(inline)')
    else if (ids === undefined) {
      throw misuse(409, 'a run has this id already', { path: 'runId', received: made.runId })
    } else if ((await fleet.ask(() => settings.fingerprintOf(made.runId))) !== ids.fingerprint) {
      throw misuse(422, 'this Idempotency-Key was used with another body', {
        hint: 'Send what was sent before, or use a new key.',
      })
    }
    return { ...made, pipeline: chosen.name }
  }

  /** Where a run is that this caller may see. Throws `CAESURA_E_RUN_UNKNOWN` for one of another tenant, as for one that there is not. */
  async function visible(runId: string, request: FastifyRequest): Promise<FleetRunLine> {
    const line = await fleet.ask((reached) => reached.look(runId))
    const { tenant } = context.callerOf(request)
    if (tenant !== undefined && tenant !== line.tenant) throw unknownRun(runId)
    return line
  }

  /** A token that may only read sees texts where they are kept. */
  const isTextHidden = (request: FastifyRequest): boolean =>
    settings.withoutText !== undefined && context.callerOf(request).role === 'read'

  async function stream(
    reply: FastifyReply,
    run: { runId: string; after: number; status: number; isTextHidden: boolean },
    format: StreamFormat,
  ) {
    const { runId, after, status } = run
    const { raw } = reply
    const behind = context.streams.behind(reply.request)
    reply.hijack()
    const headers = {
      ...reply.getHeaders(),
      'content-type': format === 'text/event-stream' ? format : `${format}; charset=utf-8`,
      'cache-control': 'no-store',
      connection: 'close',
      // nginx would keep events back.
      'x-accel-buffering': 'no',
    }
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) raw.setHeader(name, value)
    raw.statusCode = status
    raw.flushHeaders()
    metrics.streamOpened(format)
    try {
      return await streamEvents(raw, {
        ...{ format, closing: context.closing, heartbeatMs: times.heartbeatMs, stallMs: times.stallMs },
        events(signal) {
          const events = fleet.fleet.events(runId, after, signal)
          return run.isTextHidden ? withoutTexts(events) : events
        },
        ...(behind !== undefined && { refused: behind }),
        hasMore: (lastSeq) => hasMore(runId, Math.max(after, lastSeq)),
      })
    } finally {
      metrics.streamClosed(format)
    }
  }

  /** While Redis is away there may be. */
  async function hasMore(runId: string, lastSeq: number): Promise<boolean> {
    try {
      const run = await fleet.ask((reached) => reached.look(runId))
      if (run.dead !== undefined) throw new CaesuraError('CAESURA_E_STATE', `the run was put aside: ${run.dead}`)
      return run.status !== 'ended' || run.seq > lastSeq
    } catch (error) {
      if (error instanceof CaesuraError && error.code === 'CAESURA_E_REDIS') return true
      throw error
    }
  }

  return [
    defineRoute({
      method: 'POST',
      path: '/v1/runs',
      operationId: 'startRun',
      summary: 'Starts a run. Streams its events where Accept asks for that.',
      headers: {
        'Idempotency-Key': 'The same key gives the same run, for as long as the run is kept.',
        traceparent: 'The trace that the run is to be part of, as the W3C has it; a malformed one counts for nothing.',
        tracestate: 'With traceparent: passed on.',
        baggage: 'With traceparent: passed on.',
      },
      body,
      answers: {
        201: {
          description: 'The run is safe.',
          schema: 'Submitted',
          types: ['application/json', ...streamFormats],
          headers: CREATED,
        },
      },
      problems: {
        403: 'Only pipelines by name.',
        406: 'Accept asks for what there is not.',
        409: '`runId` is the id of another run.',
        413: 'The body is too large.',
        415: 'The body is no JSON.',
        422: 'The Idempotency-Key was used with another body.',
      },
      async handle({ body, request }, reply) {
        const type = acceptedOf(request, ['application/json', ...streamFormats])
        if (type === 'application/json' && body.cancelOnDisconnect) {
          throw misuse(400, 'cancelOnDisconnect is of use with a streamed answer only', {
            path: 'cancelOnDisconnect',
            expected: `Accept: ${streamFormats.join(' or ')}`,
          })
        }
        const { runId, traceId, pipeline: name, isNew } = await submit(body, request)
        reply.header('location', `/v1/runs/${runId}`)
        if (!isNew) reply.header('idempotency-replayed', 'true')
        if (type === 'application/json') return reply.status(201).send({ runId, traceId, pipeline: name })
        const end = await stream(reply, { runId, after: 0, status: 201, isTextHidden: false }, type as StreamFormat)
        if (end === 'left' && body.cancelOnDisconnect) {
          await fleet.fleet.cancel(runId, 'the client left').catch(() => false)
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/runs',
      operationId: 'listRuns',
      summary: 'Runs, newest first: those that have not ended, then those that have.',
      query: listQuerySchema,
      answers: { 200: { description: 'A page.', schema: 'RunList' } },
      async handle({ query, request }) {
        const tenant = tenantOf(context.callerOf(request), query.tenant)
        const { runs, cursor } = await fleet.ask((reached) => reached.list(present({ ...query, tenant })))
        return { runs: runs.map(stateOf), ...(cursor !== undefined && { cursor }) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/runs/:id',
      operationId: 'readRun',
      summary: 'The record of a run that has ended, else where it is.',
      answers: { 200: { description: 'The record, or the state.', schema: 'RecordOrState' } },
      async handle({ runId, request }) {
        const line = await visible(runId, request)
        if (line.status !== 'ended') return stateOf(line)
        const run = await fleet.ask((reached) => reached.read(runId))
        if (run.record === undefined) return stateOf(run)
        return isTextHidden(request) ? settings.withoutText!(run.record) : run.record
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/runs/:id/events',
      operationId: 'readEvents',
      summary: 'The events of a run, from the first on or after one, as they come.',
      query: eventsQuerySchema,
      headers: { 'Last-Event-ID': 'The number of the last event that was seen.' },
      answers: {
        200: { description: 'Events until the end of the run.', schema: 'Event', types: streamFormats },
        204: { description: 'All was seen, and nothing will come any more.' },
      },
      problems: { 406: 'Accept asks for what there is not.' },
      async handle({ runId, query, request }, reply) {
        const format = acceptedOf(request, streamFormats) as StreamFormat
        const after = lastEventId(request.headers['last-event-id']) ?? query.after ?? 0
        const run = await visible(runId, request)
        if (after > run.seq) {
          throw misuse(400, 'the run has no such event yet', {
            path: 'after',
            received: String(after),
            expected: `a whole number from 0 to ${run.seq}`,
          })
        }
        if (run.status === 'ended' && run.dead === undefined && after === run.seq) return reply.status(204).send()
        await stream(reply, { runId, after, status: 200, isTextHidden: isTextHidden(request) }, format)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/runs/:id/interrupts',
      operationId: 'interruptRun',
      summary: 'Sends a signal, and waits a while for what is decided.',
      body: interruptRequestSchema,
      isBodyOptional: true,
      answers: {
        200: { description: 'What was decided.', schema: 'SignalAnswer' },
        202: { description: 'The signal is safe; nothing is decided yet.', schema: 'SignalPending' },
      },
      problems: { 409: 'The run has ended.', 413: 'The body is too large.', 415: 'The body is no JSON.' },
      async handle({ runId, body, request }, reply) {
        if (context.callerOf(request).tenant !== undefined) await visible(runId, request)
        const found = await fleet.askFor(times.decisionMs, (reached) => reached.interrupt(runId, present(body)))
        if (found === undefined) return reply.status(202).send({ runId, pending: true })
        const { value } = found
        if (!value.accepted && value.code !== undefined)
          throw new CaesuraError(value.code, value.reason, { received: runId })
        return value
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/v1/runs/:id',
      operationId: 'cancelRun',
      summary: 'Orders a run to end.',
      query: cancelQuerySchema,
      answers: { 202: { description: 'It will end as soon as its calls are settled.', schema: 'Cancelling' } },
      problems: { 409: 'The run has ended.' },
      async handle({ runId, query, request }, reply) {
        if (context.callerOf(request).tenant !== undefined) await visible(runId, request)
        const isOrdered = await fleet.ask((reached) => reached.cancel(runId, query.reason))
        if (!isOrdered) throw new CaesuraError('CAESURA_E_RUN_ENDED', 'the run has ended', { received: runId })
        return reply.status(202).send({ runId, cancelling: true })
      },
    }),
  ]
}

/** `pipelineOf` checks the value; the document says what is right. */
function pipelineSchemaOf({ pipelines, define, pipelineJsonSchema = {} }: ApiSettings): z.ZodType {
  const names: JsonSchema = { type: 'string', ...(pipelines.size > 0 && { enum: [...pipelines.keys()] }) }
  return z
    .custom((value) => value !== undefined, { error: 'is missing', params: { expected: "a pipeline's name" } })
    .meta(define === undefined ? names : { anyOf: [names, pipelineJsonSchema] })
}

function stateOf(run: FleetRunLine): RunState {
  const { runId, pipeline, status, submittedAt, tenant, seq, submittedBy, ended, dead } = run
  return {
    ...{ runId, pipeline, status, submittedAt, tenant, seq },
    ...(submittedBy !== undefined && { submittedBy }),
    ...(ended !== undefined && { outcome: ended.outcome, durationMs: ended.durationMs }),
    ...(dead !== undefined && { dead }),
  }
}

/** The same events, numbers and instants, without what people wrote and models answered. */
async function* withoutTexts(events: AsyncIterable<RunEvent>): AsyncGenerator<RunEvent, void, undefined> {
  for await (const event of events) {
    if (event.type === 'token') {
      const { text: _, ...rest } = event
      yield rest as RunEvent
    } else if (event.type === 'interrupt-signal') {
      const { input: _, ...rest } = event
      yield rest
    } else yield event
  }
}

/** Throws a `Refusal` (406). */
function acceptedOf(request: FastifyRequest, types: readonly string[]): string {
  const type = request.accepts().type([...types])
  if (typeof type === 'string') return type
  throw misuse(406, 'nothing that Accept asks for can be answered', {
    received: String(request.headers.accept),
    expected: types.join(' or '),
  })
}

/** What a browser sends of its own accord; it may be empty. Throws a `Refusal` (400). */
function lastEventId(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header)
  throw misuse(400, 'Last-Event-ID is no number of an event', { received: String(header), expected: 'a whole number' })
}

/** Without the keys whose value is undefined. */
const present = <T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
