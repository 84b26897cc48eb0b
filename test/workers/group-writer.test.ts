import { describe, expect, it } from 'vitest'
import { type Answer, GroupWriter } from '../../src/workers/group-writer.ts'
import type { FleetRedis } from '../../src/workers/redis.ts'
import { until } from '../fixtures/until.ts'

/** A Redis that answers when it is told to, and what it was asked. */
function slowRedis() {
  const asked: (string | number)[][] = []
  const answers: { resolve: (answer: unknown) => void; reject: (error: Error) => void }[] = []
  const call = (_: string, ...parameters: (string | number)[]) => {
    asked.push(parameters)
    return new Promise((resolve, reject) => answers.push({ resolve, reject }))
  }
  return { asked, answers, group: new GroupWriter({ call } as unknown as FleetRedis, 'tellAll') }
}
const tick = () => new Promise((resolve) => setImmediate(resolve))
const item = (name: string) => ({ parameters: () => [name] })

describe('writes of many', () => {
  it('go at once while little is under way, those of one turn together', async () => {
    const { asked, group } = slowRedis()
    void group.write(item('a'))
    void group.write(item('b'))
    await tick()
    void group.write(item('c'))
    await tick()
    expect(asked).toEqual([
      [1, 'a', 1, 'b'],
      [1, 'c'],
    ])
  })

  it('go together with what came meanwhile when two are under way, in their order, as they are then', async () => {
    const { asked, answers, group } = slowRedis()
    const results: Answer[] = []
    const write = (name: string) => void group.write(item(name)).then((answer) => results.push(answer))
    write('a')
    await tick()
    write('b')
    await tick()
    let late = 'early'
    void group.write({ parameters: () => [late, 2] }).then((answer) => results.push(answer))
    write('d')
    await tick()
    expect(asked).toHaveLength(2)
    late = 'late'
    answers[0]!.resolve(['ok', ['first']])
    await tick()
    expect(asked[2]).toEqual([2, 'late', 2, 1, 'd'])
    answers[2]!.resolve(['ok', ['third'], ['fourth']])
    await tick()
    expect(results).toEqual([['first'], ['third'], ['fourth']])
  })

  it('are bounded, and go one after the other where they are many', async () => {
    const { asked, answers, group } = slowRedis()
    for (let index = 0; index < 450; index++) void group.write(item(String(index)))
    for (let call = 0; call < 3; call++) {
      await until(() => answers.length > call)
      answers[call]!.resolve(['ok'])
    }
    expect(asked.map(({ length }) => length / 2)).toEqual([200, 200, 50])
  })

  it('leave out what is not to be written any more, or can’t be said; what follows is sent right behind', async () => {
    const { asked, answers, group } = slowRedis()
    const nothing = group.write({ parameters: () => undefined })
    const broken = group.write({
      parameters: () => {
        throw new Error('broken')
      },
    })
    let askedWhenSent = 0
    const whole = group.write({
      parameters: () => ['x'],
      sent: () => {
        askedWhenSent = asked.length
      },
    })
    await expect(broken).rejects.toThrow('broken')
    expect(await nothing).toEqual(['nothing'])
    expect(asked).toEqual([[1, 'x']])
    expect(askedWhenSent).toBe(1)
    answers[0]!.reject(new Error('OOM'))
    await expect(whole).rejects.toThrow('OOM')
  })
})
