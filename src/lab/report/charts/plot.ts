import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { Markup, printable } from '../../../pages/html.ts'

/** Drawings keep their size, for scaled text is unreadable: two widths, px; a page shows the one that it has room for. */
export const WIDE = 672
export const NARROW = 344
/** Two of them fill a wide drawing, one a narrow one. */
export const PANEL = 328
/** Four of them, or two. */
export const SMALL_PANEL = 156

// The types of a browser are not loaded here.
const { document } = parseHTML('<!doctype html><html><body></body></html>') as unknown as {
  readonly document: NonNullable<Plot.PlotOptions['document']>
}

/**
 * A drawing by Observable Plot, made without a browser. Colours may be CSS variables. Texts are escaped by the serialiser; characters
 * that turn the direction of text round are taken out of them, as `html` does.
 */
export function drawn(options: Plot.PlotOptions): Markup {
  const svg = Plot.plot({ ...options, document }) as unknown as Drawing
  svg.querySelector('style')?.remove()
  for (const element of [svg, ...svg.querySelectorAll('*')]) {
    for (const { name, value } of [...element.attributes]) {
      if (dropped.test(name)) element.removeAttribute(name)
      else if (coordinates.test(name)) element.setAttribute(name, value.replace(/-?\d+\.\d+(?:e-?\d+)?/g, rounded))
    }
    if (element.children.length === 0 && element.textContent !== '')
      element.textContent = printable(element.textContent)
  }
  for (const name of ['width', 'height']) svg.removeAttribute(name)
  svg.setAttribute('style', `width:${options.width}px`)
  svg.setAttribute('aria-hidden', 'true')
  return new Markup(svg.outerHTML)
}

/** The style of the page has the fonts; the names are those of Plot's marks, in a drawing that is described as a whole. */
const dropped = /^(?:aria-.*|class|font-family|font-variant)$/
const coordinates = /^(?:[xyd]|[xy][12]|c[xy]|r|width|height|transform)$/
const rounded = (digits: string) => String(Math.round(Number(digits) * 10) / 10)

/** What is used of a DOM, which TypeScript has no types of without a browser. */
interface Drawing {
  readonly attributes: Iterable<{ readonly name: string; readonly value: string }>
  readonly children: { readonly length: number }
  readonly outerHTML: string
  textContent: string
  querySelector(selector: string): { remove(): void } | null
  querySelectorAll(selector: string): Iterable<Drawing>
  removeAttribute(name: string): void
  setAttribute(name: string, value: string): void
}
