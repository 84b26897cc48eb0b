import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { present } from '../../core/present.ts'
import type { JsonSchema } from '../../policies/reading/policy-json-schema.ts'
import { tenantOf } from './access.ts'
import { type StreamFormat, streamFormats } from './event-stream.ts'
import { misuse } from './problem.ts'
import { defineRoute, type Route } from './route.ts'
import { acceptedOf, streamRun } from './run-stream.ts'
import { type RunRequest, runRequestSchema } from './schemas.ts'
import type { ApiContext, ApiSettings } from './settings.ts'
import { idsOfKey, pipelineOf, plannedIn } from './submit.ts'

const CREATED = { location: 'Of the run.', 'idempotency-replayed': '`true` where the key had been used before.' }

/** Starts runs, with or without a stream of their events. */
export function startRoute(context: ApiContext): Route {
  const { runs, settings } = context
  return defineRoute({
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
    body: runRequestSchema(pipelineNames(settings)),
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
      const { runId, traceId, pipeline: name, isNew } = await submit(context, body, request)
      reply.header('location', `/v1/runs/${runId}`)
      if (!isNew) reply.header('idempotency-replayed', 'true')
      if (type === 'application/json') return reply.status(201).send({ runId, traceId, pipeline: name })
      const format = type as StreamFormat
      const end = await streamRun(context, reply, { runId, after: 0, status: 201, format, isTextHidden: false })
      if (end === 'left' && body.cancelOnDisconnect) {
        await runs.leave(runId, 'the client left')
      }
    },
  })
}

async function submit(context: ApiContext, body: RunRequest, request: FastifyRequest) {
  const { runs, settings, metrics } = context
  const { pipelines } = settings
  const chosen = pipelineOf(body.pipeline, settings)
  const signals = plannedIn(body, chosen)
  const key = request.headers['idempotency-key']
  const caller = context.callerOf(request)
  const ids = key === undefined ? undefined : idsOfKey(String(key), caller.id, body)
  const { input, vars = {}, priority = 0 } = body
  const tenant = tenantOf(caller, body.tenant)
  const runId = ids?.runId ?? body.runId
  const opened = settings.openRequest?.({ method: 'POST', route: '/v1/runs', headers: request.headers })
  const made = await runs.submit(chosen, {
    ...{ input, vars, signals, priority, models: settings.models ?? {} },
    ...present({
      runId,
      fingerprint: ids?.fingerprint,
      tenant,
      submittedBy: caller.name,
      session: body.session,
      pace: body.pace,
      tags: body.tags,
      experiment: body.experiment,
      trace: opened?.trace,
    }),
  })
  if (made.isNew) opened?.end({ status: 201 })
  if (made.isNew) metrics.submitted(pipelines.get(chosen.name) === chosen ? chosen.name : '(inline)')
  else if (ids === undefined) {
    throw misuse(409, 'a run has this id already', { path: 'runId', received: made.runId })
  } else if ((await runs.fingerprintOf(made.runId)) !== ids.fingerprint) {
    throw misuse(422, 'this Idempotency-Key was used with another body', {
      hint: 'Send what was sent before, or use a new key.',
    })
  }
  return { ...made, pipeline: chosen.name }
}

/** `pipelineOf` checks the value; the document says what is right. */
export function pipelineNames({ pipelines, define, pipelineJsonSchema = {} }: ApiSettings): z.ZodType {
  const names: JsonSchema = { type: 'string', ...(pipelines.size > 0 && { enum: [...pipelines.keys()] }) }
  return z
    .custom((value) => value !== undefined, { error: 'is missing', params: { expected: "a pipeline's name" } })
    .meta(define === undefined ? names : { anyOf: [names, pipelineJsonSchema] })
}
