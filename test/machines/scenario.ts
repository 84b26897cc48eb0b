import fc from 'fast-check'
import type { PlannedSignal } from '../../src/core/engine.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import type { Reader } from '../fixtures/scripted-run.ts'
import {
  type Combination,
  combinations,
  isEndless,
  mayIgnore,
  nameOf,
  type WrittenPolicy,
  writePolicy,
} from './combinations.ts'

export interface WrittenStage {
  readonly id: string
  readonly policy: WrittenPolicy
  readonly timeout?: { readonly firstToken?: number; readonly stall?: number; readonly total?: number }
  readonly retry?: { readonly attempts: number; readonly pause: number; readonly afterFirstToken: 'fail' | 'restart' }
  readonly fallback?: readonly string[]
}

export interface Scenario {
  /** What the first stage's policy is made of. */
  readonly combination: string
  /** The slots of each node. */
  readonly slots: readonly number[]
  readonly stages: readonly WrittenStage[]
  /** Of the calls in the order in which they are sent, over and over. */
  readonly scripts: readonly CallScript[]
  readonly signals: readonly PlannedSignal[]
  /** Signals whose sender waits for the answer. */
  readonly asked: readonly { readonly atMs: number; readonly input?: string }[]
  readonly cancelAtMs?: number
  readonly prefillMs: number
  readonly reader: Reader
  /** Tokens a second that its text is handed out at; absent: as it comes. */
  readonly pace?: number
}

const upTo = (max: number, min = 0) => fc.integer({ min, max })
/** Present in one of so many cases. */
const oneIn = <T>(cases: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: cases - 1 }, { arbitrary, weight: 1 })

const after = fc.record({ after: upTo(150) })
const tokens = fc.record({ tokens: upTo(8, 1) })
const sentence = fc.record({ sentence: upTo(3, 1) })
const stall = fc.record({ stall: upTo(30) })
const bare = (name: string) => fc.constant({ [name]: null })
const triggers: Record<Combination['trigger'], fc.Arbitrary<object>> = {
  signal: bare('signal'),
  after,
  tokens,
  'first-token': bare('first-token'),
  sentence,
  stall,
  any: fc.record({ any: fc.array(fc.oneof(after, tokens, sentence, stall), { minLength: 1, maxLength: 3 }) }),
  never: bare('never'),
}
const responses: Record<Combination['response'], fc.Arbitrary<unknown>> = {
  drain: fc.constant('drain'),
  abort: fc.constant('abort'),
  overlap: fc.constant('overlap'),
  race: fc.constant('race'),
  grace: fc.record({ grace: upTo(80) }),
  boundary: fc.record({ boundary: fc.record({ cap: upTo(80) }) }),
  hold: fc.record({ hold: fc.record({ confirm: upTo(80), otherwise: fc.constantFrom('resume', 'abort') }) }),
  adaptive: fc.record({ adaptive: fc.record({ slotPrice: fc.constantFrom(0, 1, 20) }) }),
}
const filters = fc.record({
  signals: oneIn(8, fc.constant('ignore' as const)),
  debounce: oneIn(6, upTo(30)),
  cooldown: oneIn(6, upTo(60)),
  minimum: oneIn(8, fc.constantFrom({ words: 2 }, { characters: 2 })),
})

const ids = ['a', 'b', 'c']

/** A policy of this combination for the stage at `index` of `count`; `alone`: there is only one node. */
function policyOf(combination: Combination, index: number, count: number, alone: boolean): fc.Arbitrary<WrittenPolicy> {
  const drawn = fc.record({
    trigger: triggers[combination.trigger],
    filters,
    response: responses[combination.response],
    warm: fc.constantFrom('off', 'load', 'prefix'),
    otherwise: fc.boolean(),
    target: fc.nat(count - 1),
    limit: oneIn(2, upTo(3, 1)),
  })
  return drawn.map(({ trigger, filters: { signals, ...filter }, response, warm, otherwise, target, limit }) =>
    writePolicy(combination, {
      trigger: { ...trigger, ...filter, ...(mayIgnore(combination) && { signals }) },
      response,
      warm,
      otherwise: otherwise || alone,
      target: ids[target]!,
      // Without one it would be refused.
      limit: limit ?? (isEndless(combination, index, target) ? 2 : undefined),
    }),
  )
}

