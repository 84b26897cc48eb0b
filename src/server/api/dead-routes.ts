import { CaesuraError } from '../../core/errors.ts'
import { Refusal } from './problem.ts'
import { defineRoute, type Route } from './route.ts'
import type { ApiContext } from './settings.ts'

const UNKNOWN = { 404: 'No run of this id was put aside.' }

/** The runs that the fleet put aside, as `caesura dead` has them. */
export function deadRoutes({ runs }: ApiContext): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/dead',
      operationId: 'listDead',
      summary: 'What the fleet put aside, newest first: at most 1,000.',
      access: 'admin',
      isOfFleet: true,
      answers: { 200: { description: 'The list.', schema: 'DeadList' } },
      handle: async () => ({ dead: await runs.dead() }),
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/dead/:id',
      operationId: 'readDead',
      summary: 'A run that was put aside, and why.',
      access: 'admin',
      isOfFleet: true,
      answers: { 200: { description: 'The entry, with what is still known of the run.', schema: 'DeadRun' } },
      problems: UNKNOWN,
      handle: ({ runId }) => runs.deadRun(runId),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/dead/:id/retry',
      operationId: 'retryDead',
      summary: 'Starts the run again from its beginning, under a new id, and takes the old one off the list.',
      access: 'admin',
      isOfFleet: true,
      answers: {
        201: { description: 'The new run is safe.', schema: 'Retried', headers: { location: 'Of the new run.' } },
      },
      problems: {
        ...UNKNOWN,
        413: 'The body is too large; none is needed.',
        415: 'The body is no JSON; none is needed.',
        422: 'What it was to run cannot be read; it stays on the list.',
      },
      async handle({ runId: insteadOf }, reply) {
        const { runId, traceId } = await runs.retryDead(insteadOf).catch(unreadable)
        return reply.status(201).header('location', `/v1/runs/${runId}`).send({ runId, traceId, insteadOf })
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/v1/dead/:id',
      operationId: 'dropDead',
      summary: 'Takes a run off the list. Nothing else becomes of it.',
      access: 'admin',
      isOfFleet: true,
      answers: { 200: { description: 'It is off the list.', schema: 'Dropped' } },
      problems: UNKNOWN,
      async handle({ runId }) {
        const dropped = await runs.dropDead(runId)
        if (dropped) return { runId, dropped }
        throw new CaesuraError('CAESURA_E_RUN_UNKNOWN', 'no run of this id was put aside', { received: runId })
      },
    }),
  ]
}

/** No fault of this server: the request cannot be done to this run. */
function unreadable(error: unknown): never {
  if (error instanceof CaesuraError && error.code === 'CAESURA_E_STATE') throw new Refusal(422, error)
  throw error
}
