import type { AnalysisPlan } from '../../core/experiment.ts'
import { documentOf } from '../../pages/document.ts'
import { html } from '../../pages/html.ts'
import type { Analysis } from '../analysis.ts'
import type { Curves } from '../curves.ts'

export interface AbReport {
  readonly analysis: Analysis
  readonly curves: Curves
  readonly plan: AnalysisPlan
  readonly data?: readonly string[]
  readonly command?: string
}

/** The verdict. */
export const abPage = ({ analysis }: AbReport): string =>
  documentOf(analysis.experiment, html`<main><p>${analysis.verdict}</p></main>`)
