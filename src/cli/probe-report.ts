import { hiddenLagMs, type ProbeResult, type Spread } from '../core/probe.ts'
import { milliseconds } from '../pages/figures.ts'
import { oneLine, paragraph, type Screen } from './screen.ts'

type Canvas = Pick<Screen, 'width' | 'paint'>

interface Row {
  readonly name: string
  readonly value: string
  /** Beside it, quietly. */
  readonly rest?: string
}

const NAME_WIDTH = 23
const VALUE_WIDTH = 15
const NARROWEST_REST = 12

/** The result of a probe: figures, what they mean, what to know about them. Lines, unended. */
export function probeLines(result: ProbeResult, canvas: Canvas): string[] {
  const { width, paint } = canvas
  const { node, server, model, durationMs, stopped } = result
  const version = server.version === undefined ? '' : ` ${server.version}`
  const head = paint('heading', oneLine(`${node}: ${server.kind}${version}, ${model}`, width))
  const end = { budget: ', its budget', cancelled: ', then stopped', fault: ', then the server failed' }
  const took = `${milliseconds(durationMs)}${stopped === undefined ? '' : end[stopped]}`
  const rows = [...speed(result), ...aborts(result), ...rest(result)]
  return [
    head,
    ...rows.map((row) => rowLine(row, canvas)),
    ...section('What it means', result.advice, canvas),
    ...section('To know', result.notes, canvas),
    '',
    paint('quiet', `measured in ${took}`),
  ]
}

function rowLine({ name, value, rest = '' }: Row, { width, paint }: Canvas): string {
  const left = `  ${name.padEnd(NAME_WIDTH)} ${value.padEnd(VALUE_WIDTH)} `
  const room = width - left.length
  // On a narrow screen the figure itself has to be enough.
  return rest === '' || room < NARROWEST_REST ? left.trimEnd() : left + paint('quiet', oneLine(rest, room))
}

const spread = (name: string, found: Spread | undefined, also = ''): Row[] =>
  found === undefined
    ? []
    : [{ name, value: milliseconds(found.p50), rest: `p95 ${milliseconds(found.p95)} (${found.n}×)${also}` }]

function speed({ firstTokenMs, warmPreparationMs, tokensPerSecond, longPrompt }: ProbeResult): Row[] {
  const { prefill, decode } = tokensPerSecond
  const tokens = longPrompt?.tokens
  const long =
    longPrompt === undefined
      ? ''
      : `${tokens === undefined ? 'the long prompt' : `${tokens} tokens`} in ${milliseconds(longPrompt.prefillMs)}`
  return [
    ...spread('time to first token', firstTokenMs, ', short prompt'),
    ...(warmPreparationMs === undefined
      ? []
      : [{ name: 'before the slot', value: milliseconds(warmPreparationMs), rest: 'each call, model loaded' }]),
    ...(prefill === undefined ? [] : [{ name: 'prefill', value: `${perSecond(prefill)} tokens/s`, rest: long }]),
    ...(decode === undefined
      ? []
      : [{ name: 'decode', value: `${perSecond(decode)} tokens/s`, rest: `${milliseconds(1000 / decode)} a token` }]),
  ]
}

function aborts(result: ProbeResult): Row[] {
  const { slotFreeAfterAbortMs, prefillStops } = result
  const { decode, prefill, queue, load } = slotFreeAfterAbortMs
  const stops = { never: 'runs to its end', 'between-batches': 'stops between batches', 'at-once': 'stops at once' }
  return [
    ...spread('abort in decode → slot', decode, hidden(result, decode)),
    ...spread(
      'abort in prefill → slot',
      prefill,
      prefillStops === undefined ? hidden(result, prefill) : `, ${stops[prefillStops]}`,
    ),
    ...spread('abort in queue → slot', queue),
    ...spread('abort in load → slot', load),
  ]
}

/** What a small lag may be in truth: the call that looks for the slot sees it only once it is prepared itself. */
function hidden(result: ProbeResult, found: Spread | undefined): string {
  const ms = hiddenLagMs(result)
  return found === undefined || ms < 1 || found.p50 > ms ? '' : `, up to ${milliseconds(ms)} hidden`
}

function rest({ slots, moreSlots, prefixReuse }: ProbeResult): Row[] {
  return [
    ...(slots === undefined ? [] : [{ name: 'calls at once', value: `${slots}${moreSlots ? ' or more' : ''}` }]),
    ...(prefixReuse === undefined ? [] : [{ name: 'prefix reuse', value: prefixReuse ? 'yes' : 'no' }]),
  ]
}

/** To three digits. */
const perSecond = (rate: number): string => Number(rate.toPrecision(3)).toLocaleString('en-US')

const section = (title: string, sentences: readonly string[], { width, paint }: Canvas): string[] =>
  sentences.length === 0
    ? []
    : ['', paint('heading', title), ...sentences.flatMap((sentence) => paragraph(sentence, width, '- ', '  '))]
