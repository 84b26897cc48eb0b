import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { LoopWatch } from '../../../src/nodes/backends/loop-watch.ts'

const busy = (ms: number) => {
  for (const from = performance.now(); performance.now() - from < ms; );
}

// A machine that stands still between two lines of this test would make it wrong.
it('tells how long what is read now may have waited here, and nothing while nobody watches', { retry: 5 }, async () => {
  const watch = new LoopWatch()
  busy(50)
  expect(watch.lateNs).toBe(0)
  const [first, second] = [watch.watch(), watch.watch()]
  busy(100)
  expect(watch.lateNs).toBeGreaterThan(95e6)
  first()
  first()
  // The timers come first, and what was received meanwhile is read right behind them.
  const late = new Promise<number>((resolve) => setTimeout(() => setImmediate(() => resolve(watch.lateNs)), 0))
  busy(100)
  expect(await late).toBeGreaterThan(95e6)
  second()
  await sleep(30)
  expect(watch.lateNs).toBe(0)
})
