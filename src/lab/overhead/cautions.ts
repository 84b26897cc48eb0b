import type { Execution } from '../../core/trial.ts'
import { LEAST_FOR_95 } from '../statistics/median-interval.ts'
import type { Block } from './blocks.ts'
import { contrastNames } from './contrasts.ts'
import { type OverheadDesign, subjectOf, transports } from './design.ts'
import type { Contrast } from './result.ts'
import type { Sample } from './sample.ts'

export interface Derived {
  readonly samples: readonly Sample[]
  readonly blocks: readonly Block[]
  readonly contrasts: readonly Contrast[]
  readonly design: OverheadDesign
  readonly execution: Execution
}

/** Why the figures must be read with care, a sentence each. */
export function cautionsOn({ samples, blocks, contrasts, design, execution: { ended } }: Derived): string[] {
  const lost = samples.filter((sample) => sample.lost).length
  const late = samples.filter(({ lost, firstTokenMs }) => !lost && firstTokenMs === undefined).length
  const unmeasured = contrasts.filter(({ ms }) => ms === undefined).map(({ name, server }) => `${name} (${server})`)
  const came = ended?.how === 'complete' || ended?.how === 'time'
  return [
    ...(came ? [] : [`It did not come to its end (${ended?.how ?? 'its process ended'}).`]),
    ...(blocks.length >= LEAST_FOR_95 || blocks.length === 0
      ? []
      : [
          `There ${blocks.length === 1 ? 'is 1 block' : `are ${blocks.length} blocks`}: with fewer than ${LEAST_FOR_95} there is no 95 % interval of a median. What stands in its place is the range of the blocks, which holds less.`,
        ]),
    ...(lost === 0 ? [] : [`${lost} of ${samples.length} trials have no first token; they are in no figure.`]),
    ...(late === 0
      ? []
      : [
          `${late} of ${samples.length} trials were to be interrupted after their first stage had ended, which was shorter than in the calibration; they are in no figure.`,
        ]),
    ...(unmeasured.length === 0 ? [] : [`Not measured: ${unmeasured.join(', ')}.`]),
    ...differentWork(samples, design),
  ]
}

/** The same tokens everywhere, and the same text where the engine is the same: else a difference is not one of transport. */
function differentWork(samples: readonly Sample[], { maxTokens }: OverheadDesign): string[] {
  const whole = samples.filter(({ cell, lost }) => cell.interrupt === 'none' && cell.answer === 'whole' && !lost)
  const counts = transports.flatMap((transport) => {
    const wrong = whole.find(({ cell, generated }) => cell.transport === transport && generated !== maxTokens)
    return wrong === undefined ? [] : [`${transport} (${wrong.generated})`]
  })
  const texts = new Set(
    whole.filter(({ cell, text }) => cell.transport !== 'ollama' && text !== undefined).map(({ text }) => text),
  )
  return [
    ...(counts.length === 0 ? [] : [`Answers are not all of ${maxTokens} tokens: ${counts.join(', ')}.`]),
    ...(texts.size < 2 ? [] : ['The same engine did not give the same text in-process and over HTTP.']),
  ]
}

/** Which server it is, in a sentence's middle. */
export const serverInWords = (design: OverheadDesign): string => {
  const address = design.servers.find(({ name }) => name === 'ollama')?.address
  return subjectOf(design) === 'http'
    ? 'the embedded server on this machine'
    : `the Ollama${address === undefined ? '' : ` at ${address}`}`
}

/** For which server the answer is, and what it does not tell. */
export function scopeOf(design: OverheadDesign, contrasts: readonly Contrast[]): string {
  if (subjectOf(design) === 'http')
    return 'The answer is for a server of our own on this machine. A server elsewhere adds its network to each call: --url measures it through its address.'
  const there = contrasts.filter(({ server }) => server.startsWith('ollama'))
  const missing = contrastNames.filter((name) => !there.some((each) => each.name === name))
  const second = `What a second node, or a second slot, would change there cannot be known from one address${missing.length === 0 ? '' : ` (${missing.join(', ')})`}.`
  return `The answer is for ${serverInWords(design)}: HTTP there is what the client waits beyond the total that the server reports of the same call. ${second} Rows of the embedded server are of a server of our own on this machine.`
}
