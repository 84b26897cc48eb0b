import { CaesuraError } from '../../core/errors.ts'
import type { AnalysisPlan } from '../../core/experiment.ts'
import { pairsFrom } from '../../core/pairs.ts'
import { present } from '../../core/present.ts'
import { didYouMean } from '../../core/problems.ts'

/** The plan with the pairs that `--pairs` asks for: `all`, or `A/B,C/B`. Throws `CAESURA_E_USAGE`. */
export function pairsAsked(plan: AnalysisPlan, asked: string | undefined): AnalysisPlan {
  if (asked === undefined) return plan
  const names = plan.arms.map(({ name }) => name)
  if (asked === 'all') return { ...plan, pairs: pairsFrom('all', plan) }
  const pairs = asked.split(',').map((text): [string, string] => {
    const parts = text.split('/').map((part) => part.trim())
    const [arm, baseline] = parts
    const unknown = parts.find((part) => !names.includes(part))
    if (arm !== undefined && baseline !== undefined && parts.length === 2 && unknown === undefined && arm !== baseline)
      return [arm, baseline]
    const hint = didYouMean(unknown, names)
    throw new CaesuraError('CAESURA_E_USAGE', '--pairs names two arms with a / between them, or is `all`', {
      received: text,
      expected: `arms of ${plan.experiment}: ${names.join(', ')}`,
      ...present({ hint }),
    })
  })
  return { ...plan, pairs }
}
