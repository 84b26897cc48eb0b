import { intervalName } from '../lab/overhead/answer.ts'
import type { Overhead, Replication } from '../lab/overhead/result.ts'
import { milliseconds } from '../pages/figures.ts'
import { tableLines } from './ab/table.ts'
import { oneLine, paragraph, type Screen } from './screen.ts'

/** What is measured, its figure, and its interval. */
type Row = readonly [name: string, value: string, interval: string]

/** The result for people: the answer, the contrasts, the slopes, the two runs, what to know. Lines, unended. */
export function overheadLines(result: Overhead, canvas: Pick<Screen, 'width' | 'paint'>): string[] {
  const { setting, answer, contrasts, slopes, replication, cautions, durationMs, warmUps, execution, scope } = result
  const { width, paint } = canvas
  const { model, blocks, maxTokens, servers, skipped } = setting
  const where = servers.map((each) => [each.name, each.version, each.address].filter(Boolean).join(' ')).join(', ')
  const size = `${model}, ${maxTokens} tokens an answer, ${blocks} ${blocks === 1 ? 'block' : 'blocks'}`
  const section = (title: string, rows: readonly Row[]) =>
    rows.length === 0
      ? []
      : [
          ...['', ...paragraph(title, width).map((line) => paint('heading', line))],
          ...tableLines(
            [],
            rows.map(([name, ...rest]) => [name, ...rest]),
            { width: width - 2, paint, right: [1], firstAtMost: 44 },
          ).map((line) => `  ${line}`),
        ]
  const notes = [
    scope,
    replication.note,
    ...skipped.map((each) => `No ${each.transport}: ${each.reason}.`),
    ...cautions,
  ]
  return [
    paint('heading', oneLine(size, width)),
    ...paragraph(where, width, '  '),
    '',
    ...paragraph(answer, width),
    ...section(
      `Contrasts (median of the differences within blocks, ${intervalName(blocks)})`,
      contrasts.map(({ name, server, ms, interval, n }) => [
        `${name}, ${server}`,
        ms === undefined ? 'none' : signed(ms),
        (ms === undefined ? '' : rangeOf(interval, signed)) +
          (interval !== undefined && intervalName(n) !== intervalName(blocks) ? ` (${intervalName(n)})` : ''),
      ]),
    ),
    ...section(
      'Slope inside the first stage, ms a ms (95 % interval)',
      slopes.map(({ handoff, transport, value, interval }) => [
        `${handoff}, ${transport}`,
        value === undefined ? 'none' : ratio(value),
        value === undefined ? '' : rangeOf(interval, ratio),
      ]),
    ),
    ...section(`The two runs (${intervalName(replication.n)})`, runRows(result)),
    ...['', paint('heading', 'To know'), ...notes.flatMap((note) => paragraph(note, width, '- ', '  '))],
    '',
    ...paragraph(
      `Measured in ${milliseconds(durationMs)}; ${warmUps} warm-ups were thrown away. Execution ${execution}.`,
      width,
    ).map((line) => paint('quiet', line)),
  ]
}

/** A difference may be negative. */
const signed = (ms: number): string => (ms < 0 ? `−${milliseconds(-ms)}` : milliseconds(ms))
const ratio = (value: number): string => value.toFixed(2).replace('-', '−')
const rangeOf = (interval: readonly [number, number] | undefined, figure: (value: number) => string): string =>
  interval === undefined ? 'no interval' : `${figure(interval[0])} to ${figure(interval[1])}`

/** What the difference consists of is told where there is one. */
function runRows({ replication, replicationInProcess, finding }: Overhead): Row[] {
  const isOne = finding !== 'not known' && (replication.interval?.[0] ?? 0) > 0
  const parts = isOne ? replication.parts.slice(0, 4) : []
  return [
    ...rowsOf(replication),
    ...parts.map(({ name, ms }): Row => [`  of the difference, ${name}`, signed(ms), '']),
    ...(replicationInProcess === undefined ? [] : rowsOf(replicationInProcess)),
  ]
}

function rowsOf({ transport, at100Ms, at500Ms, differenceMs, interval, abortAt100Ms }: Replication): Row[] {
  const row = (name: string, ms: number | undefined, rest = ''): Row[] =>
    ms === undefined ? [] : [[`${transport}: ${name}`, signed(ms), rest]]
  return [
    ...row('interrupted, drain', at100Ms),
    ...row('after its end', at500Ms),
    ...row('difference', differenceMs, rangeOf(interval, signed)),
    ...row('interrupted, abort', abortAt100Ms),
  ]
}
