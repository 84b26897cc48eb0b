import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Api } from '../../src/app/fleet-serving.ts'
import { serveHere } from '../../src/app/process-serving.ts'
import type { ServingSettings } from '../../src/app/serving.ts'
import type { CallRequest } from '../../src/core/call.ts'
import type { Node } from '../../src/core/ports.ts'
import { type Script, scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { TestFleet } from '../fixtures/fleet.ts'
import { startRedis } from '../fixtures/redis.ts'
import { pipelines, testApi } from './api-fixture.ts'

/** What a test may ask of an API, whoever hosts its runs. */
export interface SiteSettings extends Partial<ServingSettings> {
  /** Runs that go on at once and that may wait. */
  readonly limits?: { readonly runs: number; readonly maxWaiting: number }
}

/** One node `n1` with a scripted model, and APIs whose runs are made there. */
export interface Site {
  /** What the model was asked. */
  readonly asked: readonly CallRequest[]
  api(settings?: SiteSettings): Promise<Api>
  /** The APIs too. */
  close(): Promise<void>
}

export type OpenSite = (model: { readonly slots?: number; readonly script: Script }) => Promise<Site>

/** The workers of a fleet, over a real Redis. */
async function fleetSite({ slots = 8, script }: Parameters<OpenSite>[0]): Promise<Site> {
  const redis = await startRedis()
  const fleet = new TestFleet(redis)
  let hasWorker = false
  const apis: Api[] = []
  await fleet.node({ name: 'n1', slots, script })
  return {
    asked: fleet.asked,
    async api({ limits, ...settings } = {}) {
      if (!hasWorker) await fleet.pipelines(limits === undefined ? {} : { runs: limits.runs })
      hasWorker = true
      const api = await testApi(redis.url, {
        ...settings,
        ...(limits !== undefined && { limits: { maxWaiting: limits.maxWaiting } }),
      })
      apis.push(api)
      return api
    },
    async close() {
      for (const api of apis) await api.close()
      await fleet.close()
      await redis.stop()
    },
  }
}

/** This process, with a records file for each API. */
async function processSite({ slots = 8, script }: Parameters<OpenSite>[0]): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'caesura-site-'))
  const asked: CallRequest[] = []
  const apis: Api[] = []
  return {
    asked,
    async api({ limits, ...settings } = {}) {
      const api = await serveHere({
        ...{ port: 0, pipelines, rate: 0, nodes: [scriptedNode(asked, script, slots)] },
        recordsFile: join(folder, `${apis.length}.sqlite`),
        ...settings,
        ...(limits !== undefined && { limits }),
      })
      apis.push(api)
      return api
    },
    async close() {
      for (const api of apis) await api.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** A node of this process, and what it is asked. */
export function scriptedNode(asked: CallRequest[], script: Script, slots = 8): Node {
  const model = scriptedBackend(script)
  return {
    ...{ name: 'n1', slots, pool: 'default' },
    backend: {
      ...model,
      generate(request, context) {
        asked.push(request)
        return model.generate(request, context)
      },
    },
  }
}

/** Each adapter of the host's port. */
export const sites: readonly (readonly [host: string, open: OpenSite])[] = [
  ['a fleet', fleetSite],
  ['this process', processSite],
]
