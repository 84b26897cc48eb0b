import { within as isWithin } from '../core/within.ts'

/** Does something for at most so long, ms; what fails or is late is left as it is. */
export async function within(ms: number, work: () => Promise<unknown>): Promise<void> {
  await isWithin(
    ms,
    work().catch(() => undefined),
  )
}
