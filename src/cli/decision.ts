import { counted, milliseconds } from '../pages/figures.ts'
import type { ExplainedInterrupt } from '../records/explaining/explanation.ts'
import { doingWords } from './alternative-words.ts'
import { harmless, paragraph, type Screen } from './screen.ts'

/** The policy's decision with its inputs, as names and what they were. What is not in the record has no row. */
export function decisionRows({ interrupt, from, during, to }: ExplainedInterrupt): [name: string, value: string][] {
  const { trigger, input, response, decision, reason, carry } = interrupt
  const rows: [string, string | undefined][] = [
    ['trigger', trigger],
    ['input', input === undefined ? undefined : `“${input}”`],
    ['call', during && `${interrupt.from}, ${doingWords[during]}${placeOf(from)}`],
    ['response', response],
    ['decision', decision],
    ['reason', reason],
    ['carry', carry],
    ['warm', from?.warmed && warmWords(from.warmed)],
    ['became of it', from && fate(from)],
    ['next', to && `${to.id}${placeOf(to)}`],
  ]
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]]))
}

type Call = NonNullable<ExplainedInterrupt['from']>

const placeOf = (call: Call | undefined): string =>
  call === undefined ? '' : ` (${call.model ?? 'a fixed text'}${call.node === undefined ? '' : ` on ${call.node}`})`

const warmWords = ({ outcome, node, reason }: NonNullable<Call['warmed']>): string =>
  `${outcome}${node === undefined ? '' : ` on ${node}`}${reason === undefined ? '' : `: ${reason}`}`

const fate = ({ settlement, tokens, wastedSlotMs }: Call): string => {
  const wasted =
    tokens.wasted === 0 && wastedSlotMs === 0
      ? 'nothing wasted'
      : `${tokens.wasted} wasted, with ${milliseconds(wastedSlotMs)} of slot time`
  return `${settlement}; ${counted(tokens.generated, 'token')}, ${tokens.delivered} delivered, ${wasted}`
}

/** The same for a terminal. Lines, unended. */
export function decisionLines(explained: ExplainedInterrupt, canvas: Pick<Screen, 'width' | 'paint'>): string[] {
  const rows = decisionRows(explained)
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.flatMap(([name, value]) => {
    const indent = `  ${name.padEnd(width)}  `
    const text = harmless(value).replace(/\s+/g, ' ').trim()
    const [first = '', ...more] = paragraph(text, canvas.width, indent, ' '.repeat(indent.length))
    return [`  ${canvas.paint('quiet', name.padEnd(width))}  ${first.slice(indent.length)}`, ...more]
  })
}
