import { hostname } from 'node:os'
import { BEAT_MS, type Conductor, GONE_AFTER_MS } from '../core/conductor.ts'
import { CaesuraError } from '../core/errors.ts'
import { silentLog } from '../core/log.ts'
import type { ExecutionKey, Node, Telemetry } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { counted } from '../pages/figures.ts'
import { sqliteStore } from '../records/stores/sqlite.ts'
import type { Api } from '../server/api/api.ts'
import type { KeptLimits } from '../server/hosts/ended-runs.ts'
import { endLostRuns } from '../server/hosts/lost-runs.ts'
import { ProcessHost } from '../server/hosts/process-host.ts'
import { processNodes } from '../server/hosts/process-nodes.ts'
import { RecordWriter } from '../server/hosts/record-writer.ts'
import type { HostLimits } from '../server/hosts/turns.ts'
import { hostingEngine } from './compose.ts'
import { type ServingSettings, serveRuns } from './serving.ts'
import { isGone, thisProcess } from './sitting.ts'
import { version } from './version.ts'

/** Part of the composition root: the HTTP API, and an engine in this process that hosts its runs. */

export interface ProcessServingSettings extends Omit<ServingSettings, 'models'> {
  /** The nodes that take calls, in this process. Closed with the server. */
  readonly nodes: readonly Node[]
  /** Alias → the model's name as the servers know it. */
  readonly models?: Readonly<Record<string, string>>
  /** Where records go, and what is noted of live runs. One process at a time hosts runs with a file. */
  readonly recordsFile: string
  readonly limits?: Partial<HostLimits>
  /** What stays in memory of runs that have ended. */
  readonly kept?: Partial<KeptLimits>
  /** Spans and figures of the runs; none by default. Not closed with the server. */
  readonly telemetry?: Telemetry
}

type Store = ReturnType<typeof sqliteStore>

/** Whoever hosts runs with a records file holds this place in it. No execution has an experiment without a name. */
const HOSTING: ExecutionKey = { experiment: '', execution: 'serve' }

/**
 * Serves runs that this process hosts. Those that were live when the process before ended are found as failed (`CAESURA_E_HOST_LOST`).
 * Throws `CAESURA_E_RECORDS` where another process hosts runs with the file, `CAESURA_E_LISTEN`, `CAESURA_E_USAGE`, `CAESURA_E_CONFIG`.
 */
export async function serveHere(serving: ProcessServingSettings): Promise<Api> {
  const { nodes, models = {}, recordsFile, limits = {}, kept = {}, telemetry, ...settings } = serving
  const { log = silentLog, keepText = false, catalogue } = settings
  const closing: (() => unknown)[] = []
  /** All of it, whatever of it fails. Throws what failed first. */
  const closeAll = async () => {
    const faults: unknown[] = []
    for (const close of closing.splice(0).reverse()) {
      try {
        await close()
      } catch (fault) {
        faults.push(fault)
      }
    }
    if (faults.length > 0) throw faults[0]
  }
  try {
    const store = sqliteStore(recordsFile)
    closing.push(() => store.close())
    const writer = new RecordWriter(store, log)
    const engine = hostingEngine({
      ...{ nodes, models, keepText, telemetry },
      ...present({ catalogue }),
      store: { ...store, write: (record) => writer.write(record), close() {} },
    })
    const host = new ProcessHost({
      ...{ engine, store, limits, kept, log },
      nodes: () => processNodes(engine.usage(), { worker: `${hostname()}-${process.pid}`, version }),
    })
    let owner: string | undefined
    closing.push(() => owner && store.release(owner))
    closing.push(() => host.stop())
    owner = claim(store, recordsFile)
    const lost = endLostRuns(store)
    if (lost > 0)
      log.warn(`${counted(lost, 'run')} had not ended when the process that hosted them did: failed`, { lost })
    closing.push(async () => {
      await host.stop().catch(() => undefined)
      if (writer.retry() > 0)
        log.error('records could not be written: their runs are found as failed at the next start')
      host.noteProgress()
    })
    const self = owner
    const beats = () => {
      if (!store.beat(self)) return host.refuse(taken())
      writer.retry()
      host.noteProgress()
    }
    closing.push(repeating(beats))
    const api = await serveRuns(host, settings)
    return {
      url: api.url,
      async close() {
        // While the server still answers, so that readers see how their runs end.
        await host.stop().catch(() => undefined)
        await api.close()
        await closeAll()
      },
    }
  } catch (error) {
    await closeAll().catch(() => undefined)
    throw error
  }
}

/** Returns by which name this process holds the file. Throws `CAESURA_E_RECORDS` where another one does. */
function claim(store: Store, file: string): string {
  const self = thisProcess()
  const other = store.claim(HOSTING, self, isGone)
  if (other === undefined) return self.owner
  throw new CaesuraError('CAESURA_E_RECORDS', `${named(other)} hosts runs with this records file`, {
    file,
    expected: `a file of its own, or one whose process gave no sign of life for ${GONE_AFTER_MS / 1000} s`,
    hint: 'Choose another file with CAESURA_RECORDS, or run a fleet: --redis.',
  })
}

const named = ({ pid, host }: Conductor): string => `process ${pid} on ${host}`

/** Does what shows that this process lives, again and again. Returns what ends it. */
function repeating(beat: () => void): () => void {
  const timer = setInterval(() => {
    try {
      beat()
    } catch {
      // A file that is busy or full for a while: the write of a record tells of it.
    }
  }, BEAT_MS)
  timer.unref()
  return () => clearInterval(timer)
}

const taken = (): CaesuraError =>
  new CaesuraError('CAESURA_E_RECORDS', 'another process hosts runs with this records file now', {
    hint: 'This process was paused for too long. Start it again with a file of its own.',
  })
