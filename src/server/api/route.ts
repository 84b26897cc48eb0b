import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { CaesuraError } from '../../core/errors.ts'
import { oneOrMany, parseWith, toErrors } from '../../core/problems.ts'
import type { Need } from './access.ts'
import { noQuerySchema, runIdPattern } from './schemas.ts'
import type { Role } from './tokens.ts'

/** An answer, for the OpenAPI document: a component's name, or none for an answer without a body. */
export interface Answer {
  readonly description: string
  readonly schema?: string
  /** `application/json` by default. */
  readonly types?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

interface RouteDefinition<Query, Body> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `:id` is a run's, `:session` a session's. */
  readonly path: string
  readonly operationId: string
  readonly summary: string
  /** `open` to anybody, or the role that its token needs: by default `read` to GET something, else `run`. */
  readonly access?: 'open' | Role
  /** About the whole fleet: not for a token of one tenant. */
  readonly isOfFleet?: boolean
  readonly query?: z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  /** Without a body is as with an empty one. */
  readonly isBodyOptional?: boolean
  /** Request headers, with what they say. */
  readonly headers?: Readonly<Record<string, string>>
  readonly answers: Readonly<Record<number, Answer>>
  /** The statuses of problems that only this route has, with when. */
  readonly problems?: Readonly<Record<number, string>>
  /** Resolves to the body; undefined where the reply was sent or is streamed. */
  handle(
    asked: { runId: string; query: Query; body: Body; request: FastifyRequest },
    reply: FastifyReply,
  ): Promise<unknown>
}

export interface Route extends Omit<RouteDefinition<unknown, unknown>, 'handle'> {
  /** Parses what was asked, then answers. Throws `CAESURA_E_USAGE`, and what the route throws. */
  handle(request: FastifyRequest, reply: FastifyReply): Promise<unknown>
}

/** What a route needs of a token; undefined where it needs none. */
export function needOf({ access, method, isOfFleet = false }: Route): Need | undefined {
  if (access === 'open') return undefined
  return { role: access ?? (method === 'GET' ? 'read' : 'run'), isOfFleet }
}

export const defineRoute = <Query = Record<string, never>, Body = undefined>(
  definition: RouteDefinition<Query, Body>,
): Route => ({
  ...definition,
  handle(request, reply) {
    const { query, body, isBodyOptional } = definition
    const given = request.body === undefined && isBodyOptional ? {} : request.body
    return definition.handle(
      {
        runId: runIdOf(request.params),
        query: (query === undefined ? read(noQuerySchema, request.query) : read(query, request.query)) as Query,
        body: (body === undefined ? undefined : read(body, given)) as Body,
        request,
      },
      reply,
    )
  },
})

function read<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = parseWith(schema, value)
  if ('value' in parsed) return parsed.value
  throw oneOrMany(toErrors(parsed.problems, 'CAESURA_E_USAGE'))
}

/** What can be no id is the id of no run. */
function runIdOf(params: unknown): string {
  const { id } = params as { id?: string }
  if (id === undefined || runIdPattern.test(id)) return id ?? ''
  throw new CaesuraError('CAESURA_E_RUN_UNKNOWN', 'no run has this id', {
    received: id.slice(0, 100),
    expected: '1 to 100 letters, digits, - or _',
  })
}
