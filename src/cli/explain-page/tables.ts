import { callName, callsOf } from '../../core/call-names.ts'
import type { CallRecord, RunRecord } from '../../core/record.ts'
import { scrolling } from '../../pages/document.ts'
import { milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { ExplainedInterrupt } from '../../records/explaining/explanation.ts'
import { decisionRows } from '../decision.ts'

/** What the policy decided, and from what. */
export function decisionTable(explained: ExplainedInterrupt): Markup {
  return html`<table class="pairs">
<caption>The decision and its inputs</caption>
<tbody>${decisionRows(explained).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody>
</table>`
}

/** What each call cost. A cell is empty where nothing was observed. */
export function costTable({ cost, ...record }: RunRecord): Markup {
  const heads = ['prompt', 'generated', 'thinking', 'delivered', 'wasted', 'slot time', 'wasted slot time']
  const row = ({ settlement, node, tokens, slotMs, wastedSlotMs, ...call }: CallRecord) => html`<tr>
<th scope="row">${callName(call)}</th><td class="words">${settlement}</td><td class="words">${node}</td>
<td>${tokens.prompt}</td><td>${tokens.generated}</td><td>${tokens.thinking}</td><td>${tokens.delivered}</td><td>${tokens.wasted}</td>
<td>${milliseconds(slotMs)}</td><td>${milliseconds(wastedSlotMs)}</td></tr>`
  const name = 'Tokens and slot time of each call'
  return scrolling(
    name,
    html`<table class="figures">
<caption>${name}</caption>
<thead><tr><th scope="col" class="words">call</th><th scope="col" class="words">ended</th><th scope="col" class="words">node</th>${heads.map(
      (head) => html`<th scope="col">${head}</th>`,
    )}</tr></thead>
<tbody>${callsOf(record).map(row)}</tbody>
<tfoot><tr><th scope="row">all</th><td></td><td></td><td></td><td>${cost.generatedTokens}</td><td></td><td></td><td>${cost.wastedTokens}</td>
<td>${milliseconds(cost.slotMs)}</td><td>${milliseconds(cost.wastedSlotMs)}</td></tr></tfoot>
</table>`,
  )
}

/** Every instant that was observed of a call, and how much later it was than the one before. */
export function marksTable(call: CallRecord): Markup {
  const { id, marks, model, node } = call
  const name = `${callName(call)}: ${model ?? 'a fixed text'}${node === undefined ? '' : ` on ${node}`}`
  return html`<details open>
<summary>${name}</summary>
${scrolling(
  name,
  html`<table class="figures">
<caption>Marks of ${id}, ms from the run's start</caption>
<thead><tr><th scope="col" class="words">mark</th><th scope="col">at, ms</th><th scope="col">later by, ms</th></tr></thead>
<tbody>${marks.map((mark, index) => html`<tr><th scope="row">${mark.name}</th><td>${exact(mark.ms)}</td><td>${index > 0 && exact(mark.ms - marks[index - 1]!.ms)}</td></tr>`)}</tbody>
</table>`,
)}
</details>`
}

/** To the microsecond. */
const exact = (ms: number): string => ms.toFixed(3)
