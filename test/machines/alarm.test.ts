import { describe, expect, it } from 'vitest'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import type { Clock } from '../../src/core/clock.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { Alarm } from '../../src/machines/alarm.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'

/** A virtual clock that counts the timers it was asked for. */
function counted() {
  const clock = new VirtualClock()
  const woken: number[] = []
  let timers = 0
  const counting: Clock = {
    now: () => clock.now(),
    wall: () => clock.wall(),
    schedule: (at, wake) => {
      timers += 1
      return clock.schedule(at, wake)
    },
  }
  const alarm = new Alarm(counting, () => woken.push(clock.now()))
  return { clock, alarm, woken, timers: () => timers }
}

describe('an alarm', () => {
  it('wakes at the instant that was set last, to the nanosecond, and once', async () => {
    const { clock, alarm, woken, timers } = counted()
    for (let token = 0; token < 1_000; token++) {
      alarm.set(clock.now() + 50_003)
      await clock.advance(100)
    }
    expect(woken).toEqual([])
    await clock.advance(1_000_000)
    expect(woken).toEqual([999 * 100 + 50_003])
    // One timer each 50,003 ns, not one a token.
    expect(timers()).toBe(3)
    expect(clock.pending).toBe(0)
  })

  it('wakes earlier when it is set to an earlier instant', async () => {
    const { clock, alarm, woken } = counted()
    alarm.set(100)
    alarm.set(40)
    await clock.advance(200)
    expect(woken).toEqual([40])
    alarm.set(250)
    await clock.advance(100)
    expect(woken).toEqual([40, 250])
    expect(clock.pending).toBe(0)
  })

  it('that was cleared does not wake, and leaves no timer', async () => {
    const { clock, alarm, woken } = counted()
    alarm.set(100)
    alarm.clear()
    expect(clock.pending).toBe(0)
    alarm.set(300)
    await clock.advance(1_000)
    expect(woken).toEqual([300])
  })
})

describe('a limit and a trigger of silence', () => {
  /** Timers that a run of 500 tokens, 1 ms apart, sets in all. */
  async function timersOf(stage: object): Promise<number> {
    class Counting extends VirtualClock {
      timers = 0
      override schedule(at: number, wake: () => void): () => void {
        this.timers += 1
        return super.schedule(at, wake)
      }
    }
    const clock = new Counting()
    const backend = scriptedBackend({ tokens: Array(500).fill('w '), firstTokenMs: 1, tokenMs: 1 })
    const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }], clock })
    const pipeline = definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'x', ...stage }] })
    const record = await clock.until(engine.start(pipeline, { input: 'x' }).result)
    expect(record.outcome).toBe('completed')
    return clock.timers
  }

  it('set no timer at each token', async () => {
    const without = await timersOf({})
    expect((await timersOf({ timeout: { stall: 100 } })) - without).toBeLessThan(10)
    expect((await timersOf({ policy: { trigger: { stall: 100 } } })) - without).toBeLessThan(10)
    const any = [{ stall: 100 }, { after: '1m' }]
    expect((await timersOf({ policy: { trigger: { any } } })) - without).toBeLessThan(10)
  })
})
