import type { Execution } from '../../core/trial.ts'
import { FEW_BLOCKS } from './answer.ts'
import type { Block } from './blocks.ts'
import { type OverheadDesign, transports } from './design.ts'
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
  const unmeasured = contrasts.filter(({ ms }) => ms === undefined).map(({ name, server }) => `${name} (${server})`)
  return [
    ...(ended?.how === 'complete' || ended?.how === 'time'
      ? []
      : [`It did not come to its end (${ended?.how ?? 'its process ended'}).`]),
    ...(blocks.length >= FEW_BLOCKS
      ? []
      : [
          `There are ${blocks.length} blocks: with fewer than ${FEW_BLOCKS}, intervals are the range of the blocks, which holds less than 95 %.`,
        ]),
    ...(lost === 0 ? [] : [`${lost} of ${samples.length} trials have no first token; they are in no figure.`]),
    ...(unmeasured.length === 0 ? [] : [`Not measured: ${unmeasured.join(', ')}.`]),
    ...differentWork(samples, design),
  ]
}

/** The same tokens everywhere, and the same text where the engine is the same: else a difference is not one of transport. */
function differentWork(samples: readonly Sample[], { maxTokens }: OverheadDesign): string[] {
  const whole = samples.filter(({ cell, lost }) => cell.interrupt === 'none' && cell.answer === 'whole' && !lost)
  const counts = transports.flatMap((transport) => {
    const wrong = whole.filter(({ cell, generated }) => cell.transport === transport && generated !== maxTokens)
    return wrong.length === 0 ? [] : [`${transport} (${wrong[0]!.generated})`]
  })
  const texts = new Set(
    whole.filter(({ cell, text }) => cell.transport !== 'ollama' && text !== undefined).map(({ text }) => text),
  )
  return [
    ...(counts.length === 0 ? [] : [`Answers are not all of ${maxTokens} tokens: ${counts.join(', ')}.`]),
    ...(texts.size < 2 ? [] : ['The same engine did not give the same text in-process and over HTTP.']),
  ]
}
