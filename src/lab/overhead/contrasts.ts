import {
  type Block,
  differenceInBlock,
  type Figure,
  firstToken,
  inBlock,
  overBlocks,
  phase,
  wholeCall,
} from './blocks.ts'
import { cellId, type Factors } from './cells.ts'
import { type Handoff, type OverheadDesign, serverName, subjectOf, type Transport } from './design.ts'
import type { Contrast, ContrastName } from './result.ts'

/** One cell less another, by the same figure; or one figure of one cell: two clocks of the same call, or a phase that was observed. */
interface ContrastPlan {
  readonly name: ContrastName
  /** Beside the server: how it was measured. */
  readonly by?: string
  readonly is: string
  readonly cells: readonly [more: Factors, less?: Factors]
  /** Interrupt or request → first token by default. */
  readonly figure?: Figure
}

/** What is asked of each transport. */
function contrastsOf(transport: Transport): ContrastPlan[] {
  const short = (more: Partial<Factors> = {}): Factors => ({ transport, answer: 'short', ...more })
  const middle = (handoff: Handoff, slots = 1): Factors => ({ transport, interrupt: 'decode 50 %', handoff, slots })
  const unknown = (load: 'cold' | 'warm') => short({ prefix: 'unique', load })
  const second = middle('abort and fire, second node')
  const half = 'interrupt at half of the answer → first token with'
  const overHttp: ContrastPlan[] = [
    {
      name: 'transport',
      by: 'two clocks',
      is: 'request → last line as the client sees it, less the total that the server reports of the same call',
      cells: [short()],
      figure: ({ beyondServerMs }) => beyondServerMs,
    },
    {
      name: 'connection',
      is: 'request → first token on a fresh connection, less on a reused one',
      cells: [short({ connection: 'fresh' }), short()],
    },
    {
      name: 'preparation',
      is: 'load_duration that the server reports of a call whose model is loaded',
      cells: [short()],
      figure: ({ serverLoadMs }) => serverLoadMs,
    },
  ]
  const sameEngine: ContrastPlan[] = [
    {
      name: 'transport',
      is: 'request → first token over HTTP, less the same in-process; nothing interrupts, connection reused, prompt known',
      cells: [short(), { transport: 'in-process', answer: 'short' }],
    },
    {
      name: 'transport',
      by: 'whole call',
      is: 'request → last line over HTTP, less the same in-process; it holds a line of JSON for each token',
      cells: [{ transport }, { transport: 'in-process' }],
      figure: wholeCall,
    },
  ]
  const twoNodes: ContrastPlan[] = [
    { name: 'drain', is: `${half} drain, less with abort and fire on a second node`, cells: [middle('drain'), second] },
    {
      name: 'abort',
      is: `${half} abort and fire on the same slot, less on a second node`,
      cells: [middle('abort and fire'), second],
    },
    {
      name: 'slot',
      is: 'interrupt → first token when fired without an abort, on one slot less on two',
      cells: [middle('fire without abort'), middle('fire without abort', 2)],
    },
  ]
  const oneNode: ContrastPlan = {
    name: 'drain',
    is: `${half} drain, less with abort and fire (there is no second node)`,
    cells: [middle('drain'), middle('abort and fire')],
  }
  return [
    ...(transport === 'http' ? sameEngine : []),
    ...(transport === 'in-process' ? [] : overHttp),
    {
      name: 'load',
      is: 'request → first token with the model unloaded, less with it loaded; prompt not known',
      cells: [unknown('cold'), unknown('warm')],
    },
    ...(transport === 'ollama' ? [oneNode] : twoNodes),
    {
      name: 'drain',
      by: 'observed',
      is: 'interrupt at half of the answer → end of the first stage, as observed with drain',
      cells: [middle('drain')],
      figure: phase('drain'),
    },
    {
      name: 'abort',
      by: 'observed',
      is: 'abort requested → the call has settled, as observed with abort and wait',
      cells: [middle('abort and wait')],
      figure: phase('settle'),
    },
    {
      name: 'prefill',
      is: 'request → first token with a prompt that is not known, less one that is',
      cells: [unknown('warm'), short()],
    },
  ]
}

export const contrastNames: readonly ContrastName[] = [
  ...(['transport', 'connection', 'load', 'preparation', 'drain', 'abort', 'slot', 'prefill'] as const),
]

/** All contrasts of the design, by name; first those of the server that the answer is for. */
export function contrastsFrom(blocks: readonly Block[], design: OverheadDesign): Contrast[] {
  const there = new Set(design.cells.map(({ id }) => id))
  const transports = new Set([subjectOf(design), ...(['http', 'in-process', 'ollama'] as const)])
  const all = [...transports].flatMap((transport) =>
    contrastsOf(transport).flatMap(({ name, by, is, cells, figure = firstToken }): Contrast[] => {
      const [more = '', less] = cells.map((factors) => factors && cellId(factors))
      if (!there.has(more) || (less !== undefined && !there.has(less))) return []
      const server = by === undefined ? serverName(transport) : `${serverName(transport)}, ${by}`
      const figures = overBlocks(blocks, (block) =>
        less === undefined ? inBlock(block, more, figure) : differenceInBlock(block, [more, less], figure),
      )
      const isNone = figures.ms === undefined
      return [{ name, server, ...figures, is, ...(isNone && { note: 'no block has both sides of it' }) }]
    }),
  )
  return contrastNames.flatMap((name) => all.filter((contrast) => contrast.name === name))
}
