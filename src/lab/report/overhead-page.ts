import { documentOf } from '../../pages/document.ts'
import { milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import { intervalName } from '../overhead/answer.ts'
import type { Contrast, ContrastName, Overhead } from '../overhead/result.ts'
import { difference, intervalOf } from './figures.ts'
import { contrastsFigure, slopesFigure } from './overhead-charts.ts'
import { cellsTable, contrastsTable, settingTable, slopesTable } from './overhead-tables.ts'
import { replicationSection } from './replication.ts'
import { reportStyle } from './style.ts'

/** The report of `overhead`: one page that needs no script and nothing from anywhere. */
export function overheadPage(overhead: Overhead): string {
  const { answer, cautions, contrasts, quick, scope, setting } = overhead
  return documentOf(
    'Is it HTTP? The cost of transport and interrupts',
    html`<header>
<h1>Is it HTTP? <span class="badge neutral">${quick ? 'quick run' : 'full run'}</span></h1>
<p class="lead verdict">${answer}</p>
<p>${scope}</p>
<p class="quiet">${setting.model}, ${setting.blocks} ${setting.blocks === 1 ? 'block' : 'blocks'}, ${overhead.startedAt.slice(0, 16).replace('T', ' ')} UTC, took ${milliseconds(overhead.durationMs)}</p>
</header>
<main>
${
  cautions.length > 0 &&
  html`<section aria-labelledby="cautions"><h2 id="cautions">Read with care</h2>
<ul class="claims">${cautions.map((caution) => html`<li>${caution}</li>`)}</ul></section>`
}
<section aria-labelledby="shares"><h2 id="shares">What costs how much</h2>
${cards(contrasts)}
${contrastsFigure(overhead) ?? html`<p>Nothing could be compared.</p>`}
${contrastsTable(contrasts)}</section>
${replicationSection(overhead)}
<section aria-labelledby="moments"><h2 id="moments">When the interrupt comes</h2>
<p>Waiting for the old call falls by 1 ms for each ms that the interrupt comes later. A cost that is paid each time is flat.</p>
${slopesFigure(overhead)}
${slopesTable(overhead) ?? html`<p>No slope was measured.</p>`}</section>
<section aria-labelledby="cells"><h2 id="cells">Every cell</h2>
${cellsTable(overhead)}</section>
<section aria-labelledby="setting"><h2 id="setting">Setting</h2>
${settingTable(overhead)}</section>
</main>`,
    reportStyle,
  )
}

/** What the question is about: the first contrast of each name, of which the answer is made too. */
const asked: Partial<Record<ContrastName, string>> = {
  transport: 'HTTP, a call',
  drain: 'waiting for the old call (drain)',
  abort: 'cancelling the old call (abort)',
  connection: 'a fresh connection',
}

function cards(contrasts: readonly Contrast[]): Markup | undefined {
  const shown = Object.entries(asked).flatMap(([name, words]) => {
    const first = contrasts.find((contrast) => contrast.name === name)
    return first?.ms === undefined ? [] : [{ ...first, ms: first.ms, words }]
  })
  if (shown.length === 0) return undefined
  return html`<dl class="cards">${shown.map(
    ({ words, ms, interval, server, n }) => html`<div class="card"><dt>${words}</dt>
<dd class="now">${difference(ms, 'ms')}</dd>
${interval && html`<dd class="quiet">${intervalName(n)} <span class="whole">${intervalOf(interval, 'ms')}</span></dd>`}<dd class="quiet">${server}</dd></div>
`,
  )}</dl>`
}
