import { type AnalysisPlan, metrics } from '../core/experiment.ts'
import { counted } from '../pages/figures.ts'
import type { Analysis, Checks, Comparison } from './analysis.ts'
import { couldExplain } from './carry-over.ts'
import { pairsOf } from './compare.ts'
import { sentenceOf } from './sentence.ts'
import type { TrialTable } from './trial-table.ts'
import type { View } from './units.ts'
import { duplicateWords } from './words.ts'

export type Decision = Analysis['decision']

interface Grounds {
  readonly plan: AnalysisPlan
  readonly table: TrialTable
  readonly view: View
  readonly comparisons: readonly Comparison[]
  readonly checks: Checks
  /** Why there are no verdicts at all. */
  readonly gate: string | undefined
}

/** What an arm is chosen by beside the first metric. */
const WASTE: readonly string[] = ['wastedTokens', 'wastedSlotMs']

/** The arm that the experiment as a whole is judged by is the one whose decision stands first here. */
const bestFirst: readonly Decision[] = ['better', 'mixed', 'equivalent', 'unclear', 'worse', 'none']

/** Arms whose sentences fit into a verdict. */
const MOST_SENTENCES = 2

/**
 * The decision is the best arm's against the baseline, from the first metric and the wasted tokens and slot time, over all sessions as
 * assigned. Where no arm is compared with the baseline, it is that of the best pair.
 */
export function conclusionOf(grounds: Grounds): Pick<Analysis, 'decision' | 'verdict' | 'reasons'> {
  const { plan } = grounds
  const reasons = reasonsOf(grounds)
  const pairs = judgedPairs(grounds)
  if (pairs.length === 0)
    return {
      decision: 'none',
      verdict: 'No verdict: there is no second arm to compare with.',
      reasons: ['one arm only', ...reasons],
    }
  const withBaseline = pairs.filter(({ baseline }) => baseline === plan.baseline)
  const deciding = withBaseline.length > 0 ? withBaseline : pairs
  const told = [...deciding, ...pairs.filter((pair) => !deciding.includes(pair))]
  const labels = { labelOf: (name: string) => labelOf(plan, name) }
  const sentences = told.slice(0, MOST_SENTENCES).map((pair) => sentenceOf({ ...pair, ...labels }))
  const rest = told
    .slice(MOST_SENTENCES)
    .map(
      ({ name, baseline, decision }) =>
        `${name}${baseline === plan.baseline ? '' : ` against ${baseline}`} ${decision === 'none' ? 'without a verdict' : decision}`,
    )
  const refusals = deciding.flatMap(({ name, decision, primary }) =>
    decision === 'none' && grounds.gate === undefined ? [`${name}: ${primary[0]?.note ?? 'nothing was measured'}`] : [],
  )
  return {
    decision: deciding[0]!.decision,
    verdict: [...sentences, ...(rest.length > 0 ? [`The others: ${rest.join(', ')}.`] : [])].join(' '),
    reasons: [...factorReasons(plan), ...refusals, ...carriedReasons(grounds, deciding), ...reasons],
  }
}

/** The pairs that are compared, without the A/A arm; the best decision first. */
function judgedPairs({ plan, comparisons }: Grounds) {
  return pairsOf(plan)
    .map(([arm, other]) => [plan.arms[arm]!.name, plan.arms[other]!.name] as const)
    .filter((pair) => plan.aaArm === undefined || !pair.includes(plan.aaArm))
    .map(([name, baseline]) => {
      const own = comparisons.filter((each) => each.arm === name && each.baseline === baseline && each.view === 'all')
      const waste = own.filter(({ metric }) => WASTE.includes(metric) && metric !== plan.metrics[0]?.metric)
      const primary = own.filter(({ metric }) => metric === plan.metrics[0]?.metric)
      return { name, baseline, decision: decisionOf(primary, waste), primary, waste }
    })
    .sort((a, b) => bestFirst.indexOf(a.decision) - bestFirst.indexOf(b.decision))
}

/** An arm that differs in several factors is more than a response: its name is said to be one, with what it has of them. */
function labelOf({ arms }: AnalysisPlan, name: string): string {
  const factors = arms.find((arm) => arm.name === name)?.factors
  return factors === undefined ? name : `arm ${name} (${factors.join(', ')})`
}

