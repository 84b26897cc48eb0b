import { html } from '../../pages/html.ts'

/** What reports of experiments have beside the style of all pages. A drawing is 672 or 344 px wide, and is never scaled up. */
export const reportStyle = html`
.verdict { font-size: 1.2rem; line-height: 1.45; }
.neutral { color: var(--reading); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; margin: 1rem 0; padding: 0; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; }
.card dt { color: var(--quiet); font-size: .875rem; }
.card dd { margin: 0; } .card .now { font-size: 1.5rem; font-weight: 600; line-height: 1.3; }
.chart h3 { margin: 0 0 .5rem; }
.chart { margin: 1.5rem 0 2rem; }
.drawing svg { width: auto; max-width: 100%; height: auto; font: 13px system-ui, sans-serif; overflow: visible; }
.drawing svg text { fill: inherit; font: inherit; font-variant-numeric: tabular-nums; }
a { color: var(--reading); }
.chart .key { margin: .25rem 0 .5rem; }
.figures td.words { white-space: normal; min-width: 6rem; } .figures thead th.words { white-space: normal; }
.figures.many { font-size: .82rem; } .figures.many td.words { min-width: 4.5rem; }
.reading dt { font-weight: 600; margin-top: .5rem; } .reading dd { margin: 0; max-width: 42rem; }
.scroll, table.pairs { margin-top: 1rem; }
.caption { display: block; position: sticky; left: 0; max-width: calc(100vw - 2rem); }
.whole { white-space: nowrap; }
.patterns { position: absolute; width: 0; height: 0; }
.panels { display: flex; flex-wrap: wrap; gap: 1rem; }
.panels .heading { margin: 0; font-size: .875rem; font-weight: 600; }
.narrow { display: none; }
.chart .key svg { overflow: visible; }
figcaption p { margin: .25rem 0; columns: 19rem; column-gap: 1.5rem; }
.line { display: block; break-inside: avoid; }
.checks .ok::before { content: "✓ "; color: var(--good); } .checks .failed::before { content: "✗ "; color: var(--bad); }
@media (min-width: 720px) { .card dt { min-height: 3em; } }
@media screen and (max-width: 719px) {
  .figures td.words:last-child { min-width: 14rem; }
  .wide { display: none; } .narrow { display: block; } }
@media print {
  .caption { max-width: none; }
  .chart { display: block; } .card { break-inside: avoid; } .cards { grid-template-columns: repeat(4, 1fr); }
  .figures th, .figures td, .figures tbody th, .figures td.words { white-space: normal; overflow-wrap: anywhere; min-width: 0; }
  .card .now { font-size: 1.2rem; } .figures.many { font-size: 7pt; } .whole { white-space: normal; }
  .screen { display: none; }
}
`
