import type { PhaseName } from '../../../core/record.ts'
import { html, type Markup } from '../../../pages/html.ts'

/** How an arm is drawn, in all charts of a page alike: a colour, and beside it a dash and a symbol, for those who see no colours. */
export interface Look {
  readonly colour: string
  readonly dash: string
  readonly symbol: (typeof symbols)[number]
}

const colours = ['reading', 'cut', 'decode', 'unknown', 'waiting']
const dashes = ['none', '7 3', '2 3', '9 3 2 3']
const symbols = ['circle', 'square', 'triangle', 'diamond', 'star', 'wye', 'cross'] as const

/** Of the arm at this place in the analysis. */
export const lookOf = (index: number): Look => ({
  colour: `var(--${colours[index % colours.length]})`,
  dash: dashes[index % dashes.length]!,
  symbol: symbols[index % symbols.length]!,
})

/** In a drawing there is room for so many characters, 7 px each at most; the tables have names whole. */
export const shortened = (name: string, longest = 22): string => {
  const characters = [...name]
  return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : name
}

type Family = 'cut' | 'waiting' | 'reading' | 'unknown'

/** Of what kind a phase is, as in the pages of runs, and the pattern that tells it from others of its kind. */
const phases: Record<PhaseLike, readonly [Family, number]> = {
  decide: ['waiting', 0],
  drain: ['cut', 1],
  settle: ['cut', 0],
  retry: ['cut', 2],
  slot: ['waiting', 1],
  queue: ['waiting', 2],
  connect: ['waiting', 3],
  send: ['waiting', 4],
  'server-queue': ['reading', 3],
  load: ['reading', 2],
  prefill: ['reading', 0],
  'first-token': ['reading', 1],
  transport: ['waiting', 5],
  thinking: ['reading', 4],
  tool: ['reading', 5],
  gate: ['waiting', 3],
  unattributed: ['unknown', 4],
  HTTP: ['waiting', 5],
  'control flow': ['waiting', 0],
  initialisation: ['reading', 2],
}

/** Each on a ground of the same colour, made paler. The first has none: the full colour. */
const strokes: readonly (Markup | undefined)[] = [
  undefined,
  html`<path d="M-2 2l4-4M0 8l8-8M6 10l4-4" stroke-width="2.5"/>`,
  html`<path d="M0 2h8M0 6h8" stroke-width="2"/>`,
  html`<path d="M2 0v8M6 0v8" stroke-width="2"/>`,
  html`<path d="M0 0l8 8M8 0l-8 8" stroke-width="1.5"/>`,
  html`<circle cx="2" cy="2" r="1"/><circle cx="6" cy="6" r="1"/>`,
]

/** A phase, or a part that the comparison of two runs was once explained with. */
export type PhaseLike = PhaseName | 'HTTP' | 'control flow' | 'initialisation'

const idOf = (name: PhaseLike) => `phase-${name.replace(' ', '-')}`

export const phaseFill = (name: PhaseLike): string => `url(#${idOf(name)})`

/** Once on a page that draws phases. Not `display: none`, which would take the patterns away with it. */
export const phasePatterns = (names: Iterable<PhaseLike>): Markup =>
  html`<svg class="patterns" aria-hidden="true"><defs>${[...names].map((name) => {
    const [family, stroke] = phases[name]
    const colour = `var(--${family})`
    return html`<pattern id="${idOf(name)}" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" style="fill:var(--page)"/><rect width="8" height="8" style="fill:${colour}" fill-opacity="${strokes[stroke] === undefined ? 1 : 0.3}"/><g style="stroke:${colour};fill:${colour}">${strokes[stroke]}</g></pattern>`
  })}</defs></svg>`
