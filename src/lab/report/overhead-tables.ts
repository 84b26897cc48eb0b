import { milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import { intervalName } from '../overhead/answer.ts'
import type { Contrast, Overhead } from '../overhead/result.ts'
import { difference, figure, intervalOf, places } from './figures.ts'
import { figuresTable, pairsTable } from './tables.ts'

export const contrastsTable = (contrasts: readonly Contrast[]): Markup =>
  figuresTable(
    'Contrasts: medians of differences within blocks',
    ['cost', 'where', 'ms', 'interval', 'which is the', 'what it is'],
    contrasts.map(({ name, server, ms, interval, n, is, note }) => [
      name,
      server,
      ms === undefined ? undefined : difference(ms, 'ms'),
      interval && intervalOf(interval, 'ms'),
      interval && intervalName(n),
      html`${is}${note !== undefined && html`<br><span class="quiet">${note}</span>`}`,
    ]),
    [1, 4, 5],
  )

export function slopesTable({ slopes }: Overhead): Markup | undefined {
  if (slopes.length === 0) return undefined
  return figuresTable(
    'Slope: ms of interrupt → first token for each ms that the interrupt comes later, inside the first stage',
    ['handoff', 'transport', 'slope', '95 % interval', 'interrupts'],
    slopes.map(({ handoff, transport, value, interval, n }) => [
      handoff,
      transport,
      value === undefined ? undefined : places(value),
      interval && `${places(interval[0])} to ${places(interval[1])}`,
      n,
    ]),
    [1],
  )
}

export const cellsTable = ({ cells }: Overhead): Markup =>
  figuresTable(
    'Request → first token where nothing interrupts, else interrupt → first token',
    [
      'transport',
      'interrupt',
      'handoff',
      'slots',
      'connection',
      'prefix',
      'load',
      'n',
      'lost',
      'median',
      'p95',
      'phases',
    ],
    cells.map((cell) => [
      cell.transport,
      cell.interrupt,
      cell.handoff,
      cell.slots,
      cell.connection,
      cell.prefix,
      cell.load,
      cell.n,
      cell.lost,
      cell.p50Ms === undefined ? undefined : figure(cell.p50Ms, 'ms'),
      cell.p95Ms === undefined ? undefined : figure(cell.p95Ms, 'ms'),
      cell.phases?.map(({ name, ms }) => `${name} ${milliseconds(ms)}`).join(', '),
    ]),
    [1, 2, 4, 5, 6, 11],
  )

export function settingTable({ setting, warmUps, execution }: Overhead): Markup {
  const { model, seed, blocks, maxTokens, promptTokens, servers, skipped } = setting
  return pairsTable('What it ran on: the same weights, prompt and number of tokens everywhere', [
    { name: 'Model', says: model },
    { name: 'Design', says: `${blocks} ${blocks === 1 ? 'block' : 'blocks'}, every cell once in each, seed ${seed}` },
    {
      name: 'Tokens',
      says: `${maxTokens} generated${promptTokens === undefined ? '' : `, ${promptTokens} of the prompt`}`,
    },
    ...servers.map(({ name, version, address }) => ({
      name: 'Server',
      says: [name, version, address].filter((word) => word !== undefined).join(' '),
    })),
    ...skipped.map(({ transport, reason }) => ({ name: 'Not measured', says: `${transport}: ${reason}` })),
    { name: 'Warm-ups', says: `${warmUps.toLocaleString('en-US')}, in no figure` },
    { name: 'Execution', says: execution },
  ])
}
