import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { PrefillRequest } from '../../src/core/call.ts'
import { msToNs } from '../../src/core/clock.ts'
import type { Node } from '../../src/core/ports.ts'
import { type Script, scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const system = 'You refine drafts.'
const stages = (second: object, policy: object = {}) =>
  definePipeline({
    name: 'p',
    stages: [
      { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { warm: 'prefix', ...policy } },
      { id: 'refine', model: 'm', prompt: 'x', ...second },
    ],
  })

/** A node that notes what was read ahead, and when; a reading takes `prefillMs` on the clock of the run. */
function reading(slots: number, prefillMs = 0, script: Script = speak('one two three')) {
  const begun: (PrefillRequest & { at: number })[] = []
  const ended: string[] = []
  let clock: { now(): number; schedule(at: number, wake: () => void): () => void } | undefined
  const inner = scriptedBackend(script)
  const nodeOf = (name: string, more: Partial<Node> = {}): Node => ({
    name,
    slots,
    pool: 'default',
    backend: {
      ...inner,
      generate: (request, context) => {
        clock = context.clock
        return inner.generate(request, context)
      },
      prefill: (request, signal) =>
        new Promise((resolve, reject) => {
          begun.push({ ...request, at: clock!.now() / 1e6 })
          const withdraw = clock!.schedule(clock!.now() + msToNs(prefillMs), () => {
            ended.push('read')
            resolve()
          })
          signal.addEventListener('abort', () => {
            withdraw()
            ended.push('given up')
            reject(signal.reason)
          })
        }),
    },
    ...more,
  })
  return { begun, ended, nodeOf }
}

describe('warm: prefix', () => {
  it('reads what is known of the next prompt ahead, from the first token on, with the options of the call to come', async () => {
    const { begun, nodeOf } = reading(2)
    const pipeline = stages({
      system,
      prompt: 'Question: {{ input }}\nTone: {{ vars.tone }}\nDraft: {{ draft.output }}\nEnd',
      options: { contextTokens: 512, maxTokens: 9 },
    })
    const run = scriptedRun(pipeline, { settings: { nodes: [nodeOf('n')] }, vars: { tone: 'warm' } })
    const record = await run.finish()
    expect(begun).toEqual([
      {
        at: 50,
        model: 'm',
        messages: [
          { role: 'system', content: system },
          { role: 'user', content: 'Question: How?\nTone: warm\nDraft: ' },
        ],
        isCut: true,
        options: { contextTokens: 512, maxTokens: 9 },
      },
    ])
    expect(record.stages.map(({ warmed }) => warmed)).toEqual([
      { model: 'm', outcome: 'prefilled', node: 'n' },
      undefined,
    ])
    expect(record.stages).toHaveLength(2)
    expect(record.cost.generatedTokens).toBe(6)
    expect(run.clock.pending).toBe(0)
  })

  it.each<[string, object, [string, string][], boolean]>([
    ['the stage’s output in the system prompt', { system: 'S {{ draft.output }}' }, [['system', 'S ']], true],
    [
      'a prompt that begins with it',
      { system, prompt: '{{ draft.output }}' },
      [
        ['system', system],
        ['user', ''],
      ],
      true,
    ],
    [
      'a condition on the interrupt',
      { prompt: 'Q {{ input }}{% if interrupt.input %} C{% endif %}' },
      [['user', 'Q How?']],
      true,
    ],
    ['a default for the interrupt', { prompt: 'Q {{ interrupt.input | default: input }}' }, [['user', 'Q ']], true],
    ['an assignment', { prompt: 'Q {% assign d = draft.output %}x{{ d }}' }, [['user', 'Q ']], true],
    [
      'the middle of a loop',
      { prompt: '{% for i in (1..3) %}{{ i }}{{ draft.output }}{% endfor %}' },
      [['user', '1']],
      true,
    ],
    [
      'nothing: all is known',
      { system, prompt: 'Q {{ input }} {{ refine.output }}.' },
      [
        ['system', system],
        ['user', 'Q How? .'],
      ],
      false,
    ],
  ])('is cut at %s', async (_, second, messages, isCut) => {
    const { begun, nodeOf } = reading(2)
    await scriptedRun(stages(second), { settings: { nodes: [nodeOf('n')] } }).finish()
    expect(begun.map((request) => request.messages.map(({ role, content }) => [role, content]))).toEqual([messages])
    expect(begun[0]!.isCut).toBe(isCut)
  })

  it('is skipped, with the reason, where nothing is known, no slot is free, or the stage says nothing', async () => {
    const warmed = async (slots: number, second: object, script?: Script) => {
      const { nodeOf } = reading(slots, 0, script)
      const record = await scriptedRun(stages(second), { settings: { nodes: [nodeOf('n')] } }).finish()
      return record.stages[0]!.warmed
    }
    const skipped = (reason: string) => ({ model: 'm', outcome: 'skipped', reason })
    expect(await warmed(2, { prompt: '{{ draft.output }}' })).toEqual(skipped('nothing of its prompt is known yet'))
    expect(await warmed(1, {})).toEqual(skipped('no free slot'))
    expect(await warmed(2, {}, { tokens: [] })).toEqual(skipped('the stage ended first'))
    const { finish } = scriptedRun(stages({}), {
      settings: { nodes: [{ ...reading(2).nodeOf('n'), backend: silentOnPrefill() }] },
    })
    expect((await finish()).stages[0]!.warmed).toEqual(skipped('a plain node reads no prompt ahead'))
  })

  it('is given up when the stage settles; nothing of it is left behind', async () => {
    const { ended, nodeOf } = reading(2, 5_000)
    const { finish, clock } = scriptedRun(stages({}), { settings: { nodes: [nodeOf('n')] } })
    const record = await finish()
    expect(record.stages[0]!.warmed).toEqual({ model: 'm', outcome: 'skipped', reason: 'the stage ended first' })
    expect(ended).toEqual(['given up'])
    expect(clock.pending).toBe(0)
  })

  it('goes on while an aborted call settles: the next stage is not long away', async () => {
    const { ended, nodeOf } = reading(2, 30, { ...speak('one two three'), tokenMs: 1_000, abortMs: 60 })
    const pipeline = stages({}, { response: 'abort' })
    const { finish } = scriptedRun(pipeline, { settings: { nodes: [nodeOf('n')] }, signals: [{ afterMs: 60 }] })
    expect((await finish()).stages[0]!.warmed).toMatchObject({ outcome: 'prefilled' })
    expect(ended).toEqual(['read'])
  })

  it('is given up when the run ends with the stage', async () => {
    const { ended, nodeOf } = reading(2, 5_000)
    const { finish, clock } = scriptedRun(stages({}, { response: 'abort', then: 'end' }), {
      settings: { nodes: [nodeOf('n')] },
      signals: [{ afterMs: 60 }],
    })
    expect((await finish()).stages).toHaveLength(1)
    expect(ended).toEqual(['given up'])
    expect(clock.pending).toBe(0)
  })

  it('is not begun where the first token cancels the call: the next one comes at once', async () => {
    const { begun, nodeOf } = reading(2)
    const pipeline = stages({}, { trigger: 'first-token', response: 'abort' })
    const record = await scriptedRun(pipeline, { settings: { nodes: [nodeOf('n')] } }).finish()
    expect(record.stages[0]!.warmed).toMatchObject({ outcome: 'skipped' })
    expect(begun).toEqual([])
  })

  it('is begun anew by an attempt that takes the place of a failed one', async () => {
    let calls = 0
    const { begun, nodeOf } = reading(2, 0, () => {
      const fault = { code: 'CAESURA_E_SERVER_BUSY', message: 'x', afterTokens: 0, retryable: true } as const
      return calls++ === 0 ? { ...speak('a'), fail: fault } : speak('one two three')
    })
    const pipeline = definePipeline({
      name: 'p',
      stages: [
        { id: 'draft', model: 'm', prompt: 'x', retry: { attempts: 2 }, policy: { warm: 'prefix' } },
        { id: 'refine', model: 'm', prompt: 'Q {{ input }} {{ draft.output }}' },
      ],
    })
    const record = await scriptedRun(pipeline, { settings: { nodes: [nodeOf('n')] } }).finish()
    expect(record.stages.map(({ warmed }) => warmed?.outcome)).toEqual(['skipped', 'prefilled', undefined])
    expect(begun.map(({ messages }) => messages.at(-1)!.content)).toEqual(['Q How? '])
  })

  it('a fault of it is no fault of the run', async () => {
    const { nodeOf } = reading(2)
    const node = nodeOf('n')
    const backend: Node['backend'] = { ...node.backend, prefill: () => Promise.reject(new Error('no such thing')) }
    const record = await scriptedRun(stages({}), { settings: { nodes: [{ ...node, backend }] } }).finish()
    expect(record.outcome).toBe('completed')
    expect(record.stages[0]!.warmed).toEqual({ model: 'm', outcome: 'failed', node: 'n', reason: 'no such thing' })
  })

  it('sends the next stage where its prompt was read, if that node has a slot free', async () => {
    const { nodeOf } = reading(1)
    const nodes = [nodeOf('n1'), nodeOf('n2')]
    const where = async (policy: object) =>
      (await scriptedRun(stages({}, policy), { settings: { nodes } }).finish()).stages.map(({ node, warmed }) => [
        node,
        warmed?.node,
      ])
    expect(await where({})).toEqual([
      ['n1', 'n2'],
      ['n2', undefined],
    ])
    // The wish for the same node comes first: nothing is read where the call will not go.
    expect(await where({ placement: 'same' })).toEqual([
      ['n1', undefined],
      ['n1', undefined],
    ])
  })

  it('of the last stage does nothing', async () => {
    const { begun, nodeOf } = reading(2)
    const { finish } = scriptedRun(
      definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'x', policy: { warm: 'prefix' } }] }),
      { settings: { nodes: [nodeOf('n')] } },
    )
    expect((await finish()).stages[0]!.warmed).toBeUndefined()
    expect(begun).toEqual([])
  })
})

