import { html, type Markup } from '../../../pages/html.ts'
import type { Look } from './looks.ts'
import { NARROW, WIDE } from './plot.ts'

export interface Figure {
  /** Unique on the page. */
  readonly id: string
  readonly title: string
  /** A line each: what is seen, with its numbers, for all readers; it is what those who do not see the drawing have of it. */
  readonly words: readonly (string | Markup | undefined | false)[]
  readonly drawing: Markup
  readonly key?: Markup | undefined
}

export const figureOf = ({ id, title, words, drawing, key }: Figure): Markup => html`<figure class="chart">
<h3 id="${id}">${title}</h3>
<div class="drawing" role="img" aria-labelledby="${id}" aria-describedby="${id}-words">${drawing}</div>
<figcaption>${key}<p id="${id}-words">${words.map((line) => line && html`<span class="line">${line}</span> `)}</p></figcaption>
</figure>`

/** The same drawing for pages with much and with little room. */
export const inTwoWidths = (draw: (width: number) => Markup): Markup =>
  html`<div class="wide">${draw(WIDE)}</div><div class="narrow">${draw(NARROW)}</div>`

/** Drawings beside each other where there is room. Each has its heading. */
export const panels = (drawings: readonly { readonly heading: string; readonly drawing: Markup }[]): Markup =>
  html`<div class="panels">${drawings.map(
    ({ heading, drawing }) => html`<div><p class="heading">${heading}</p>${drawing}</div>`,
  )}</div>`

/** Which line and which symbol is which arm's. */
export const armKey = (arms: readonly { readonly name: string; readonly look: Look }[]): Markup =>
  html`<ul class="key">${arms.map(
    ({ name, look }) =>
      html`<li><svg aria-hidden="true" viewBox="0 0 28 12"><line x2="28" y1="6" y2="6" style="stroke:${look.colour}" stroke-width="2.5" stroke-dasharray="${look.dash}"/>${symbolMarkup(look)}</svg>${name}</li>`,
  )}</ul>`

const shapes: Record<Look['symbol'], string> = {
  circle: 'M18 6a4 4 0 1 1-8 0a4 4 0 1 1 8 0Z',
  square: 'M10.5 2.5h7v7h-7Z',
  triangle: 'M14 1.5l4.5 8h-9Z',
  diamond: 'M14 1l4 5-4 5-4-5Z',
  star: 'M14 1l1.3 3.5h3.7l-3 2.3 1.2 3.7-3.2-2.3-3.2 2.3 1.2-3.7-3-2.3h3.7Z',
  wye: 'M12.8 5.3l-3-2 1-1.6 3.2 2.2 3.2-2.2 1 1.6-3 2v5h-2.4Z',
  cross: 'M12.7 2h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7Z',
}

const symbolMarkup = ({ symbol, colour }: Look) => html`<path d="${shapes[symbol]}" style="fill:${colour}"/>`
