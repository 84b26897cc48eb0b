import { describe, expect, it } from 'vitest'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'

const oneStage = (stage: Record<string, unknown> = {}) =>
  pipelineFrom({
    name: 'one',
    stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}', policy: { trigger: 'never' }, ...stage }],
  })
const long = { tokens: Array(40).fill('w '), firstTokenMs: 5, tokenMs: 10 }

const fleet = withFleet()

describe('a stage worker that is stopped', () => {
  it('lets its calls finish within the grace', async () => {
    await fleet.pipelines()
    const worker = await fleet.node({ name: 'n1', script: long, settings: { graceMs: 5000 } })
    const client = await fleet.client()
    const { runId } = await client.submit(oneStage(), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    await worker.close()
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({
      outcome: 'completed',
      stages: [{ settlement: 'completed' }],
    })
    expect(await client.nodes()).toEqual([])
  })

  it('then gives them back: what came is kept as a failed attempt, and another node makes the call', async () => {
    await fleet.pipelines()
    const worker = await fleet.node({ name: 'n1', script: long, settings: { graceMs: 0 } })
    const client = await fleet.client()
    const { runId } = await client.submit(oneStage(), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    await fleet.node({ name: 'n2', script: long })
    await worker.close()
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'w '.repeat(40) })
    expect(record!.stages).toMatchObject([
      { attempt: 1, node: 'n1', settlement: 'failed', error: { code: 'CAESURA_E_WORKER_LOST' } },
      { attempt: 2, node: 'n2', settlement: 'completed' },
    ])
    expect(record!.stages[0]!.text).toMatch(/^(w )+$/)
    expect(record!.stages[0]!.tokens.wasted).toBe(record!.stages[0]!.tokens.generated)
  })
})

describe('the slots of a node', () => {
  it('bound its calls over the tickets of its pool and its own', async () => {
    let [now, most] = [0, 0]
    const scripted = scriptedBackend({ tokens: ['a ', 'b '], firstTokenMs: 3, tokenMs: 3 })
    const backend: typeof scripted = {
      ...scripted,
      generate: async (request, context) => {
        most = Math.max(most, ++now)
        return scripted.generate(request, context).finally(() => now--)
      },
    }
    await fleet.pipelines()
    await fleet.node({ name: 'n1', slots: 2, backend })
    const client = await fleet.client()
    // The second stage wants the node of the first: its tickets lie in the node's own queue.
    const pipeline = pipelineFrom({
      name: 'two',
      stages: [
        { id: 'a', model: 'scripted', prompt: 'a', policy: { trigger: 'never', placement: 'same' } },
        { id: 'b', model: 'scripted', prompt: 'b' },
      ],
    })
    const runs = await Promise.all(Array.from({ length: 20 }, () => client.submit(pipeline, { input: 'i' })))
    await Promise.all(runs.map(({ runId }) => client.ended(runId)))
    for (const { runId } of runs) expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    expect(fleet.asked).toHaveLength(40)
    expect(most).toBe(2)
  })

  it('leave a ticket of the pool to a node that has one free', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script: long })
    await fleet.node({ name: 'n2', script: long })
    const client = await fleet.client()
    const runs = await Promise.all([1, 2].map(() => client.submit(oneStage(), { input: 'i' })))
    await Promise.all(runs.map(({ runId }) => client.ended(runId)))
    const nodes = await Promise.all(runs.map(async ({ runId }) => (await client.read(runId)).record!.stages[0]!.node))
    expect(nodes.sort()).toEqual(['n1', 'n2'])
  })
})

