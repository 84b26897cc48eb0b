import { existsSync } from 'node:fs'
import { sqliteStore } from '../app/stores.ts'
import type { RunStore } from '../core/ports.ts'
import type { RunRecord } from '../core/record.ts'
import type { Beside } from '../records/explaining/abort-lag.ts'
import type { FleetFlags } from './on-fleet.ts'
import { onFleet } from './on-fleet.ts'
import { readSettings } from './settings.ts'

/** How many of the newest runs are asked what a cancel takes. */
const LOOKED_AT = 200

/**
 * What is kept beside a record: the newest runs, and of the records file also its probes. Best effort: what cannot be read
 * is left out, because the run itself can be explained without it.
 */
export async function besideRecord(flags: FleetFlags): Promise<Beside> {
  if (flags.redis !== undefined) return { records: await fleetRecords(flags) }
  const { recordsFile } = await readSettings(flags)
  if (!existsSync(recordsFile)) return { records: [] }
  const store = sqliteStore(recordsFile)
  try {
    const records = store.list({ limit: LOOKED_AT }).flatMap(({ runId }) => readable(store, runId))
    const probes = new Map(
      records
        .flatMap(({ stages }) => stages)
        .flatMap(({ node, model }) =>
          node === undefined || model === undefined ? [] : [[keyOf(node, model), { node, model }] as const],
        ),
    )
    const found = new Map([...probes].map(([key, { node, model }]) => [key, store.findProbe(node, model)]))
    return { records, probe: (node, model) => found.get(keyOf(node, model)) }
  } finally {
    store.close()
  }
}

const keyOf = (node: string, model: string): string => `${model}\n${node}`

function readable(store: RunStore, runId: string): RunRecord[] {
  try {
    return [store.read(runId)]
  } catch {
    return []
  }
}

async function fleetRecords(flags: FleetFlags): Promise<RunRecord[]> {
  const runs = await onFleet(flags, async (fleet) => {
    const { runs: newest } = await fleet.list({ status: 'ended', limit: LOOKED_AT })
    return Promise.allSettled(newest.map(({ runId }) => fleet.read(runId)))
  })
  // One may have gone meanwhile.
  return runs.flatMap((run) => (run.status === 'fulfilled' ? (run.value.record ?? []) : []))
}