/** Those that are tried again after a token, and those that are not. */
const codes: ErrorCode[] = ['CAESURA_E_STREAM_CUT', 'CAESURA_E_SERVER_BUSY', 'CAESURA_E_PROTOCOL']
const call = {
  tokens: fc.array(fc.constantFrom('One ', 'two ', 'Three. ', 'four. ', '五。', 'Six!\n'), { maxLength: 8 }),
  firstTokenMs: upTo(60),
  tokenMs: upTo(20),
  abortMs: upTo(40),
  endMs: upTo(10),
}
const fail = fc.record({
  code: fc.constantFrom(...codes),
  message: fc.constant('cut'),
  afterTokens: fc.constantFrom(0, 0, 1, 2, 5),
  retryable: fc.boolean(),
})
const calm = { script: fc.record(call), trouble: fc.constant({}) }
const troubled = {
  script: fc.record({ ...call, fail: oneIn(2, fail) }),
  trouble: fc.record({
    timeout: fc.record({
      firstToken: oneIn(2, upTo(80, 1)),
      stall: oneIn(2, upTo(40, 1)),
      total: oneIn(2, upTo(250, 1)),
    }),
    retry: oneIn(
      1,
      fc.record({ attempts: upTo(3, 1), pause: upTo(60), afterFirstToken: fc.constantFrom('fail', 'restart') }),
    ),
    fallback: oneIn(2, fc.array(fc.constantFrom('n1', 'm2'), { minLength: 1, maxLength: 2 })),
  }),
}
const input = fc.constantFrom('x', 'y', 'a whole sentence', undefined)
const signal = fc.oneof(
  fc.record({ afterMs: upTo(250), input }),
  fc.record({ stage: fc.constantFrom(...ids), afterMs: upTo(80), input }),
  fc.record({ stage: fc.constantFrom(...ids, undefined), afterTokens: upTo(8, 1), input }),
)

/** Random interleavings around a first stage of this combination; what the other stages do is drawn as well. */
export function scenarioOf(combination: Combination): fc.Arbitrary<Scenario> {
  const shape = fc.record({
    slots: fc.array(upTo(3, 1), { minLength: 1, maxLength: 3 }),
    others: fc.array(fc.nat(combinations.length - 1), { maxLength: 2 }),
    isTroubled: fc.nat(3).map((side) => side === 0),
  })
  return shape.chain(({ slots, others, isTroubled }) => {
    const { script, trouble } = isTroubled ? troubled : calm
    const stages = [combination, ...others.map((other) => combinations[other]!)].map((of, index, all) =>
      fc
        .record({ policy: policyOf(of, index, all.length, slots.length === 1), trouble })
        .map(({ policy, trouble }) => ({ id: ids[index]!, policy, ...trouble })),
    )
    return fc
      .record({
        combination: fc.constant(nameOf(combination)),
        slots: fc.constant(slots),
        stages: fc.tuple(...stages),
        scripts: fc.array(script, { minLength: 1, maxLength: 6 }),
        signals: fc.array(signal, { minLength: 1, maxLength: 4 }),
        asked: fc.array(fc.record({ atMs: upTo(250), input }), { maxLength: 2 }),
        cancelAtMs: oneIn(5, upTo(200)),
        prefillMs: upTo(60),
        reader: fc.constantFrom('prompt' as const, 'slow' as const, 'late' as const),
        pace: oneIn(4, fc.constantFrom(20, 50, 200)),
      })
      .map((drawn): Scenario => JSON.parse(JSON.stringify(drawn)))
  })
}
