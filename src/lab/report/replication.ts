import { html, type Markup } from '../../pages/html.ts'
import { intervalName } from '../overhead/answer.ts'
import type { Overhead, Replication } from '../overhead/result.ts'
import { figureOf, inTwoWidths } from './charts/figure.ts'
import { type PhaseLike, phasePatterns } from './charts/looks.ts'
import { type PhaseRow, phaseKey, phasesChart, phasesInWords } from './charts/phases.ts'
import { difference, figure, intervalOf } from './figures.ts'
import { figuresTable } from './tables.ts'

/** What this project starts from: one run each, and a guess at what the difference is. ms. */
const ORIGINAL = {
  at100Ms: 224.5,
  at500Ms: 156.7,
  differenceMs: 67.8,
  firstStageMs: 187,
  parts: [
    { name: 'HTTP', ms: 20 },
    { name: 'control flow', ms: 30 },
    { name: 'initialisation', ms: 18 },
  ],
} as const

/** The comparison of two runs, made again: what its difference was said to consist of, and what it does consist of. */
export function replicationSection({ replication, replicationInProcess: native, finding }: Overhead): Markup {
  const made = [
    { name: `here, ${transportName(replication)}`, of: replication },
    ...(native === undefined ? [] : [{ name: `here, ${transportName(native)}`, of: native }]),
  ]
  return html`<section aria-labelledby="replication"><h2 id="replication">The comparison of two runs, made again</h2>
<p>${replication.note}</p>
${
  (finding === 'not known' ? undefined : partsFigure(made)) ??
  html`<p>What the difference consists of is not drawn: it is not known whether the two runs differ, or why.</p>`
}
${figuresTable(
  'Interrupt at 100 and at 500 ms → first token of the second stage: the original has one run each, here are medians',
  ['run', 'first stage', 'at 100 ms', 'at 500 ms', 'difference', 'interval', 'it is the', 'with abort'],
  [
    [
      'the original',
      ms(ORIGINAL.firstStageMs),
      ms(ORIGINAL.at100Ms),
      ms(ORIGINAL.at500Ms),
      difference(ORIGINAL.differenceMs, 'ms'),
      undefined,
      undefined,
      undefined,
    ],
    ...made.map(
      ({ name, of }) =>
        [
          name,
          ms(of.firstStageMs),
          ms(of.at100Ms),
          ms(of.at500Ms),
          of.differenceMs === undefined ? undefined : difference(of.differenceMs, 'ms'),
          of.interval && intervalOf(of.interval, 'ms'),
          of.interval && intervalName(of.n),
          ms(of.abortAt100Ms),
        ] as const,
    ),
  ],
)}</section>`
}

const ms = (value: number | undefined) => (value === undefined ? undefined : figure(value, 'ms'))
const transportName = ({ transport }: Replication) =>
  ({ http: 'over HTTP', 'in-process': 'in-process', ollama: 'Ollama over HTTP' })[transport]

/** The parts as shares of each difference, for the differences themselves are of other models and machines. */
function partsFigure(made: readonly { readonly name: string; readonly of: Replication }[]): Markup | undefined {
  const measured = made.flatMap(({ name, of: { differenceMs, interval = [0, 0], parts } }) =>
    differenceMs === undefined || interval[0] <= 0 || parts.length === 0
      ? []
      : [rowOf(`${name} (measured)`, differenceMs, parts)],
  )
  if (measured.length === 0) return undefined
  const rows = [rowOf('the original (guessed)', 68, ORIGINAL.parts), ...measured]
  const names = new Set(rows.flatMap(({ phases }) => phases.map(({ name }) => name)))
  return html`${phasePatterns(names)}${figureOf({
    id: 'parts',
    title: 'What the difference between the two runs consists of',
    words: [
      ...rows.map((row) => phasesInWords(row, 'share')),
      'The original was one run each. Its parts were not measured: 20 ms HTTP, 30 ms control flow and 18 ms initialisation were a guess.',
    ],
    drawing: inTwoWidths((width) => phasesChart({ rows, unit: 'share', label: 'of the difference' }, width)),
    key: phaseKey(names),
  })}`
}

const rowOf = (
  name: string,
  whole: number,
  parts: readonly { readonly name: PhaseLike; readonly ms: number }[],
): PhaseRow => ({ name, phases: parts.map((part) => ({ name: part.name, value: part.ms / whole })) })
