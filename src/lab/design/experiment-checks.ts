import type { Experiment, InterruptTimes } from '../../core/experiment.ts'
import { isRecord, type Path, type Problem, placeOf, type Source, type Warning } from '../../core/problems.ts'

/** A verdict needs so many blocks, as `lab/refusal.ts` has it. */
export const LEAST_BLOCKS = 12

/** How the arm is called that does the same as the baseline. */
export const aaName = (baseline: string): string => `${baseline}-again`

/** Problems of what was written, whatever else is wrong with it: names that stand twice, numbers that do not go together. */
export function writtenProblems(value: unknown): Problem[] {
  if (!isRecord(value)) return []
  return [...nameProblems(value), ...blockProblems(value)]
}

function nameProblems({ arms: written, baseline, aa, compare }: Record<string, unknown>): Problem[] {
  const arms: unknown[] = Array.isArray(written) ? written.slice(0, 20) : []
  const names = arms.map((arm) => (isRecord(arm) && typeof arm.name === 'string' ? arm.name : undefined))
  const problems = names.flatMap((name, index): Problem[] => {
    const first = names.indexOf(name)
    if (name === undefined || first === index) return []
    const params = { expected: 'a name that no other arm has' }
    return [{ path: ['arms', index, 'name'], input: name, message: `is the name of arms[${first}] already`, params }]
  })
  const known = names.filter((name) => name !== undefined)
  if (typeof baseline === 'string' && known.length > 0 && !known.includes(baseline)) {
    const params = { expected: known.join(', '), allowed: known }
    problems.push({ path: ['baseline'], input: baseline, message: 'names no arm', params })
  }
  for (const [place, pair] of (Array.isArray(compare) ? compare : []).entries()) {
    if (!Array.isArray(pair)) continue
    const params = { expected: known.join(', '), allowed: known }
    for (const [side, name] of pair.entries())
      if (typeof name === 'string' && known.length > 0 && !known.includes(name))
        problems.push({ path: ['compare', place, side], input: name, message: 'names no arm', params })
    if (pair[0] === pair[1])
      problems.push({
        path: ['compare', place],
        input: pair[0],
        message: 'is one arm twice',
        params: { expected: 'two arms' },
      })
  }
  const again = aaName(typeof baseline === 'string' ? baseline : (known[0] ?? ''))
  const index = names.indexOf(again)
  if (aa === true && index !== -1) {
    const params = { expected: 'another name' }
    problems.push({ path: ['arms', index, 'name'], input: again, message: 'is what `aa` calls its arm', params })
  }
  return problems
}

function blockProblems({ sessions = 40, blocks }: Record<string, unknown>): Problem[] {
  if (!isCount(sessions) || !isCount(blocks) || sessions % blocks === 0) return []
  const params = { expected: `a divisor of sessions (${sessions}), so that each block holds equally many` }
  return [{ path: ['blocks'], input: blocks, message: 'does not divide sessions', params }]
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0

/** Problems of an experiment whose every part holds. */
export function experimentProblems(experiment: Experiment): Problem[] {
  return [...shareProblems(experiment), ...timeProblems(experiment), ...tokenProblems(experiment)]
}

function shareProblems({ workload, warmUp }: Experiment): Problem[] {
  if (workload.interrupts.kind !== 'share' || warmUp > 0) return []
  const params = { expected: 'warmUp of 1 or more, which measures the first stage' }
  return [{ path: ['workload', 'interrupts', 'share'], message: 'cannot be known without a warm-up', params }]
}

const earliest = (times: InterruptTimes): number =>
  times.kind === 'list'
    ? times.atMs.reduce((least, ms) => Math.min(least, ms))
    : times.kind === 'uniform'
      ? times.fromMs
      : 0

/** The least time that one block takes: its pauses, and the times at which its interrupts come. */
function leastBlockMs({ arms, aa, sessions, blocks, turns, workload, washoutMs, load }: Experiment): number {
  const inBlock = arms.length + (aa ? 1 : 0)
  const atOnce = load.kind === 'closed' ? load.users : Number.POSITIVE_INFINITY
  const inTurn = Math.max(1, Math.ceil(sessions / blocks / atOnce)) * turns
  const think = load.kind === 'closed' ? load.thinkMs : 0
  const between = Math.max(washoutMs, think) + (inTurn - 1) * think
  return inBlock * (between + inTurn * earliest(workload.interrupts))
}

function timeProblems(experiment: Experiment): Problem[] {
  const { timeMs } = experiment.budget
  const least = leastBlockMs(experiment)
  if (timeMs === undefined || timeMs >= least) return []
  const params = { expected: `at least ${least} ms, which the interrupts and pauses of one block take` }
  return [{ path: ['budget', 'time'], input: timeMs, message: 'is too little for one block', params }]
}

function tokenProblems({ arms, budget: { tokens } }: Experiment): Problem[] {
  if (tokens === undefined) return []
  const most = Math.max(
    ...arms.map(({ pipeline }) => pipeline.stages.reduce((sum, { asks }) => sum + (asks?.options.maxTokens ?? 0), 0)),
  )
  if (tokens >= most) return []
  const params = { expected: `at least ${most}, which one trial may generate (maxTokens of its stages)` }
  return [{ path: ['budget', 'tokens'], input: tokens, message: 'is too little for one trial', params }]
}

/** What is allowed, but will hardly give a verdict. */
export function experimentWarnings(experiment: Experiment, source: Source): Warning[] {
  const { arms, baseline, blocks, aa } = experiment
  const warning = (path: Path, message: string, hint: string): Warning => ({
    message,
    ...placeOf(source, path, {}),
    hint,
  })
  const base = arms.find(({ name }) => name === baseline)
  const same = arms.flatMap((arm, index) =>
    arm !== base && JSON.stringify(arm.pipeline) === JSON.stringify(base?.pipeline)
      ? [
          warning(
            ['arms', index],
            `arms[${index}] does the same as ${baseline}.`,
            aa ? 'Leave it out: `aa` adds such an arm.' : 'For an arm that must not differ, write `aa: true`.',
          ),
        ]
      : [],
  )
  const few =
    blocks < LEAST_BLOCKS
      ? [
          warning(
            ['blocks'],
            `${blocks} ${blocks === 1 ? 'block is' : 'blocks are'} too few for a verdict.`,
            `It takes ${LEAST_BLOCKS} or more.`,
          ),
        ]
      : []
  const alone =
    arms.length === 1 && !aa
      ? [warning(['arms'], 'With one arm there is nothing to compare.', 'Add an arm, or `aa: true`.')]
      : []
  return [...same, ...few, ...alone]
}
