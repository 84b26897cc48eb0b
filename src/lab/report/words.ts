import { metrics } from '../../core/experiment.ts'
import type { Analysis, Comparison } from '../analysis.ts'
import { statisticWords } from './figures.ts'

type Tone = 'good' | 'bad' | 'neutral'

/** The badge beside the name of the experiment. */
export const decisionWords: Record<Analysis['decision'], readonly [words: string, tone: Tone]> = {
  better: ['better', 'good'],
  worse: ['worse', 'bad'],
  mixed: ['a trade-off', 'neutral'],
  equivalent: ['no difference that matters', 'neutral'],
  unclear: ['unclear', 'neutral'],
  none: ['no verdict', 'bad'],
}

/** `lower` alone does not say whether that is wanted. */
export function findingWords({ metric, finding }: Pick<Comparison, 'metric' | 'finding'>): string {
  if (finding === 'lower' || finding === 'higher')
    return `${finding}: ${metrics[metric].better === finding ? 'better' : 'worse'}`
  return { equivalent: 'equivalent', unclear: 'unclear', refused: 'no statement' }[finding]
}

export function markOf({ metric, finding }: Pick<Comparison, 'metric' | 'finding'>): 'good' | 'bad' | 'same' | 'open' {
  if (finding === 'equivalent') return 'same'
  if (finding === 'lower' || finding === 'higher') return metrics[metric].better === finding ? 'good' : 'bad'
  return 'open'
}

/** `interrupt → first token, median`. */
export const whatIsCompared = ({ metric, statistic }: Pick<Comparison, 'metric' | 'statistic'>): string =>
  `${metrics[metric].title}, ${statisticWords[statistic]}`
