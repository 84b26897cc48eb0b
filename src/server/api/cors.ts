import corsPlugin from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { misuse } from './problem.ts'

/** Pages of these origins may read answers. A preflight that is refused is told why; the plugin would say it in plain text, or with 204. */
export async function allowPages(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  app.addHook('onRequest', async ({ method, headers }) => {
    if (method !== 'OPTIONS') return
    const { origin, 'access-control-request-method': asked } = headers
    if (origin === undefined || asked === undefined) {
      throw misuse(400, 'this is no preflight of a page', { expected: 'Origin and Access-Control-Request-Method' })
    }
    if (!origins.includes(origin)) throw misuse(403, 'no page of this origin may read answers', { received: origin })
  })
  await app.register(corsPlugin, {
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    origin: [...origins],
    exposedHeaders: ['location', 'retry-after'],
    strictPreflight: false,
  })
}
