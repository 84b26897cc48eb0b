import { z } from 'zod'
import { type RunEvent, runEventSchema } from '../../core/event.ts'
import { textFields } from '../../core/event-text.ts'
import { present } from '../../core/present.ts'
import { recordSchema } from '../../core/record.ts'
import { LONGEST_SESSION } from '../../core/session.ts'
import type { JsonSchema } from '../../policies/reading/policy-json-schema.ts'
import { PROBLEM_TYPE, problemSchema } from './problem.ts'
import type { Answer, Route } from './route.ts'
import {
  answerSchema,
  deadListSchema,
  deadRunSchema,
  droppedSchema,
  healthSchema,
  hearingSchema,
  nodeListSchema,
  pendingSchema,
  readySchema,
  retriedSchema,
  runIdPattern,
  runListSchema,
  runStateSchema,
  sessionDeletedSchema,
  sessionSchema,
  submittedSchema,
  turnBegunSchema,
  turnedSchema,
  turnPendingSchema,
} from './schemas.ts'

const reference = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

/** OpenAPI 3.1 takes JSON Schema 2020-12 as it is. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

const components = (): Record<string, JsonSchema> => ({
  ...Object.fromEntries(
    Object.entries({
      Problem: problemSchema,
      Record: recordSchema,
      RunState: runStateSchema,
      RunList: runListSchema,
      Submitted: submittedSchema,
      SignalAnswer: answerSchema,
      SignalPending: pendingSchema,
      HeardAnswer: hearingSchema,
      Cancelling: z.strictObject({ runId: z.string(), cancelling: z.literal(true) }),
      NodeList: nodeListSchema,
      DeadList: deadListSchema,
      DeadRun: deadRunSchema,
      Retried: retriedSchema,
      Dropped: droppedSchema,
      Health: healthSchema,
      Ready: readySchema,
      TurnBegun: turnBegunSchema,
      TurnPending: turnPendingSchema,
      Turned: turnedSchema,
      Session: sessionSchema,
      SessionDeleted: sessionDeletedSchema,
    }).map(([name, schema]) => [name, jsonSchema(schema, 'output')]),
  ),
  Event: eventSchema(),
  RecordOrState: { anyOf: [reference('Record'), reference('RunState')] },
  Document: { type: 'object' },
  Text: { type: 'string' },
})

/** To a token that may only read, events are told without their texts where texts are not kept. */
function eventSchema(): JsonSchema {
  const schema = jsonSchema(runEventSchema, 'output') as { oneOf?: Variant[]; anyOf?: Variant[] }
  for (const variant of schema.oneOf ?? schema.anyOf ?? []) {
    const text = textFields[variant.properties?.type?.const as RunEvent['type']]
    if (text !== undefined) variant.required = variant.required.filter((key) => key !== text)
  }
  return schema
}
interface Variant {
  readonly properties?: { readonly type?: { readonly const?: string } }
  required: string[]
}

/** What any route may answer. */
const common: Readonly<Record<number, string>> = {
  400: 'The request is malformed.',
  429: 'Too many requests; Retry-After says when.',
  503: 'Redis is away or the records file cannot be used, or no more runs are taken; Retry-After says when.',
}

/** The OpenAPI document of the routes, made from the schemas that requests are parsed with. */
export function openApi(routes: readonly Route[], server: { readonly version: string; readonly hasTokens: boolean }) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(id|session)/, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, server.hasTokens) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Caesura',
      version: server.version,
      description: 'Runs pipelines of LLM calls that can be interrupted.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components(),
      ...(server.hasTokens && { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } }),
    },
  }
}

function operationOf(route: Route, hasTokens: boolean): Record<string, unknown> {
  const isOpen = route.access === 'open'
  const body = route.body === undefined ? undefined : jsonSchema(route.body, 'input')
  const problems = {
    ...common,
    ...(hasTokens && !isOpen && { 401: 'A token is missing, or is none of this server.' }),
    ...(!isOpen && hasTokens && { 403: 'The role of the token does not allow it, or its tenant.' }),
    ...(!hasTokens && { 403: 'Not from this machine.' }),
    ...(route.path.includes(':id') && { 404: 'No run has this id.' }),
    ...(route.path.includes(':session') && { 404: 'There is no session of this id.' }),
    ...route.problems,
  }
  const answers = Object.entries(route.answers).map(([status, answer]) => [status, responseOf(answer)])
  const refusals = Object.entries(problems).map(([status, description]) => [
    status,
    responseOf({
      description,
      schema: 'Problem',
      types: [PROBLEM_TYPE],
      ...((status === '429' || status === '503') && { headers: { 'retry-after': 'Seconds.' } }),
    }),
  ])
  const parameters = parametersOf(route)
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: !route.isBodyOptional, content: { 'application/json': { schema: body } } },
    }),
    responses: Object.fromEntries([...answers, ...refusals]),
    security: isOpen || !hasTokens ? [] : [{ token: [] }],
  }
}

function responseOf({ description, schema, types = ['application/json'], headers = {} }: Answer) {
  const named = Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' } }])
  return {
    description,
    ...(named.length > 0 && { headers: Object.fromEntries(named) }),
    ...(schema !== undefined && {
      content: Object.fromEntries(types.map((type) => [type, { schema: streamed(type) ?? reference(schema) }])),
    }),
  }
}

/** OpenAPI 3.1 has no word for a stream; a client generator makes of these what it can. */
const streamed = (type: string): JsonSchema | undefined => streams[type]
const text = { type: 'string' }
const streams: Readonly<Record<string, JsonSchema>> = {
  'text/event-stream': {
    description:
      'One event of the stream: `data` is an Event as JSON, and `id` its number. The event `problem` ends it.',
    type: 'object',
    properties: { id: text, event: text, data: { ...text, contentMediaType: 'application/json' }, retry: {} },
  },
  'application/x-ndjson': {
    description: 'Each line is an Event; `{"type":"problem"}` ends the stream, and an empty line is a sign of life.',
  },
}

function parametersOf(route: Route): unknown[] {
  const query = route.query === undefined ? {} : jsonSchema(route.query, 'input')
  const { properties = {}, required = [] } = query as { properties?: Record<string, JsonSchema>; required?: string[] }
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string', pattern: runIdPattern.source } }
  const session = {
    ...{ name: 'session', in: 'path', required: true, description: "The session's id." },
    schema: { type: 'string', minLength: 1, maxLength: LONGEST_SESSION, pattern: '\\S' },
  }
  return [
    ...(route.path.includes(':id') ? [{ ...id, description: "The run's id." }] : []),
    ...(route.path.includes(':session') ? [session] : []),
    ...Object.entries(properties).map(([name, { description, ...schema }]) => ({
      ...{ name, in: 'query', required: required.includes(name), schema },
      ...present({ description }),
    })),
    ...Object.entries(route.headers ?? {}).map(([name, description]) => ({
      ...{ name, in: 'header', required: false, description, schema: headerSchemas[name] ?? { type: 'string' } },
    })),
  ]
}

const headerSchemas: Readonly<Record<string, JsonSchema>> = {
  'Idempotency-Key': { type: 'string', pattern: '^[!-~]{1,255}$' },
  'Last-Event-ID': { type: 'string', pattern: '^\\d{0,15}$' },
}
