import { type AnalysisPlan, metrics } from '../core/experiment.ts'
import { counted } from '../pages/figures.ts'
import type { Analysis, Checks, Comparison } from './analysis.ts'
import { sentenceOf } from './sentence.ts'
import type { TrialTable } from './trial-table.ts'
import type { View } from './units.ts'

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

/** The decision is the best arm's, from the first metric and the wasted tokens and slot time, over all sessions as assigned. */
export function conclusionOf(grounds: Grounds): Pick<Analysis, 'decision' | 'verdict' | 'reasons'> {
  const { plan, comparisons } = grounds
  const reasons = reasonsOf(grounds)
  const others = plan.arms.filter(({ name }) => name !== plan.baseline && name !== plan.aaArm)
  if (others.length === 0)
    return {
      decision: 'none',
      verdict: 'No verdict: there is no second arm to compare with.',
      reasons: ['one arm only', ...reasons],
    }
  const judged = others
    .map(({ name }) => {
      const own = comparisons.filter(({ arm, view }) => arm === name && view === 'all')
      const waste = own.filter(({ metric }) => WASTE.includes(metric) && metric !== plan.metrics[0]?.metric)
      const primary = own.filter(({ metric }) => metric === plan.metrics[0]?.metric)
      return { name, decision: decisionOf(primary, waste), primary, waste }
    })
    .sort((a, b) => bestFirst.indexOf(a.decision) - bestFirst.indexOf(b.decision))
  const sentences = judged.slice(0, MOST_SENTENCES).map(sentenceOf)
  const rest = judged
    .slice(MOST_SENTENCES)
    .map(({ name, decision }) => `${name} ${decision === 'none' ? 'without a verdict' : decision}`)
  const refusals = judged.flatMap(({ name, decision, primary }) =>
    decision === 'none' && grounds.gate === undefined ? [`${name}: ${primary[0]?.note ?? 'nothing was measured'}`] : [],
  )
  return {
    decision: judged[0]!.decision,
    verdict: [...sentences, ...(rest.length > 0 ? [`The others: ${rest.join(', ')}.`] : [])].join(' '),
    reasons: [...refusals, ...reasons],
  }
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
