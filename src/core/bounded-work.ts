import { createContext, Script } from 'node:vm'

const script = new Script('work()')
const place = createContext({ work: () => undefined as unknown })

/** The work took longer than it may. */
export class TookTooLong extends Error {}

/**
 * Does synchronous work that what somebody wrote may make endless (a pattern, a schema), and gives it up after so many ms: throws
 * `TookTooLong`. What the work throws is thrown on. Costs about 0.1 ms.
 */
export function boundedWork<T>(mostMs: number, work: () => T): T {
  try {
    return script.runInContext(Object.assign(place, { work }), { timeout: mostMs }) as T
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new TookTooLong(`it takes longer than ${mostMs} ms`)
    throw error
  } finally {
    Object.assign(place, { work: () => undefined })
  }
}
