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
import { type Handoff, type OverheadDesign, serverName, type Transport } from './design.ts'
import type { Contrast, ContrastName } from './result.ts'
import { rounded } from './statistics.ts'

interface ContrastPlan {
  readonly name: ContrastName
  readonly server: string
  readonly is: string
  /** The cells that it reads. */
  readonly cells: readonly string[]
  of(block: Block): number | undefined
}

/** One cell less another, by the same figure. */
function difference(
  name: ContrastName,
  server: string,
  is: string,
  [more, less]: readonly [Factors, Factors],
  figure: Figure = firstToken,
): ContrastPlan {
  const [a, b] = [cellId(more), cellId(less)]
  return {
    ...{ name, server, is, cells: [a, b] },
    of: (block) => differenceInBlock(block, a, b, figure),
  }
}

/** One figure of one cell: two clocks of the same call, or a phase that was observed. */
function alone(name: ContrastName, server: string, is: string, factors: Factors, figure: Figure): ContrastPlan {
  const cell = cellId(factors)
  return { name, server, is, cells: [cell], of: (block) => inBlock(block, cell, figure) }
}

const short = (transport: Transport, more: Partial<Factors> = {}): Factors => ({ transport, answer: 'short', ...more })
const middle = (transport: Transport, handoff: Handoff, slots = 1): Factors => ({
  transport,
  interrupt: 'decode 50 %',
  handoff,
  slots,
})

function transportContrasts(): ContrastPlan[] {
  const embedded = serverName('http')
  return [
    difference(
      'transport',
      embedded,
      'request → first token over HTTP, less the same in-process; nothing interrupts, connection reused, prompt known',
      [short('http'), short('in-process')],
    ),
    difference(
      'transport',
      `${embedded}, whole call`,
      'request → last line over HTTP, less the same in-process; it holds a line of JSON for each token',
      [{ transport: 'http' }, { transport: 'in-process' }],
      wholeCall,
    ),
    ...(['http', 'ollama'] as const).map((transport) =>
      alone(
        'transport',
        `${serverName(transport)}, two clocks`,
        'request → last line as the client sees it, less the total that the server reports of the same call',
        short(transport),
        ({ beyondServerMs }) => beyondServerMs,
      ),
    ),
  ]
}

/** What is asked of each transport. */
function contrastsOf(transport: Transport): ContrastPlan[] {
  const server = serverName(transport)
  const second = middle(transport, 'abort and fire, second node')
  const cold = (load: 'cold' | 'warm') => short(transport, { prefix: 'unique', load })
  const overHttp = [
    difference('connection', server, 'request → first token on a fresh connection, less on a reused one', [
      short(transport, { connection: 'fresh' }),
      short(transport),
    ]),
    alone(
      'preparation',
      server,
      'load_duration that the server reports of a call whose model is loaded',
      short(transport),
      ({ serverLoadMs }) => serverLoadMs,
    ),
  ]
  const twoNodes = [
    difference(
      'drain',
      server,
      'interrupt at half of the answer → first token with drain, less with abort and fire on a second node',
      [middle(transport, 'drain'), second],
    ),
    difference(
      'abort',
      server,
      'interrupt at half of the answer → first token with abort and fire on the same slot, less on a second node',
      [middle(transport, 'abort and fire'), second],
    ),
    difference('slot', server, 'interrupt → first token when fired without an abort, on one slot less on two', [
      middle(transport, 'fire without abort'),
      middle(transport, 'fire without abort', 2),
    ]),
  ]
  return [
    ...(transport === 'in-process' ? [] : overHttp),
    difference('load', server, 'request → first token with the model unloaded, less with it loaded; prompt not known', [
      cold('cold'),
      cold('warm'),
    ]),
    ...(transport === 'ollama'
      ? [
          difference(
            'drain',
            server,
            'interrupt at half of the answer → first token with drain, less with abort and fire (there is no second node)',
            [middle(transport, 'drain'), middle(transport, 'abort and fire')],
          ),
        ]
      : twoNodes),
    alone(
      'drain',
      `${server}, observed`,
      'interrupt at half of the answer → end of the first stage, as observed with drain',
      middle(transport, 'drain'),
      phase('drain'),
    ),
    alone(
      'abort',
      `${server}, observed`,
      'abort requested → the call has settled, as observed with abort and wait',
      middle(transport, 'abort and wait'),
      phase('settle'),
    ),
    difference('prefill', server, 'request → first token with a prompt that is not known, less with one that is', [
      cold('warm'),
      short(transport),
    ]),
  ]
}

const order: readonly ContrastName[] = [
  'transport',
  'connection',
  'load',
  'preparation',
  'drain',
  'abort',
  'slot',
  'prefill',
]

/** All contrasts of the design, by name; the embedded server's first. */
export function contrastsFrom(blocks: readonly Block[], { cells }: OverheadDesign): Contrast[] {
  const there = new Set(cells.map(({ id }) => id))
  const plans = [...transportContrasts(), ...(['http', 'in-process', 'ollama'] as const).flatMap(contrastsOf)]
  return order.flatMap((name) =>
    plans
      .filter((plan) => plan.name === name && plan.cells.every((cell) => there.has(cell)))
      .map(({ server, is, of }): Contrast => {
        const { ms, interval, n } = overBlocks(blocks, of)
        return {
          ...{ name, server },
          ...(ms !== undefined && { ms: rounded(ms) }),
          ...(interval !== undefined && { interval }),
          ...{ n, is },
          ...(ms === undefined && { note: 'no block has both sides of it' }),
        }
      }),
  )
}
