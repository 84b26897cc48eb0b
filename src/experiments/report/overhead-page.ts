import { documentOf, scrolling } from '../../pages/document.ts'
import { html } from '../../pages/html.ts'
import type { Overhead } from '../overhead/result.ts'

/** The result of `overhead` as one self-contained page of HTML. */
export function overheadPage({ answer, contrasts, setting, cautions }: Overhead): string {
  const rows = contrasts.map(
    ({ name, server, ms, interval, n, is }) =>
      html`<tr><th scope="row">${name}, ${server}</th><td>${ms === undefined ? '' : ms.toFixed(2)}</td><td>${interval === undefined ? '' : `${interval[0].toFixed(2)} to ${interval[1].toFixed(2)}`}</td><td>${n}</td><td>${is}</td></tr>`,
  )
  const name = 'Contrasts'
  return documentOf(
    'Is it HTTP?',
    html`<main><h1>Is it HTTP?</h1><p>${answer}</p>
${scrolling(name, html`<table><caption>${name}</caption><thead><tr><th scope="col">what</th><th scope="col">ms</th><th scope="col">95 %</th><th scope="col">blocks</th><th scope="col">is</th></tr></thead><tbody>${rows}</tbody></table>`)}
<p>${setting.model}, ${setting.blocks} blocks.</p>${cautions.map((caution) => html`<p>${caution}</p>`)}</main>`,
  )
}
