import { defineRoute, type Route } from './route.ts'
import type { ApiContext } from './settings.ts'

/** How long it may take to find out whether the server is ready, ms. */
const READY_MS = 800

export function fleetRoutes({ runs, metrics, settings }: ApiContext, document: () => unknown): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/nodes',
      operationId: 'listNodes',
      summary: 'Who serves calls now.',
      access: 'admin',
      isOfFleet: true,
      answers: { 200: { description: 'By name.', schema: 'NodeList' } },
      handle: async () => ({ nodes: await runs.nodes() }),
    }),
    defineRoute({
      method: 'GET',
      path: '/healthz',
      operationId: 'health',
      summary: 'Whether the process is there.',
      access: 'open',
      answers: { 200: { description: 'It is.', schema: 'Health' } },
      handle: async () => ({ status: 'ok', version: settings.version }),
    }),
    defineRoute({
      method: 'GET',
      path: '/readyz',
      operationId: 'readiness',
      summary: 'Whether the server can work: whether Redis answers, or the records file where there is no Redis.',
      access: 'open',
      answers: { 200: { description: 'It can.', schema: 'Ready' } },
      async handle() {
        await runs.ready(READY_MS)
        return { status: 'ready' }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/metrics',
      operationId: 'metrics',
      summary: 'Figures for Prometheus.',
      isOfFleet: true,
      answers: { 200: { description: 'Prometheus text.', schema: 'Text', types: ['text/plain'] } },
      async handle(_, reply) {
        return reply.type(metrics.contentType).send(await metrics.text())
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/openapi.json',
      operationId: 'openapi',
      summary: 'This document.',
      access: 'open',
      answers: { 200: { description: 'OpenAPI 3.1.', schema: 'Document' } },
      handle: async () => document(),
    }),
  ]
}