describe('warm, whatever is done ahead', () => {
  it('off does nothing, and the record says nothing', async () => {
    const { begun, nodeOf } = reading(2)
    const record = await scriptedRun(stages({}, { warm: 'off' }), { settings: { nodes: [nodeOf('n')] } }).finish()
    expect(record.stages.map((stage) => 'warmed' in stage)).toEqual([false, false])
    expect(begun).toEqual([])
  })

  it.each<[unknown, object]>([
    [{ same: { otherwise: 'any' } }, { outcome: 'loaded', node: 'n2' }],
    ['other', { outcome: 'loaded', node: 'n2' }],
  ])('goes where the next call may go, with placement: %j', async (placement, warmed) => {
    const { nodeOf } = reading(1)
    const nodes = [nodeOf('n1', { models: ['m'] }), nodeOf('n2', { models: ['m2'] })]
    const pipeline = stages({ model: 'm2' }, { warm: 'load', placement })
    const record = await scriptedRun(pipeline, { settings: { nodes } }).finish()
    expect(record.stages[0]!.warmed).toEqual({ model: 'm2', ...warmed })
  })

  it('a template that fails is the fault of its own stage', async () => {
    const { nodeOf } = reading(2)
    const pipeline = stages({ prompt: '{% if true %}{{ vars.absent.deep }}{% endif %}' })
    const record = await scriptedRun(pipeline, { settings: { nodes: [nodeOf('n')] } }).finish()
    expect(record.error).toMatchObject({ code: expect.stringMatching(/TEMPLATE|PROMPT_EMPTY/) })
    expect(record.stages[0]).toMatchObject({ settlement: 'completed', warmed: { outcome: 'failed' } })
  })
})

function silentOnPrefill(): Node['backend'] {
  const { prefill: _, ...backend } = scriptedBackend(speak('one two'))
  return { ...backend, kind: 'plain' }
}
