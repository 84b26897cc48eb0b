import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import type { PlannedSignal } from '../../src/core/engine.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { fireNext, type ResponseDefinition, withdrawNext } from '../../src/core/policy.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

/** Events but tokens, each as a line: `ms type key=value …`, every key that is there. */
const lines = (events: readonly RunEvent[]) =>
  events.flatMap(({ seq: _, runId: __, ms, type, ...rest }) => {
    if (type === 'token' || type === 'run-start') return []
    const { stage: ___, ...told } = { stage: '', ...rest }
    return [[ms, type, ...Object.entries(told).map(([key, value]) => `${key}=${value}`)].join(' ')]
  })

/** Asks for the next stage at once, thinks better of it at its first token, and waits for the end of the call. */
const hesitant: ResponseDefinition = {
  name: 'hesitant',
  summary: 'hesitates',
  start: () => [fireNext],
  on: { nextFirstToken: () => [withdrawNext] },
}
const own = { ...catalogue, responses: [...catalogue.responses, hesitant] }

async function told(policy: object, signals: PlannedSignal[] = [], answer = speak('so', { firstTokenMs: 10 })) {
  const pipeline = definePipelineWith(own, {
    name: 'p',
    stages: [
      { id: 'a', model: 'm', prompt: 'x', policy },
      { id: 'b', model: 'm', prompt: 'b {{ a.output }}' },
    ],
  })
  const { finish, events } = scriptedRun(pipeline, {
    settings: { catalogue: own },
    slots: 3,
    signals,
    // The draft speaks from 50 ms on and ends by itself at 90 ms.
    script: (r) => (r.stage === 'a' ? speak('One two. Three four five.') : answer),
  })
  const record = await finish()
  return { lines: lines(events).slice(1, -1), record }
}
const at = (afterMs: number, input = 'x'): PlannedSignal => ({ afterMs, input })
const summary = (name: string) => own.responses.find((response) => response.name === name)!.summary
const decided = (name: string, decision = name, reason = summary(name), interrupt = 1) =>
  `interrupt-decide callId=a.1 interrupt=${interrupt} response=${name} decision=${decision} reason=${reason}`
const goesOn = (ms: number) => [
  `${ms} stage-start callId=b.1 visit=1 attempt=1 model=m`,
  `${ms + 10} stage-settle callId=b.1 settlement=completed`,
  `${ms + 10} output-commit callId=b.1 characters=2`,
]

