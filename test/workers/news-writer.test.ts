import { describe, expect, it } from 'vitest'
import type { Answer, GroupWriter } from '../../src/workers/group-writer.ts'
import type { NewsBatch } from '../../src/workers/news.ts'
import { NewsWriter, type WriteFault } from '../../src/workers/news-writer.ts'

/** A group that answers when it is told to, and what was written. */
function slowGroup() {
  const batches: NewsBatch[] = []
  const indexes: number[] = []
  const answers: ((answer: Answer) => void)[] = []
  const group = {
    write: ({ parameters }: { parameters: () => readonly (string | number)[] }) => {
      const [, , , batch, , index] = parameters()
      batches.push(JSON.parse(String(batch)) as NewsBatch)
      indexes.push(Number(index))
      return new Promise<Answer>((resolve) => answers.push(resolve))
    },
  } as unknown as GroupWriter
  return { batches, indexes, answers, group }
}
const ticket = { runId: 'r', callId: 'c.1' }
const tick = () => new Promise((resolve) => setImmediate(resolve))
const textOf = (batches: readonly NewsBatch[]) =>
  batches
    .flat()
    .map((item) => (item[0] === 'token' ? item[2] : item[0]))
    .join('')

describe('the news of a call', () => {
  it('go one write after the other, in bounded batches, whatever piles up', async () => {
    const { batches, indexes, answers, group } = slowGroup()
    const writer = new NewsWriter(group, ticket, 'claim', () => expect.unreachable())
    for (let index = 0; index < 2000; index++) writer.tell(['token', index, 'x'])
    writer.tell(['token', 2000, 'y'.repeat(500_000)])
    writer.tell(['end', { end: 'completed' }])
    const written = writer.written()
    while (answers.length > 0 || batches.length === 0) {
      expect(answers.length).toBeLessThanOrEqual(1)
      answers.shift()?.(['ok'])
      await tick()
    }
    await written
    expect(textOf(batches)).toBe(`${'x'.repeat(2000)}${'y'.repeat(500_000)}end`)
    expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(256)
    expect(indexes).toEqual(batches.map((_, index) => index))
  })

  it('are given up once where Redis takes nothing and too much waits; only the end is still told', async () => {
    const { batches, answers, group } = slowGroup()
    const faults: WriteFault[] = []
    const writer = new NewsWriter(group, ticket, 'claim', (fault) => faults.push(fault))
    for (let index = 0; index < 30; index++) writer.tell(['token', index, 'z'.repeat(500_000)])
    expect(faults).toEqual(['too much waits'])
    writer.tell(['end', { end: 'failed' }])
    const written = writer.written()
    for (let write = 0; write < 60; write++) {
      answers.shift()?.(['ok'])
      await tick()
    }
    await written
    expect(batches.at(-1)!.at(-1)![0]).toBe('end')
    expect(batches.flat().filter(([kind]) => kind === 'token').length).toBeLessThan(20)
  })

  it('end where the call is not ours any more', async () => {
    const { answers, batches, group } = slowGroup()
    const faults: WriteFault[] = []
    const writer = new NewsWriter(group, ticket, 'claim', (fault) => faults.push(fault))
    writer.tell(['token', 1, 'a'])
    answers[0]!(['refused'])
    await tick()
    writer.tell(['token', 2, 'b'])
    await writer.written()
    expect(faults).toEqual(['refused'])
    expect(batches).toHaveLength(1)
  })
})
