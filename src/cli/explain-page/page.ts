import { callsOf } from '../../core/call-names.ts'
import type { RunRecord } from '../../core/record.ts'
import { documentOf } from '../../pages/document.ts'
import { milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { ExplainedInterrupt, Explanation } from '../../records/explaining/explanation.ts'
import { claimsOf, sentenceOf } from '../alternative-words.ts'
import { answersInWords } from '../answer-words.ts'
import { interruptHeading } from '../report.ts'
import { callsInWords, clockInWords, costInWords, faultInWords, interruptInWords } from '../words.ts'
import { callChart } from './call-chart.ts'
import { phaseChart } from './phase-chart.ts'
import { costTable, decisionTable, marksTable } from './tables.ts'

/** What `explain` says of a run, as one page that needs no script and nothing from anywhere. */
export function explanationPage({ record, interrupts, clockErrors }: Explanation): string {
  const { pipeline, runId, stages } = record
  return documentOf(
    `${pipeline}, run ${runId.slice(0, 8)}`,
    html`${header(record)}
<main>
<section aria-labelledby="calls"><h2 id="calls">Calls</h2>
${stages.length === 0 ? html`<p>No call was made.</p>` : callChart(record)}</section>
${interrupts.map((each, index) => interruptSection(each, index, interrupts.length))}
<section aria-labelledby="cost"><h2 id="cost">Cost</h2>
<p>${costInWords(record)}</p>
${callsInWords(record).map((sentence) => html`<p>${sentence}</p>`)}
${stages.length > 0 && costTable(record)}</section>
${textSection(record)}
<section aria-labelledby="marks"><h2 id="marks">Marks</h2>
<p class="quiet">The observed instants that everything above is computed from.</p>
${clockErrors.map((error) => html`<p>${clockInWords(error)}</p>`)}
${callsOf(record).map(marksTable)}</section>
</main>`,
  )
}

function header(record: RunRecord): Markup {
  const { pipeline, runId, traceId, startedAt, durationMs, outcome, error, cancelReason } = record
  return html`<header>
<h1>${pipeline} <span class="badge ${outcome === 'completed' ? 'good' : 'bad'}">${outcome}</span></h1>
<p>Took ${milliseconds(durationMs)}${outcome === 'cancelled' && cancelReason !== undefined && `; cancelled: ${cancelReason}`}.</p>
${error && html`<p class="bad">${faultInWords(error)}</p>`}
${answersInWords(record).map((sentence) => html`<p>${sentence}</p>`)}
<p class="quiet">Run ${runId}, started ${startedAt.slice(0, 19).replace('T', ' ')} UTC, trace ${traceId}</p>
</header>`
}

function interruptSection(explained: ExplainedInterrupt, index: number, count: number): Markup {
  const { interrupt } = explained
  const id = `interrupt-${index + 1}`
  const claims = claimsOf(explained)
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${interruptHeading(interrupt, index, count)}</h2>
<p class="lead">${interruptInWords(interrupt)}</p>
${phaseChart(interrupt, `${id}-phases`)}
${
  claims.length > 0 &&
  html`<h3>What would have been different</h3>
<ul class="claims">${claims.map((claim) => html`<li>${sentenceOf(claim)}</li>`)}</ul>
<p class="quiet">Each takes all other phases to be as long as they were.</p>`
}
${decisionTable(explained)}
</section>`
}

/** Only what the record holds: by default it keeps no text. */
function textSection({ stages, output }: RunRecord): Markup | undefined {
  const texts = stages.flatMap(({ id, text, settlement }) => (text === undefined ? [] : [{ id, text, settlement }]))
  if (texts.length === 0 && output === undefined) return undefined
  return html`<section aria-labelledby="text"><h2 id="text">Text</h2>
${texts.map(({ id, text, settlement }) => html`<h3>${id} (${settlement})</h3><pre>${text}</pre>`)}
${output !== undefined && html`<h3>What the user was given</h3><pre>${output}</pre>`}</section>`
}