describe('where a call goes', () => {
  const placed = (placement: unknown) =>
    pipelineFrom({
      name: 'two',
      stages: [
        { id: 'a', model: 'scripted', prompt: 'a', policy: { trigger: 'never', placement } },
        { id: 'b', model: 'scripted', prompt: 'b' },
      ],
    })

  for (const [placement, differs] of [
    ['same', false],
    ['other', true],
  ] as const) {
    it(`follows placement: ${placement}`, async () => {
      await fleet.pipelines()
      await fleet.node({ name: 'n1' })
      await fleet.node({ name: 'n2' })
      const client = await fleet.client()
      for (let run = 0; run < 4; run++) {
        const { runId } = await client.submit(placed(placement), { input: 'i' })
        await client.ended(runId)
        const [a, b] = (await client.read(runId)).record!.stages
        expect(a!.node !== b!.node).toBe(differs)
      }
    })
  }

  it('moves a call that waits for a node that is gone', async () => {
    await fleet.pipelines()
    const client = await fleet.client()
    const first = await fleet.node({ name: 'n1', script: long, settings: { graceMs: 0 } })
    const pinned = await client.submit(placed({ same: { otherwise: 'any' } }), { input: 'pinned' })
    // The one slot of n1 is taken by this run when the other's second stage wants it.
    const busy = await client.submit(oneStage(), { input: 'busy' })
    for await (const event of client.events(busy.runId)) if (event.type === 'token') break
    await until(async () => (await client.read(pinned.runId)).seq >= 44)
    await fleet.node({ name: 'n2', script: long })
    await first.close()
    for (const { runId } of [busy, pinned]) {
      await client.ended(runId)
      expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    }
    expect((await client.read(pinned.runId)).record!.stages.map(({ node }) => node)).toEqual(['n1', 'n2'])
  })

  it('is refused to a worker whose node has the name of one that lives', async () => {
    await fleet.node({ name: 'n1' })
    await expect(fleet.node({ name: 'n1' })).rejects.toMatchObject({ code: 'CAESURA_E_NODE_TAKEN' })
  })
})

describe('a node that fails', () => {
  it('is taken out after three failures in a row, named with the reason, and its work goes to another', async () => {
    await fleet.pipelines()
    const broken = {
      tokens: ['a'],
      fail: { code: 'CAESURA_E_SERVER', message: 'out of memory', afterTokens: 0, retryable: true },
    } as const
    await fleet.node({ name: 'bad', script: broken })
    const client = await fleet.client()
    const pipeline = oneStage({ retry: { attempts: 6, pause: 1 } })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    await until(async () => (await client.nodes())[0]?.state === 'down')
    expect((await client.nodes())[0]).toMatchObject({
      name: 'bad',
      reason: expect.stringMatching(/^3 calls failed in a row \(CAESURA_E_SERVER\)/),
    })
    await fleet.node({ name: 'good' })
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'a b' })
    expect(record!.stages.map(({ node }) => node)).toEqual(['bad', 'bad', 'bad', 'good'])
    expect(fleet.logged).toContainEqual(expect.stringMatching(/node bad: down: 3 calls failed/))
  })

  it('takes no work while its server does not answer, and takes it up when it does', async () => {
    let isThere = false
    const scripted = scriptedBackend({ tokens: ['a'] })
    const models: typeof scripted.models = async (signal) => {
      if (!isThere) throw new Error('nobody answers')
      return scripted.models(signal)
    }
    await fleet.pipelines()
    await fleet.node({ name: 'n1', backend: { ...scripted, models } })
    const client = await fleet.client()
    expect(await client.nodes()).toMatchObject([{ name: 'n1', state: 'down', reason: 'nobody answers' }])
    const { runId } = await client.submit(oneStage(), { input: 'i' })
    isThere = true
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
  })

  it('is reported by name when one of its calls gets nothing while others go on', async () => {
    await fleet.pipelines()
    const script = ({ messages }: { messages: readonly { content: string }[] }) =>
      messages[0]!.content === 'hang' ? { tokens: ['a'], hang: true } : long
    await fleet.node({ name: 'n1', slots: 2, script, settings: { stuckMs: 200, graceMs: 0 } })
    const client = await fleet.client()
    const hung = await client.submit(oneStage(), { input: 'hang' })
    let other = await client.submit(oneStage(), { input: 'fine' })
    await until(async () => {
      if ((await client.read(other.runId)).status === 'ended')
        other = await client.submit(oneStage(), { input: 'fine' })
      return (await client.nodes())[0]?.reason?.includes(`call ${hung.runId} only.1 has had nothing`) ?? false
    })
    // Once, however often it is looked at.
    expect(fleet.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { sentence: expect.stringContaining(`call ${hung.runId} only.1 has had nothing`), fields: { node: 'n1' } },
    ])
    await client.cancel(hung.runId)
    await client.ended(hung.runId)
  })
})