describe('the readers of a run are told, once and in order', () => {
  it('of a signal, what was decided, how the call ended, what of it stands', async () => {
    expect((await told({ response: 'abort', carry: 'sentences' }, [at(75)])).lines).toEqual([
      '75 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `75 ${decided('abort')}`,
      '75 stage-settle callId=a.1 settlement=aborted',
      '75 output-commit callId=a.1 characters=8',
      ...goesOn(75),
    ])
  })

  it('of a trigger, which has no input; and that nothing of the output stands', async () => {
    expect((await told({ trigger: { tokens: 2 }, response: 'abort', carry: 'none' })).lines).toEqual([
      '60 interrupt-signal callId=a.1 interrupt=1 trigger=tokens',
      `60 ${decided('abort')}`,
      '60 stage-settle callId=a.1 settlement=aborted',
      '60 output-withdraw callId=a.1',
      ...goesOn(60),
    ])
  })

  it('of a call that had said nothing: nothing of it is withdrawn', async () => {
    expect((await told({ response: 'abort', carry: 'none' }, [{ afterMs: 20 }])).lines).toEqual([
      '20 interrupt-signal callId=a.1 interrupt=1 trigger=signal',
      `20 ${decided('abort')}`,
      '20 stage-settle callId=a.1 settlement=aborted',
      '20 output-commit callId=a.1 characters=0',
      ...goesOn(20),
    ])
  })

  it('of the whole output of a call that ended by itself, whatever is carried', async () => {
    expect((await told({ response: 'drain', carry: 'none' }, [at(75)])).lines).toEqual([
      '75 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `75 ${decided('drain')}`,
      '90 stage-settle callId=a.1 settlement=drained',
      '90 output-commit callId=a.1 characters=25',
      ...goesOn(90),
    ])
  })

  it('of a next call that is withdrawn and made again with the whole output', async () => {
    expect((await told({ response: 'race', carry: 'sentences' }, [at(85)])).lines).toEqual([
      '85 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `85 ${decided('race')}`,
      '85 output-commit callId=a.1 characters=8',
      '85 stage-start callId=b.1 visit=1 attempt=1 model=m',
      '90 stage-settle callId=a.1 settlement=drained',
      '90 output-commit callId=a.1 characters=25',
      '90 output-withdraw callId=b.1',
      '90 output-commit callId=a.1 characters=25',
      '90 stage-start callId=b.2 visit=2 attempt=1 model=m',
      '90 stage-settle callId=b.1 settlement=withdrawn',
      '100 stage-settle callId=b.2 settlement=completed',
      '100 output-commit callId=b.2 characters=2',
    ])
  })

  it('of a next call that is only withdrawn: the run goes on when the old call has ended', async () => {
    const { lines, record } = await told({ response: 'hesitant' }, [at(65)])
    expect(lines).toEqual([
      '65 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `65 ${decided('hesitant')}`,
      '65 output-commit callId=a.1 characters=8',
      '65 stage-start callId=b.1 visit=1 attempt=1 model=m',
      '75 output-withdraw callId=b.1',
      '75 stage-settle callId=b.1 settlement=withdrawn',
      '90 stage-settle callId=a.1 settlement=drained',
      '90 output-commit callId=a.1 characters=25',
      '90 stage-start callId=b.2 visit=2 attempt=1 model=m',
      '100 stage-settle callId=b.2 settlement=completed',
      '100 output-commit callId=b.2 characters=2',
    ])
    expect(record.stages.map(({ callId, tokens }) => [callId, tokens.wasted])).toEqual([
      ['a.1', 0],
      ['b.1', 1],
      ['b.2', 0],
    ])
    expect(record.interrupts).toMatchObject([{ toCall: 'b.2', toFirstTokenMs: 35 }])
  })

  it('of a newer signal, for which the decision stands that was told of the older one', async () => {
    const { lines, record } = await told({ response: 'drain' }, [at(65), at(75, 'y')])
    expect(lines).toEqual([
      '65 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `65 ${decided('drain')}`,
      '75 interrupt-signal callId=a.1 interrupt=2 trigger=signal input=y',
      `75 ${decided('drain', 'drain', summary('drain'), 2)}`,
      '90 stage-settle callId=a.1 settlement=drained',
      '90 output-commit callId=a.1 characters=25',
      ...goesOn(90),
    ])
    expect(record.interrupts.map(({ superseded, toCall }) => [superseded, toCall])).toEqual([
      [true, undefined],
      [false, 'b.1'],
    ])
  })

  it('of a false interrupt', async () => {
    expect((await told({ response: { hold: { confirm: 10 } } }, [at(75)])).lines).toEqual([
      '75 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `85 ${decided('hold', 'resume', 'nothing confirmed the interrupt within 10 ms')}`,
      '90 stage-settle callId=a.1 settlement=completed',
      '90 output-commit callId=a.1 characters=25',
      ...goesOn(90),
    ])
  })

  it('of a confirmed interrupt: nothing was decided of the first signal', async () => {
    expect((await told({ response: { hold: { confirm: 50 } } }, [at(65), at(75, 'y')])).lines).toEqual([
      '65 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      '75 interrupt-signal callId=a.1 interrupt=2 trigger=signal input=y',
      `75 ${decided('hold', 'abort', 'a second signal confirmed the interrupt', 2)}`,
      '75 stage-settle callId=a.1 settlement=aborted',
      '75 output-commit callId=a.1 characters=14',
      ...goesOn(75),
    ])
  })

  it('of a call that ended while it was held: what was held back does not stand', async () => {
    const { lines } = await told({ response: { hold: { confirm: 50 } }, carry: 'delivered' }, [at(75), at(100, 'y')])
    expect(lines).toEqual([
      '75 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      '90 stage-settle callId=a.1 settlement=drained',
      '100 interrupt-signal callId=a.1 interrupt=2 trigger=signal input=y',
      `100 ${decided('hold', 'abort', 'a second signal confirmed the interrupt', 2)}`,
      '100 output-commit callId=a.1 characters=14',
      ...goesOn(100),
    ])
  })

  it('of an empty answer: the old call has lost against it all the same', async () => {
    const empty = { tokens: [], firstTokenMs: 10 }
    const { lines, record } = await told({ response: 'race', carry: 'none' }, [at(65)], empty)
    expect(lines).toEqual([
      '65 interrupt-signal callId=a.1 interrupt=1 trigger=signal input=x',
      `65 ${decided('race')}`,
      '65 output-withdraw callId=a.1',
      '65 stage-start callId=b.1 visit=1 attempt=1 model=m',
      '75 stage-settle callId=b.1 settlement=completed',
      '75 output-commit callId=b.1 characters=0',
      '75 stage-settle callId=a.1 settlement=withdrawn',
    ])
    expect(record).toMatchObject({ outcome: 'completed', output: '' })
  })
})
