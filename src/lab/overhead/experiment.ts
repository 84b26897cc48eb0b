import type { Arm, Experiment, OwnTimes } from '../../core/experiment.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { CellPlan, Handoff, OverheadDesign } from './design.ts'

export const EXPERIMENT = 'overhead'

export type Define = (value: unknown) => Pipeline

/** Behind a nonce it makes a prompt of some 400 tokens, whose prefill has a middle. */
const LONG_TEXT = ' I have a kettle, a pan, a knife and a plant.'.repeat(28)

/** Nothing where the prefix is shared: both stages send the same prompt then, to the letter. Two stages have two nonces. */
const prefixes = {
  shared: () => '',
  unique: (stage: Stage) => `${stage}-{{ vars.nonce }} `,
  long: (stage: Stage) => `${stage}-{{ vars.nonce }}${LONG_TEXT} `,
}
type Stage = 'first' | 'second'
export type Prefix = keyof typeof prefixes

const policies: Record<Exclude<Handoff, 'none'>, Record<string, unknown>> = {
  drain: { response: 'drain' },
  'abort and wait': { response: 'abort' },
  'abort and fire': { response: 'overlap' },
  'fire without abort': { response: 'race' },
  'abort and fire, second node': { response: 'overlap', placement: 'other' },
}

/** What every call has in common. */
export interface CallPlan extends Pick<OverheadDesign, 'seed' | 'system' | 'prompt'> {
  /** A call that takes longer fails, ms. */
  readonly limitMs: number
}

export const stageOf = (
  { seed, system, prompt, limitMs }: CallPlan,
  id: Stage,
  maxTokens: number,
  prefix: Prefix = 'shared',
) => ({
  ...{ id, model: 'measured', system: prefixes[prefix](id) + system, prompt },
  timeout: { total: limitMs },
  options: { temperature: 0, seed, maxTokens },
})

/**
 * How long a call of a trial may take, ms: a server that has lost its slot (ollama#17131) answers never, and one that is only slow is
 * rarely fifty times slower than it was.
 */
export const limitOf = ({ firstStageMs }: Pick<OverheadDesign, 'firstStageMs'>): number =>
  5_000 + Math.round(50 * Math.max(...Object.values(firstStageMs)))

/** When a queued call is interrupted, ms after it was sent: the call before it takes longer. */
const QUEUED_MS = 20
const AFTER_THE_FINISH = 1.2

/** The design as an experiment of `ab`: an arm is a cell, a round is a block. */
export function experimentOf(design: OverheadDesign, define: Define): Experiment {
  return {
    ...{ name: EXPERIMENT, baseline: design.cells[0]?.id ?? '', aa: false, seed: design.seed },
    arms: design.cells.map((cell) => armOf(cell, design, define)),
    workload: { prompts: [''], interrupts: { kind: 'none' }, vars: {} },
    ...{ sessions: design.blocks, blocks: design.blocks, turns: 1, warmUp: 1, washoutMs: 0, nonce: false },
    load: { kind: 'closed', users: 1, thinkMs: 0 },
    metrics: [{ metric: 'interruptToFirstTokenMs', statistics: ['p50'] }],
    budget: {},
  }
}

function armOf(cell: CellPlan, design: OverheadDesign, define: Define): Arm {
  const { id, interrupt, handoff, prefix, answer, transport, repeat } = cell
  const plan = { ...design, limitMs: limitOf(design) }
  const { maxTokens, shortTokens, replicationMs } = design
  const made = (...stages: object[]) => define({ name: `overhead: ${id}`, stages })
  const whole = () => made(stageOf(plan, 'first', maxTokens))
  const common = { name: id, policy: handoff, group: groupOf(cell), repeat }
  if (interrupt === 'none') {
    const tokens = answer === 'short' ? shortTokens : maxTokens
    return { ...common, nonce: true, pipeline: made(stageOf(plan, 'first', tokens, prefix)) }
  }
  if (handoff === 'none') {
    // A call of its own: in one run the second stage would follow the first at once.
    const after = (design.firstStageMs[transport] ?? replicationMs.late) * AFTER_THE_FINISH
    const leastMs = interrupt === 'at 500 ms' ? replicationMs.late : after
    const pipeline = made(stageOf(plan, 'first', shortTokens))
    return { ...common, pipeline, before: { pipeline: whole(), until: 'end', leastMs } }
  }
  const first = stageOf(plan, 'first', maxTokens, interrupt === 'mid-prefill' ? 'long' : prefix)
  const policy = { carry: 'none', ...policies[handoff] }
  return {
    ...common,
    nonce: true,
    interrupts: timesOf(cell, design),
    pipeline: made({ ...first, policy }, stageOf(plan, 'second', shortTokens, prefix)),
    ...(interrupt === 'queued' && { before: { pipeline: whole(), until: 'first-token' } }),
  }
}

/** Cells that are compared with each other follow each other: so a busy moment of the machine meets both. */
const groupOf = ({ interrupt, answer }: CellPlan): string =>
  interrupt === 'at 500 ms' ? 'at 100 ms' : interrupt === 'none' ? answer : interrupt

const shares: Partial<Record<CellPlan['interrupt'], number>> = {
  'decode 25 %': 0.25,
  'decode 50 %': 0.5,
  'decode 75 %': 0.75,
}

function timesOf(
  { interrupt, transport }: CellPlan,
  { maxTokens, longPrefillMs = 0, replicationMs, firstStageMs }: OverheadDesign,
): OwnTimes {
  if (interrupt === 'uniform') return { kind: 'uniform', fromMs: 0, toMs: firstStageMs[transport] ?? 0 }
  if (interrupt === 'queued') return { kind: 'list', atMs: [QUEUED_MS] }
  if (interrupt === 'mid-prefill') return { kind: 'list', atMs: [longPrefillMs / 2] }
  if (interrupt === 'at 100 ms') return { kind: 'list', atMs: [replicationMs.early] }
  return { kind: 'tokens', after: Math.max(1, Math.round(maxTokens * (shares[interrupt] ?? 0))) }
}
