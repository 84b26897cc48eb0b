import { deliveredText, heardText } from './heard-text.ts'
import { withoutPicture } from './image.ts'
import type { Journal } from './journal.ts'
import type { Pipeline } from './pipeline.ts'
import type { Transcript } from './transcript.ts'
import { BETWEEN, type Turn } from './turn.ts'

/** Which stages speak, and what of them counts. */
type Speakers = Pick<Pipeline, 'stages' | 'history'>

/** The turns of a run as they are now, derived from its journal alone. */
export function turnsOf(journal: Journal, speakers: Speakers): Turn[] {
  const calls = [...journal.calls.values()]
  return journal.turns.map(({ input, at, calls: from }, index): Turn => {
    const next = journal.turns[index + 1]
    const turn = {
      // A history shows texts: what a picture was is not said again.
      ...{ runId: journal.runId, number: index + 1, input: withoutPicture(input) },
      at: Math.round(journal.startedUnixMs + at / 1e6),
    }
    if (next === undefined && journal.end === undefined) return turn
    const spoken = spokenIn(journal, calls.slice(from, next?.calls), speakers)
    return { ...turn, ...spoken, end: endOf(journal, next !== undefined, spoken.cut === true) }
  })
}

function endOf({ end }: Journal, isFollowed: boolean, isCut: boolean): NonNullable<Turn['end']> {
  if (isFollowed || end === undefined) return 'interrupted'
  if (end.outcome !== 'completed') return end.outcome
  return isCut ? 'interrupted' : 'answered'
}

/** What was spoken in these calls. A stage that is not delivered or not to be remembered counts for nothing; nor does an answer that was taken back. */
function spokenIn(
  journal: Journal,
  calls: readonly Transcript[],
  { stages, history }: Speakers,
): Pick<Turn, 'text' | 'cut'> {
  const said = history?.keep === 'delivered' ? deliveredText : heardText
  const texts: string[] = []
  let isCut = false
  for (const call of calls) {
    const stage = stages.find(({ id }) => id === call.request.stage)
    if (call.isWithdrawn || stage?.deliver === 'off' || stage?.remember === 'off') continue
    const text = said(journal, call)
    if (text !== '') texts.push(text)
    isCut ||= call.end?.end !== 'completed' || text.length < call.text.length
  }
  const text = texts.join(BETWEEN)
  return { ...(text !== '' && { text }), ...(isCut && { cut: true as const }) }
}
