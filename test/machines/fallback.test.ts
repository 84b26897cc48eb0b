import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { CallRequest } from '../../src/core/call.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import type { Node } from '../../src/core/ports.ts'
import { type Script, scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const failing = (code: ErrorCode, afterTokens = 0, retryable = false) => ({
  tokens: ['a ', 'b '],
  firstTokenMs: 10,
  tokenMs: 10,
  fail: { code, message: 'x', afterTokens, retryable },
})

const pipelineOf = (fallback: string[], more: object = {}) =>
  definePipeline({ name: 'p', stages: [{ id: 'a', model: 'fast', prompt: '{{ input }}', fallback, ...more }] })

/** Nodes that note who asked them, and answer by the model. */
function fleet(script: (node: string) => Script, models: Readonly<Record<string, readonly string[] | undefined>>) {
  const asked: [string, Pick<CallRequest, 'model'>['model']][] = []
  const nodes = Object.entries(models).map(([name, list]): Node => {
    const backend = scriptedBackend((request) => {
      asked.push([name, request.model])
      const chosen = script(name)
      return typeof chosen === 'function' ? chosen(request) : chosen
    })
    return { name, slots: 1, pool: 'default', backend, ...(list && { models: list }) }
  })
  return { nodes, asked }
}

describe('a fallback', () => {
  it('is turned to in order, at once, when the attempts before are used up; the record shows each', async () => {
    const { nodes, asked } = fleet(
      () =>
        ({ model }) =>
          model === 'third' ? speak('ok') : failing('CAESURA_E_SERVER_BUSY', 0, true),
      {
        n1: undefined,
      },
    )
    const record = await scriptedRun(pipelineOf(['second', 'third'], { retry: { attempts: 2 } }), {
      settings: { nodes, random: () => 0.5, models: { second: 'large:7b' } },
    }).finish()
    expect(asked.map(([, model]) => model)).toEqual(['fast', 'fast', 'large:7b', 'large:7b', 'third'])
    expect(record.stages.map(({ model, settlement, startMs }) => [model, settlement, startMs])).toEqual([
      ['fast', 'failed', 0],
      ['fast', 'failed', 110],
      ['large:7b', 'failed', 120],
      ['large:7b', 'failed', 230],
      ['third', 'completed', 240],
    ])
    expect(record).toMatchObject({ outcome: 'completed', output: 'ok' })
  })

  it('may be a node, which then runs the stage’s own model whatever the placement; a node’s name wins over a model’s', async () => {
    const { nodes, asked } = fleet((node) => (node === 'n2' ? speak('ok') : failing('CAESURA_E_REFUSED', 0, true)), {
      n1: undefined,
      n2: undefined,
    })
    const settings = { nodes, models: { fast: 'small:1b', n2: 'not-meant' } }
    const record = await scriptedRun(pipelineOf(['other-model', 'n2']), { settings }).finish()
    expect(asked).toEqual([
      ['n1', 'small:1b'],
      ['n1', 'other-model'],
      ['n2', 'small:1b'],
    ])
    expect(record.stages.map(({ node, settlement }) => [node, settlement])).toEqual([
      ['n1', 'failed'],
      ['n1', 'failed'],
      ['n2', 'completed'],
    ])
  })

  it.each<[ErrorCode, number]>([
    ['CAESURA_E_NO_MODEL', 2],
    ['CAESURA_E_SERVER', 2],
    ['CAESURA_E_TIMEOUT_LOAD', 2],
    ['CAESURA_E_PROTOCOL', 2],
    ['CAESURA_E_REQUEST', 2],
    ['CAESURA_E_CONTEXT_FULL', 2],
    ['CAESURA_E_PROMPT_EMPTY', 1],
    ['CAESURA_E_INTERNAL', 1],
  ])('after %s: %i calls', async (code, calls) => {
    const script: Script = ({ model }) => (model === 'fast' ? failing(code) : speak('ok'))
    const record = await scriptedRun(pipelineOf(['slow']), { script }).finish()
    expect(record.stages).toHaveLength(calls)
    expect(record.outcome).toBe(calls === 2 ? 'completed' : 'failed')
  })

  it('comes after a timeout, on a node that has its model', async () => {
    const { nodes } = fleet((node) => (node === 'n1' ? { tokens: [], hang: true } : speak('ok')), {
      n1: ['fast'],
      n2: ['slow'],
    })
    const pipeline = pipelineOf(['slow'], { timeout: { firstToken: '1s' } })
    const record = await scriptedRun(pipeline, { settings: { nodes } }).finish()
    expect(record.stages.map(({ node, startMs, error }) => [node, startMs, error?.code])).toEqual([
      ['n1', 0, 'CAESURA_E_TIMEOUT_FIRST_TOKEN'],
      ['n2', 1_000, undefined],
    ])
  })

  it('after the first token only where the stage may start again', async () => {
    const script: Script = ({ model }) => (model === 'fast' ? failing('CAESURA_E_TIMEOUT_TOTAL', 1) : speak('ok'))
    const failed = await scriptedRun(pipelineOf(['slow']), { script }).finish()
    expect(failed).toMatchObject({ outcome: 'failed', output: 'a ' })
    const run = scriptedRun(pipelineOf(['slow'], { retry: { afterFirstToken: 'restart' } }), { script })
    expect(await run.finish()).toMatchObject({ outcome: 'completed', output: 'ok', cost: { wastedTokens: 1 } })
    expect(run.events.flatMap((event) => (event.type === 'output-withdraw' ? event.callId : []))).toEqual(['a.1'])
  })

  it('goes where its model is, whatever the placement; a pinned node without the model fails with the reason', async () => {
    const pipeline = definePipeline({
      name: 'p',
      stages: [
        { id: 'a', model: 'm1', prompt: 'x', policy: { response: 'abort', placement: 'same' } },
        { id: 'b', model: 'm1', prompt: 'y', fallback: ['n2', 'm2'] },
      ],
    })
    const script =
      (node: string): Script =>
      (request) =>
        request.stage === 'a' || node === 'n2' ? speak('one two three') : failing('CAESURA_E_SERVER')
    const { nodes } = fleet(script, { n1: ['m1'], n2: ['m2'] })
    const record = await scriptedRun(pipeline, { settings: { nodes }, signals: [{ afterMs: 60 }] }).finish()
    expect(record.stages.map(({ id, node, model, error }) => [id, node, model, error?.message])).toEqual([
      ['a', 'n1', 'm1', undefined],
      ['b', 'n1', 'm1', 'x'],
      ['b', undefined, 'm1', 'the node n2 takes no calls for the model m1'],
      ['b', 'n2', 'm2', undefined],
    ])
  })

  it('to a model after one to a node is not bound to that node', async () => {
    const { nodes, asked } = fleet((node) => (node === 'n1' ? speak('ok') : failing('CAESURA_E_SERVER')), {
      n1: ['m3'],
      n2: ['fast'],
    })
    const record = await scriptedRun(pipelineOf(['n2', 'm3']), { settings: { nodes } }).finish()
    expect(asked).toEqual([
      ['n2', 'fast'],
      ['n2', 'fast'],
      ['n1', 'm3'],
    ])
    expect(record.outcome).toBe('completed')
  })

  it('is not turned to by an interrupt', async () => {
    const record = await scriptedRun(pipelineOf(['slow'], { policy: { response: 'abort', then: 'end' } }), {
      script: speak('one two three'),
      signals: [{ afterMs: 65 }],
    }).finish()
    expect(record.stages.map(({ settlement }) => settlement)).toEqual(['aborted'])
  })

  it('that fails too ends the run with its fault', async () => {
    const script: Script = ({ model }) => failing(model === 'fast' ? 'CAESURA_E_NO_MODEL' : 'CAESURA_E_SERVER')
    const record = await scriptedRun(pipelineOf(['slow']), { script }).finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_SERVER' } })
  })
})
