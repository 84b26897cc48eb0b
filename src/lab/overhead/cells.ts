import type { CellPlan, Handoff, Moment, Transport } from './design.ts'

/** The factors of a cell that differ from an uninterrupted warm call on one slot with a shared prefix. */
export type Factors = { readonly transport: Transport } & Partial<Omit<CellPlan, 'id' | 'transport'>>

/** A cell with its name: the factors that are not the usual ones. */
export function cellOf({ transport, ...factors }: Factors): CellPlan {
  const usual = transport === 'in-process' ? 'none' : 'reused'
  const cell = {
    transport,
    interrupt: 'none',
    handoff: 'none',
    slots: 1,
    connection: usual,
    prefix: 'shared',
    load: 'warm',
    answer: 'whole',
    repeat: 1,
    ...factors,
  } as const satisfies Omit<CellPlan, 'id'>
  const words = [
    transport,
    cell.interrupt === 'none' ? `${cell.answer} answer` : cell.interrupt,
    ...(cell.handoff === 'none' ? [] : [cell.handoff]),
    ...(cell.slots === 1 ? [] : [`${cell.slots} slots`]),
    ...(cell.connection === usual ? [] : [`${cell.connection} connection`]),
    ...(cell.prefix === 'shared' ? [] : ['unique prefix']),
    ...(cell.load === 'warm' ? [] : ['cold']),
  ]
  return { id: words.join(' / '), ...cell }
}

export const cellId = (factors: Factors): string => cellOf(factors).id

/** Short calls are cheap, and their differences small. */
const SHORT_REPEATS = 5
/** Of drain, whose slope the length of each first stage blurs. */
const SLOPE_REPEATS = 3

const middle = (transport: Transport, handoff: Handoff, more: Partial<CellPlan> = {}): CellPlan =>
  cellOf({ transport, interrupt: 'decode 50 %', handoff, ...more })

const isHttp = (transport: Transport) => transport !== 'in-process'

/** What each transport has in a block, however short the experiment. */
const usualCells = (transport: Transport): CellPlan[] => [
  cellOf({ transport, answer: 'short', repeat: SHORT_REPEATS }),
  cellOf({ transport }),
  cellOf({ transport, answer: 'short', prefix: 'unique', repeat: 2 }),
  cellOf({ transport, answer: 'short', prefix: 'unique', load: 'cold' }),
  ...(isHttp(transport)
    ? [
        cellOf({ transport, answer: 'short', connection: 'fresh', repeat: SHORT_REPEATS }),
        middle(transport, 'abort and fire'),
      ]
    : []),
  middle(transport, 'drain'),
  middle(transport, 'abort and wait'),
]

/** When the first stage is interrupted matters, and the two runs that the claim came from. */
const timedCells = (transport: Transport): CellPlan[] => [
  cellOf({ transport, interrupt: 'uniform', handoff: 'drain', repeat: SLOPE_REPEATS }),
  cellOf({ transport, interrupt: 'uniform', handoff: 'abort and wait' }),
  cellOf({ transport, interrupt: 'at 100 ms', handoff: 'drain' }),
  cellOf({ transport, interrupt: 'at 100 ms', handoff: 'abort and wait' }),
  cellOf({ transport, interrupt: 'at 500 ms' }),
]

/** What needs a second node, or two slots. */
const crowdedCells = (transport: Transport): CellPlan[] => [
  middle(transport, 'abort and fire, second node'),
  middle(transport, 'fire without abort'),
  middle(transport, 'fire without abort', { slots: 2 }),
]

/** The main interactions: each moment with each handoff, and what else there is of slots, connections and prefixes. */
function furtherCells(transport: Transport): CellPlan[] {
  const moments: Moment[] = ['mid-prefill', 'first token', 'decode 25 %', 'decode 75 %']
  const ways: Handoff[] = ['drain', 'abort and wait', 'abort and fire']
  return [
    ...moments.flatMap((interrupt) => ways.map((handoff) => cellOf({ transport, interrupt, handoff }))),
    ...(['drain', 'abort and fire'] as const).map((handoff) => cellOf({ transport, interrupt: 'queued', handoff })),
    cellOf({ transport, interrupt: 'after the finish' }),
    cellOf({ transport, interrupt: 'uniform', handoff: 'abort and fire' }),
    middle(transport, 'drain', { prefix: 'unique' }),
    middle(transport, 'abort and wait', { prefix: 'unique' }),
    ...(isHttp(transport)
      ? [
          cellOf({ transport, answer: 'short', connection: 'prewarmed', repeat: SHORT_REPEATS }),
          middle(transport, 'abort and wait', { connection: 'fresh' }),
        ]
      : [middle(transport, 'abort and fire'), ...crowdedCells(transport)]),
    ...(transport === 'ollama'
      ? [cellOf({ transport, interrupt: 'uniform', handoff: 'drain', repeat: SLOPE_REPEATS })]
      : [middle(transport, 'abort and fire', { slots: 2 }), middle(transport, 'drain', { slots: 2 })]),
  ]
}

/**
 * The cells of a block: those that the contrasts need, and in the full experiment the main interactions too. The two runs are made
 * in-process and over the HTTP that the answer is for.
 */
export function cellsFor(there: readonly Transport[], quick: boolean, subject: Transport = 'http'): CellPlan[] {
  const isTimed = (transport: Transport) =>
    transport === 'in-process' || transport === subject || (transport === 'http' && !quick)
  const cells = there.flatMap((transport) => [
    ...usualCells(transport),
    ...(isTimed(transport) ? timedCells(transport) : []),
    ...(transport === 'http' ? crowdedCells(transport) : []),
    ...(quick ? [] : furtherCells(transport)),
  ])
  return [...new Map(cells.map((cell) => [cell.id, cell])).values()]
}
