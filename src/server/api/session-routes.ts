import type { FastifyRequest } from 'fastify'
import { present } from '../../core/present.ts'
import { checkSession, type KeptSession, unknownSession } from '../../core/session.ts'
import { tenantOf } from './access.ts'
import { defineRoute, type Route } from './route.ts'
import { turnRequestSchema } from './schemas.ts'
import type { ApiContext } from './settings.ts'
import { pipelineNames } from './start-route.ts'
import { pipelineOf } from './submit.ts'

/** Conversations: their inputs, their turns, and how they are deleted. */
export function sessionRoutes(context: ApiContext): Route[] {
  const { runs, settings, metrics, times } = context

  /** A session that this caller may see. Throws `CAESURA_E_SESSION_UNKNOWN` for one of another tenant, as for one that there is not. */
  async function visible(id: string, request: FastifyRequest): Promise<KeptSession> {
    const kept = await runs.session(id)
    const { tenant } = context.callerOf(request)
    if (kept === undefined || (tenant !== undefined && tenant !== kept.tenant)) throw unknownSession(id)
    return kept
  }

  return [
    defineRoute({
      method: 'POST',
      path: '/v1/sessions/:session/turns',
      operationId: 'say',
      summary:
        'An input of a session: a new run, or a signal to its live one. None is lost: what no visit saw is the next run.',
      body: turnRequestSchema(pipelineNames(settings)),
      answers: {
        200: { description: 'It was a signal to the live run, and this was decided.', schema: 'Turned' },
        201: {
          description: 'It is a run, which has begun or waits for the live one. It is safe.',
          schema: 'TurnBegun',
          headers: { location: 'Of the run.' },
        },
        202: {
          description: 'It is a signal to the live run, and safe; nothing is decided yet.',
          schema: 'TurnPending',
        },
      },
      problems: {
        403: 'Only pipelines by name.',
        409: 'A run of the session is live, and `busy` is `reject`.',
        413: 'The body is too large.',
        415: 'The body is no JSON.',
      },
      async handle({ body, request }, reply) {
        const session = sessionOf(request)
        const pipeline = pipelineOf(body.pipeline, settings)
        const caller = context.callerOf(request)
        const { input, vars = {}, priority = 0, busy, tags } = body
        // Whom a session counts for is asked only where neither the token nor the request says it.
        const tenant = tenantOf(caller, body.tenant) ?? ((await runs.session(session))?.tenant || undefined)
        const opened = settings.openRequest?.({
          method: 'POST',
          route: '/v1/sessions/:session/turns',
          headers: request.headers,
        })
        const asked = { input, vars, priority, models: settings.models ?? {}, session }
        const more = present({ busy, tags, tenant, submittedBy: caller.name, trace: opened?.trace })
        const { became, runId, ...rest } = await runs.say(pipeline, { ...asked, ...more }, times.decisionMs)
        opened?.end({ status: became === 'signal' ? 200 : 201 })
        if (became !== 'signal') {
          metrics.submitted(settings.pipelines.get(pipeline.name) === pipeline ? pipeline.name : '(inline)')
          reply.header('location', `/v1/runs/${runId}`)
          return reply.status(201).send({ runId, became, pipeline: pipeline.name, ...rest })
        }
        const { answer, ...signal } = rest as { readonly answer?: object }
        if (answer === undefined) return reply.status(202).send({ runId, became, ...signal, pending: true })
        return { runId, became, ...signal, ...answer }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/sessions/:session',
      operationId: 'readSession',
      summary:
        'The turns of a session, oldest first. Without their texts, to a token that may only read, where texts are not kept.',
      answers: { 200: { description: 'The turns.', schema: 'Session' } },
      async handle({ request }) {
        const session = sessionOf(request)
        const { tenant, turns } = await visible(session, request)
        const isHidden = settings.withoutText !== undefined && context.callerOf(request).role === 'read'
        const shown = isHidden ? turns.map(({ input: _, text: __, ...turn }) => turn) : turns
        return { session, ...(tenant !== '' && { tenant }), turns: shown }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/v1/sessions/:session',
      operationId: 'deleteSession',
      summary: 'Deletes the turns of a session, cancels what is live in it, and drops what waits.',
      answers: { 200: { description: 'Nothing of it is kept any more.', schema: 'SessionDeleted' } },
      async handle({ request }) {
        const session = sessionOf(request)
        const isDeleted = await runs.deleteSession(session, context.callerOf(request).tenant)
        if (!isDeleted) throw unknownSession(session)
        return { session, deleted: true }
      },
    }),
  ]
}

/** Throws `CAESURA_E_USAGE` for what can be no id of a session. */
function sessionOf({ params }: FastifyRequest): string {
  const { session } = params as { readonly session?: unknown }
  checkSession(session)
  return session
}
