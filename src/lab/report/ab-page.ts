import { sum } from 'd3-array'
import type { AnalysisPlan } from '../../core/experiment.ts'
import { documentOf } from '../../pages/document.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { Analysis } from '../analysis.ts'
import type { Curves } from '../curves.ts'
import { cloudFigure, distributionFigures, driftFigure, frontFigure, looksOf, phasesFigure } from './arm-charts.ts'
import { checksTable } from './checks.ts'
import { cards, effectFigure, otherDifferences } from './effect.ts'
import { howToRead } from './how-to-read.ts'
import { rawData } from './raw-data.ts'
import { reportStyle } from './style.ts'
import { armsTable, comparisonsTables, distributionTables, pairsTable, phasesTable, sequencesTable } from './tables.ts'
import { decisionWords } from './words.ts'

export interface AbReport {
  readonly analysis: Analysis
  readonly curves: Curves
  readonly plan: AnalysisPlan
  /** The trials, a JSON text each. They are in the page where they have at most 1.5 MB together. */
  readonly data?: readonly string[]
  /** What prints the trials; `caesura ab data NAME` by default. */
  readonly command?: string
}

/** The report of an experiment: one page that needs no script and nothing from anywhere. */
export function abPage({ analysis, curves, plan, data, command }: AbReport): string {
  const { experiment } = analysis
  const looks = looksOf(analysis)
  const dynamics = [
    phasesFigure(analysis),
    phasesTable(analysis),
    cloudFigure(curves, looks),
    driftFigure(curves, plan, looks),
  ]
  return documentOf(
    `${experiment}: A/B of interrupt policies`,
    html`${header(analysis)}
<main>
<section aria-labelledby="effect-and-cost"><h2 id="effect-and-cost">Effect and cost</h2>
${cards(analysis, plan)}
${effectFigure(analysis, plan) ?? html`<p>There is no comparison.</p>`}
${frontFigure(analysis, looks)}</section>
<section aria-labelledby="design"><h2 id="design">Design and checks</h2>
${designTable(analysis)}
${checksTable(analysis)}
${armsTable(analysis)}</section>
<section aria-labelledby="comparisons"><h2 id="comparisons">Comparisons</h2>
${otherDifferences(analysis, plan)}
${sequencesTable(analysis)}
${comparisonsTables(analysis) ?? html`<p>There is none.</p>`}</section>
<section aria-labelledby="distributions"><h2 id="distributions">Distributions</h2>
${distributionFigures(curves, plan, looks)}
${distributionTables(analysis, plan)}</section>
${
  dynamics.some((part) => part !== undefined) &&
  html`<section aria-labelledby="moments"><h2 id="moments">Where the time goes</h2>
${dynamics}</section>`
}
<section aria-labelledby="reading"><h2 id="reading">How to read this</h2>
${howToRead(analysis)}</section>
<section aria-labelledby="data"><h2 id="data">Raw data</h2>
${rawData(experiment, data, command ?? `caesura ab data ${quoted(experiment)}`)}</section>
</main>`,
    reportStyle,
  )
}

const quoted = (name: string) => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`)

const amount = (count: number, noun: string) => `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`

function header({ experiment, execution, kind, decision, verdict, reasons, arms, design }: Analysis): Markup {
  const [words, tone] = decisionWords[decision]
  const [trials, interrupts] = [sum(arms, (arm) => arm.trials), sum(arms, (arm) => arm.interrupts)]
  return html`<header>
<h1>${experiment} <span class="badge ${tone}">${words}</span></h1>
<p class="lead verdict">${verdict}</p>
${reasons.length > 0 && html`<ul class="claims">${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}
<p class="quiet">${kind === 'live' ? 'Live traffic' : 'Run side by side'}: ${amount(trials, 'run')} with ${amount(interrupts, 'interrupt')} in ${amount(arms.length, 'arm')}, baseline ${design.baseline}${execution !== undefined && `; execution ${execution}`}</p>
</header>`
}

const designTable = ({ design }: Analysis): Markup =>
  pairsTable('Design', [
    { name: 'Baseline', says: design.baseline },
    {
      name: 'Unit',
      says:
        design.unit === 'session'
          ? 'a session was assigned as a whole'
          : 'all sessions of one arm in one block were assigned as a whole',
    },
    ...(design.blocks === undefined ? [] : [{ name: 'Blocks', says: `${design.blocks}, every arm once in each` }]),
    {
      name: 'Tests',
      says: `${design.permutations.toLocaleString('en-US')} permutations of the units; seed ${design.seed}`,
    },
  ])
