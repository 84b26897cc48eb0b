import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ALIVE_MS, Lease } from '../../src/workers/lease.ts'

describe('a lease', () => {
  it('holds for what was given in its term while signs of life are taken', () => {
    let now = 0
    const lease = new Lease(() => now)
    const { term } = lease
    expect(lease.holds(term)).toBe(false)
    for (; now < 10 * ALIVE_MS; now += ALIVE_MS / 4) {
      lease.renew(now)
      expect(lease.holds(term)).toBe(true)
      expect(lease.holds(term + 1)).toBe(false)
    }
  })

  it('is over after a stop, whether a sign of life or an order is heard of first', () => {
    for (const isSignFirst of [true, false]) {
      let now = 0
      const lease = new Lease(() => now)
      const { term } = lease
      lease.renew(now)
      now += 5000
      if (isSignFirst) lease.renew(now)
      expect(lease.holds(term)).toBe(false)
      lease.renew(now)
      expect(lease.holds(term)).toBe(false)
      expect(lease.holds(lease.term)).toBe(true)
    }
  })

  // A model of Redis: the entry ends so long after the last sign of life got there, and an order has the term that stood in it.
  it('never holds for what was given before an end of the entry', () => {
    const steps = fc.array(
      fc.record({
        kind: fc.constantFrom('wait', 'sign', 'order', 'hear'),
        ms: fc.integer({ min: 0, max: ALIVE_MS + 1000 }),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(steps, (list) => {
        let now = 0
        const lease = new Lease(() => now)
        let entry = { term: -1, until: -1, epoch: 0 }
        const orders: { term: number; epoch: number }[] = []
        for (const { kind, ms } of list) {
          if (kind === 'wait') now += ms
          if (now > entry.until && entry.term !== -1) entry = { term: -1, until: -1, epoch: entry.epoch + 1 }
          if (kind === 'order' && entry.term !== -1) orders.push({ term: entry.term, epoch: entry.epoch })
          if (kind === 'sign') {
            const sentAt = now
            const { term } = lease
            // On its way there and back.
            now += ms % 700
            if (now > entry.until && entry.term !== -1) entry = { ...entry, epoch: entry.epoch + 1 }
            entry = { term, until: now + ALIVE_MS, epoch: entry.epoch }
            now += ms % 300
            lease.renew(sentAt)
          }
          if (kind === 'hear')
            for (const order of orders) if (lease.holds(order.term)) expect(order.epoch).toBe(entry.epoch)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
