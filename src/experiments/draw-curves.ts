import type { AnalysisPlan } from '../core/experiment.ts'
import type { Trial } from '../core/trial.ts'
import type { Curves } from './curves.ts'

/** No curves. */
export const curvesOf = (_plan: AnalysisPlan, _trials: Iterable<Trial>): Curves => ({
  quantiles: [],
  clouds: [],
  drift: [],
})
