import { html } from './html.ts'

/**
 * The look of all pages. Colours are Okabe and Ito's, which people tell apart whatever their colour vision; each is lightened for dark
 * pages. They are never the only carrier: patterns and words say the same.
 */
export const style = html`
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de; --panel: #f6f8fa;
  --waiting: #6e7781; --cut: #b45309; --reading: #0072b2; --decode: #00805c; --unknown: #b5179e; --good: #00704f; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1419; --text: #e6edf3; --quiet: #9aa7b4; --line: #30363d; --panel: #171d24;
    --waiting: #8b98a5; --cut: #f0a03c; --reading: #56b4e9; --decode: #2fc195; --unknown: #e58ad8; --good: #4cd3a5; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .5rem 0; }
.quiet, figcaption, caption { color: var(--quiet); font-size: .875rem; }
.badge { border: 1px solid currentColor; border-radius: 1em; padding: .05em .7em; font-size: .9rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); }
.lead { font-size: 1.05rem; border-left: 4px solid var(--reading); padding: .25rem 0 .25rem .75rem; }
figure { margin: 1rem 0; }
svg { display: block; width: 100%; overflow: hidden; }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; stroke: var(--page); stroke-width: 4px; paint-order: stroke; }
svg .quiet { fill: var(--quiet); font-size: 12px; }
svg .grid { stroke: var(--line); }
svg .instant { stroke: var(--text); stroke-dasharray: 3 3; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; margin: .5rem 0 0; font-size: .875rem; color: var(--quiet); }
.key li { display: flex; align-items: center; gap: .4rem; }
.key svg { width: 28px; height: 12px; flex: none; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--reading); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
caption { text-align: left; padding: .5rem 0 .25rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
thead th, tbody th { font-weight: 600; }
.figures td, .figures thead th { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.figures thead th { white-space: nowrap; }
.figures tbody th { min-width: 8rem; overflow-wrap: anywhere; }
.figures .words { text-align: left; }
.pairs td { overflow-wrap: anywhere; }
.pairs th { width: 8rem; color: var(--quiet); font-weight: 400; }
.claims { padding-left: 1.1rem; } .claims li { margin: .4rem 0; }
pre { white-space: pre-wrap; background: var(--panel); border: 1px solid var(--line); padding: .75rem; margin: .25rem 0 1rem; font: .875rem/1.45 ui-monospace, monospace; }
summary { cursor: pointer; font-weight: 600; padding: .25rem 0; }
@media print {
  @page { size: A4; margin: 15mm; }
  :root {
    color-scheme: light;
    --page: #fff; --text: #000; --quiet: #444; --line: #bbb; --panel: #fff;
    --waiting: #6e7781; --cut: #b45309; --reading: #0072b2; --decode: #00805c; --unknown: #b5179e; --good: #00704f; --bad: #b3261e;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  .scroll { overflow: visible; } table { font-size: 8.5pt; }
  .figures th, .figures td { padding-right: .4rem; } .figures thead th, .figures td.words { white-space: normal; overflow-wrap: normal; }
  .figures tbody th, .figures td.words { overflow-wrap: anywhere; min-width: 4.5rem; }
  figure, tr, .claims li { break-inside: avoid; } h2, h3, summary { break-after: avoid; }
}
`
