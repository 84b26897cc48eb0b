import type { FastifyRequest } from 'fastify'
import { CaesuraError } from '../../core/errors.ts'
import { type FleetRunLine, unknownRun } from '../../core/fleet.ts'
import { present } from '../../core/present.ts'
import { eventsGone, type HostedRunLine } from '../../core/run-host.ts'
import { tenantOf } from './access.ts'
import { type StreamFormat, streamFormats } from './event-stream.ts'
import { misuse, Refusal } from './problem.ts'
import { defineRoute, type Route } from './route.ts'
import { acceptedOf, lastEventId, streamRun } from './run-stream.ts'
import {
  cancelQuerySchema,
  eventsQuerySchema,
  heardRequestSchema,
  interruptRequestSchema,
  listQuerySchema,
  type RunState,
} from './schemas.ts'
import type { ApiContext } from './settings.ts'

/** What is done to runs that there are; `startRoute` begins them. */
export function runRoutes(context: ApiContext): Route[] {
  const { runs, settings, times } = context

  /** Where a run is that this caller may see. Throws `CAESURA_E_RUN_UNKNOWN` for one of another tenant, as for one that there is not. */
  async function visible(runId: string, request: FastifyRequest): Promise<HostedRunLine> {
    const line = await runs.look(runId)
    const { tenant } = context.callerOf(request)
    if (tenant !== undefined && tenant !== line.tenant) throw unknownRun(runId)
    return line
  }

  /** A token that may only read sees texts where they are kept. */
  const isTextHidden = (request: FastifyRequest): boolean =>
    settings.withoutText !== undefined && context.callerOf(request).role === 'read'

  return [
    defineRoute({
      method: 'GET',
      path: '/v1/runs',
      operationId: 'listRuns',
      summary: 'Runs, newest first: those that have not ended, then those that have.',
      query: listQuerySchema,
      answers: { 200: { description: 'A page.', schema: 'RunList' } },
      async handle({ query, request }) {
        const tenant = tenantOf(context.callerOf(request), query.tenant)
        const { runs: page, cursor } = await runs.list(present({ ...query, tenant }))
        return { runs: page.map(stateOf), ...present({ cursor }) }
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
        const run = await runs.read(runId)
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
      problems: {
        406: 'Accept asks for what there is not.',
        410: 'The run has ended, and its events are kept no more. Its record is.',
      },
      async handle({ runId, query, request }, reply) {
        const format = acceptedOf(request, streamFormats) as StreamFormat
        const after = lastEventId(request.headers['last-event-id']) ?? query.after ?? 0
        const run = await visible(runId, request)
        if (run.eventsGone && after !== run.seq) throw new Refusal(410, eventsGone(runId))
        if (after > run.seq) {
          throw misuse(400, 'the run has no such event yet', {
            path: 'after',
            received: String(after),
            expected: `a whole number from 0 to ${run.seq}`,
          })
        }
        if (run.status === 'ended' && run.dead === undefined && after === run.seq) return reply.status(204).send()
        await streamRun(context, reply, { runId, after, status: 200, format, isTextHidden: isTextHidden(request) })
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
        const answer = await runs.interrupt(runId, present(body), times.decisionMs)
        if (answer === undefined) return reply.status(202).send({ runId, pending: true })
        if (!answer.accepted && answer.code !== undefined)
          throw new CaesuraError(answer.code, answer.reason, { received: runId })
        return answer
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/runs/:id/heard',
      operationId: 'heardOfRun',
      summary: 'Says what a user has heard or seen of the answer so far. It only rises, up to what was delivered.',
      body: heardRequestSchema,
      answers: { 200: { description: 'Whether it counts.', schema: 'HeardAnswer' } },
      problems: { 409: 'The run has ended.', 413: 'The body is too large.', 415: 'The body is no JSON.' },
      async handle({ runId, body, request }) {
        if (context.callerOf(request).tenant !== undefined) await visible(runId, request)
        const answer = await runs.heard(runId, present(body))
        if (!answer.accepted && answer.code !== undefined)
          throw new CaesuraError(answer.code, answer.reason, { received: runId })
        return answer
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
        const isOrdered = await runs.cancel(runId, query.reason)
        if (!isOrdered) throw new CaesuraError('CAESURA_E_RUN_ENDED', 'the run has ended', { received: runId })
        return reply.status(202).send({ runId, cancelling: true })
      },
    }),
  ]
}

function stateOf(run: FleetRunLine): RunState {
  const { runId, pipeline, status, submittedAt, tenant, seq, submittedBy, ended, dead } = run
  return {
    ...{ runId, pipeline, status, submittedAt, tenant, seq },
    ...present({ submittedBy }),
    ...(ended !== undefined && { outcome: ended.outcome, durationMs: ended.durationMs }),
    ...present({ dead }),
  }
}
