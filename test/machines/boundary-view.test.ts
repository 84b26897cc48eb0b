import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import { type BoundaryView, fireNext, type ResponseDefinition, setDeadline } from '../../src/core/policy.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const ms = (value: number) => value * 1e6

/** What a response that goes on at its deadline, 30 ms after the interrupt, is shown at each moment. `isBehind`: another run has the only slot. */
async function viewsOf(
  signalAt: number,
  carry = 'sentences',
  draft = 'One two. Three four five. Six ',
  isBehind = false,
) {
  const views: [string, BoundaryView][] = []
  // A view is computed as it is asked for: each part is asked for here, at once.
  const see = (moment: string, view: BoundaryView) => {
    views.push([moment, { ...view, call: { ...view.call }, expected: view.expected }])
  }
  const spy: ResponseDefinition = {
    name: 'spy',
    summary: 's',
    start: (view) => {
      see('start', view)
      return [setDeadline(30)]
    },
    on: {
      deadline: (view) => {
        see('deadline', view)
        return [fireNext]
      },
      token: (view, _, { text }) => {
        see(`token${text}`, view)
        return []
      },
      callSettled: (view) => {
        see('callSettled', view)
        return []
      },
      slotFree: (view) => {
        see('slotFree', view)
        return []
      },
      nextFirstToken: (view) => {
        see('nextFirstToken', view)
        return []
      },
    },
  }
  const own = { ...catalogue, responses: [spy] }
  const pipeline = definePipelineWith(own, {
    name: 'p',
    stages: [
      { id: 'draft', model: 'm', prompt: 'x', policy: { response: 'spy', carry } },
      { id: 'refine', model: 'm', prompt: 'y', policy: { response: 'spy' } },
    ],
  })
  const signals = [{ afterMs: signalAt }]
  const { clock, engine, finish } = scriptedRun(pipeline, {
    settings: { catalogue: own },
    slots: isBehind ? 1 : 2,
    ...(!isBehind && { signals }),
    script: (r) => (r.stage === 'draft' ? speak(draft) : speak('done', { firstTokenMs: 5 })),
  })
  if (isBehind) await clock.until(engine.start(pipeline, { input: '', signals }).result)
  await finish()
  return views
}

describe('what a response sees', () => {
  it('at the interrupt, and at each event it listens to', async () => {
    const views = await viewsOf(85)
    expect(views.map(([moment]) => moment)).toEqual([
      'start',
      'token five.',
      'token Six',
      'token ',
      'callSettled',
      'slotFree',
      'deadline',
    ])
    const [start, five, settled] = [views[0]![1], views[1]![1], views[4]![1]]
    expect(start).toStrictEqual({
      now: ms(85),
      interruptedAt: ms(85),
      carry: 'sentences',
      call: {
        startedAt: 0,
        firstTokenAt: ms(50),
        tokens: 4,
        settled: false,
        complete: false,
        inSentence: true,
        // `One two.` stands, and came at 60 ms.
        wastedMs: 25,
      },
      expected: {
        restMs: 124 * 15,
        restTokens: 124,
        abortLagMs: 30,
        basis: 'no longer answer observed, so by stated priors',
      },
      next: { fired: false },
    })
    expect(five).toMatchObject({ now: ms(90), call: { tokens: 5, inSentence: false, wastedMs: 0 } })
    expect(settled).toMatchObject({
      now: ms(110),
      call: { tokens: 7, settled: true, complete: true, inSentence: true, wastedMs: 0 },
      next: { fired: false },
    })
  })

  it('of the next call, once it is fired', async () => {
    const views = await viewsOf(60)
    expect(views.find(([moment]) => moment === 'nextFirstToken')).toMatchObject([
      'nextFirstToken',
      { now: ms(95), call: { settled: false, complete: false }, next: { fired: true, firstTokenAt: ms(95) } },
    ])
    expect(views.find(([moment]) => moment === 'deadline')![1].next).toStrictEqual({ fired: false })
  })

  it('of a call that has not answered yet', async () => {
    const [, start] = (await viewsOf(20))[0]!
    expect(start.call).toStrictEqual({
      startedAt: 0,
      tokens: 0,
      settled: false,
      complete: false,
      inSentence: false,
      wastedMs: 20,
    })
    // Blanks are no sentence.
    const [, blank] = (await viewsOf(55, 'none', '  \n'))[0]!
    expect(blank.call).toMatchObject({ inSentence: false, wastedMs: 55 })
  })

  it('of a call that waits for a slot: nothing can be wasted', async () => {
    const [, start] = (await viewsOf(20, 'none', 'One', true))[0]!
    expect(start.call).toMatchObject({ startedAt: 0, tokens: 0, wastedMs: 0 })
  })
})