/** A finding that is no larger than what carry-over could be. */
function carriedReasons({ checks: { carryOver } }: Grounds, pairs: ReturnType<typeof judgedPairs>): string[] {
  if (carryOver === undefined) return []
  return pairs.flatMap(({ name, baseline, primary }) => {
    const found = primary.find(
      ({ finding, metric }) => (finding === 'lower' || finding === 'higher') && metrics[metric].unit === 'ms',
    )
    const could = found && couldExplain(carryOver, found)
    if (could === undefined) return []
    return [
      `what ran before may change what comes after by as much as ${name} and ${baseline} differ (after ${could.after} ${could.interval.map((end) => Number(end.toPrecision(2))).join(' to ')} ms, 95 % interval): a \`washout\`, or a node for each arm, would exclude it`,
    ]
  })
}

function factorReasons({ arms }: AnalysisPlan): string[] {
  const told = arms.find(({ factors }) => factors !== undefined)?.factors
  return told === undefined
    ? []
    : [
        `the arms differ in more than one factor (${arms.map(({ name, factors = [] }) => `${name}: ${factors.join(', ')}`).join('; ')}): what is found is of the arms as a whole, not of one factor`,
      ]
}

type Direction = 'better' | 'worse' | 'mixed' | undefined

function decisionOf(primary: readonly Comparison[], waste: readonly Comparison[]): Decision {
  const said = primary.filter(({ finding }) => finding !== 'refused')
  if (said.length === 0) return 'none'
  const [speed, cost] = [directionOf(primary), directionOf(waste)]
  if (speed === 'mixed' || (speed !== undefined && cost !== undefined && speed !== cost)) return 'mixed'
  if (speed !== undefined) return speed
  if (said[0]!.finding !== 'equivalent') return 'unclear'
  return cost ?? 'equivalent'
}

function directionOf(comparisons: readonly Comparison[]): Direction {
  const directions = new Set(
    comparisons.flatMap(({ metric, finding }) => {
      if (finding !== 'lower' && finding !== 'higher') return []
      return [finding === metrics[metric].better ? ('better' as const) : ('worse' as const)]
    }),
  )
  return directions.size === 2 ? 'mixed' : [...directions][0]
}

function reasonsOf({ plan, table, view, checks, gate }: Grounds): string[] {
  const trials = table.counts.reduce((sum, count) => sum + count.trials, 0)
  const failed = table.counts.reduce((sum, { outcomes }) => sum + outcomes.failed, 0)
  const { incomplete = 0 } = view.blocks ?? {}
  const reasons: (string | false)[] = [
    gate ?? false,
    trials === 0 && 'no trial was made',
    trials > 0 && failed === trials && `all ${trials} trials failed`,
    trials > 0 && failed < trials && failed > trials / 10 && `${failed} of ${trials} trials failed`,
    incomplete > 0 && `${counted(incomplete, 'block')} without every arm: left out of comparisons`,
    view.unblockedTrials > 0 && `${counted(view.unblockedTrials, 'trial')} outside all blocks: left out of comparisons`,
    view.crossedSessions > 0 &&
      `${counted(view.crossedSessions, 'session')} in more than one arm: left out of comparisons`,
    table.strangers > 0 && `${counted(table.strangers, 'trial')} of arms that the experiment does not have: left out`,
    checks.duplicates !== undefined &&
      `${duplicateWords(checks.duplicates)}; the two also kept each other's servers busy, so start anew where that matters`,
    !checks.units.ok &&
      plan.arms.length > 1 &&
      `${checks.units.have} ${view.blocks === undefined ? 'sessions in the smallest arm' : 'complete blocks'}; a verdict needs ${checks.units.needed}`,
    checks.aa?.ok === false &&
      `the A/A arm ${checks.aa.arm} differs from the baseline: something other than the policies does`,
    (checks.lag?.share ?? 0) > 0.01 &&
      `${Math.round(100 * checks.lag!.share)} % of the trials began late: compare arrival → answer`,
  ]
  return reasons.filter((reason) => reason !== false)
}
