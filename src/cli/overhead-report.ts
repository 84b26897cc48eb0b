import type { Contrast, Overhead, Replication, Slope } from '../experiments/overhead/result.ts'
import { milliseconds } from '../pages/figures.ts'
import { oneLine, paragraph, type Screen } from './screen.ts'

type Canvas = Pick<Screen, 'width' | 'paint'>

const NAME_WIDTH = 42
const VALUE_WIDTH = 10

/** The result for people: the answer, the contrasts, the slopes, the two runs, what to know. Lines, unended. */
export function overheadLines(result: Overhead, canvas: Canvas): string[] {
  const { setting, answer, contrasts, slopes, replication, cautions, durationMs, warmUps, execution } = result
  const { model, blocks, maxTokens, servers } = setting
  const where = servers.map(({ name, version }) => (version === undefined ? name : `${name} ${version}`)).join(', ')
  return [
    canvas.paint('heading', oneLine(`${model}, ${maxTokens} tokens an answer, ${blocks} blocks`, canvas.width)),
    ...paragraph(where, canvas.width, '  '),
    '',
    ...paragraph(answer, canvas.width),
    ...section('Contrasts (median of the differences within blocks, 95 %)', contrasts.map(contrastRow), canvas),
    ...section('Slope inside the first stage, ms a ms', slopes.map(slopeRow), canvas),
    ...section('The two runs', runRows(result), canvas),
    ...notes([replication.note, ...setting.skipped.map(skippedNote), ...cautions], canvas),
    '',
    canvas.paint(
      'quiet',
      oneLine(`measured in ${milliseconds(durationMs)}, ${warmUps} warm-ups thrown away; ${execution}`, canvas.width),
    ),
  ]
}

interface Row {
  readonly name: string
  readonly value: string
  readonly rest: string
}

const section = (title: string, rows: readonly Row[], { width, paint }: Canvas): string[] =>
  rows.length === 0
    ? []
    : [
        '',
        paint('heading', oneLine(title, width)),
        ...rows.map(({ name, value, rest }) => {
          const left = `  ${name.padEnd(NAME_WIDTH)} ${value.padStart(VALUE_WIDTH)}`
          const room = width - left.length - 2
          return room < rest.length ? oneLine(left, width) : `${left}  ${paint('quiet', rest)}`
        }),
      ]

/** A difference may be negative. */
const signed = (ms: number): string => (ms < 0 ? `-${milliseconds(-ms)}` : milliseconds(ms))

const range = (interval: readonly [number, number] | undefined, figure: (value: number) => string): string =>
  interval === undefined ? '' : `${figure(interval[0])} to ${figure(interval[1])}`

const contrastRow = ({ name, server, ms, interval }: Contrast): Row => ({
  name: `${name}, ${server}`,
  value: ms === undefined ? 'none' : signed(ms),
  rest: range(interval, signed),
})

const ratio = (value: number): string => value.toFixed(2)

const slopeRow = ({ handoff, transport, value, interval }: Slope): Row => ({
  name: `${handoff}, ${transport}`,
  value: value === undefined ? 'none' : ratio(value),
  rest: range(interval, ratio),
})

function runRows({ replication, replicationInProcess }: Overhead): Row[] {
  const inProcess = replicationInProcess === undefined ? [] : replicationRows(replicationInProcess)
  return [
    ...replicationRows(replication),
    ...replication.parts
      .slice(0, 4)
      .map(({ name, ms }) => ({ name: `  of the difference, ${name}`, value: signed(ms), rest: '' })),
    ...inProcess,
  ]
}

function replicationRows(run: Replication): Row[] {
  const { transport, at100Ms, at500Ms, differenceMs, interval, abortAt100Ms } = run
  const row = (name: string, ms: number | undefined, rest = ''): Row[] =>
    ms === undefined ? [] : [{ name: `${transport}: ${name}`, value: signed(ms), rest }]
  return [
    ...row('interrupt in the first stage, drain', at100Ms),
    ...row('after its end', at500Ms),
    ...row('difference', differenceMs, range(interval, signed)),
    ...row('in the first stage, abort', abortAt100Ms),
  ]
}

const skippedNote = ({ transport, reason }: Overhead['setting']['skipped'][number]) => `No ${transport}: ${reason}.`

const notes = (sentences: readonly string[], { width, paint }: Canvas): string[] => [
  '',
  paint('heading', 'To know'),
  ...sentences.flatMap((sentence) => paragraph(sentence, width, '- ', '  ')),
]
