import { html, type Markup } from './html.ts'
import { style } from './style.ts'

/**
 * One page that needs nothing else: no script, no font, nothing from anywhere. The content security policy holds it to that.
 * `ownStyle` comes after the style of all pages.
 */
export function documentOf(title: string, body: Markup, ownStyle?: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${style}${ownStyle}</style>
</head>
<body>
${body}
</body>
</html>
`.source
}

/** A table that scrolls by itself where the page is too narrow for it; `name` is its caption. */
export const scrolling = (name: string, table: Markup): Markup =>
  html`<div class="scroll" role="region" aria-label="${name}" tabindex="0">${table}</div>`
