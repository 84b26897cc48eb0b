import type { SignalFilter } from '../core/policy.ts'

const words = new Intl.Segmenter('und', { granularity: 'word' })

/** Words as a reader counts them, in any script. */
const countWords = (text: string): number => [...words.segment(text)].filter(({ isWordLike }) => isWordLike).length

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/**
 * Why a signal is refused; undefined when it counts. `sinceLastMs` is the time since the signal before it that interrupted; absent
 * when there was none, or when an interrupt is being handled that this signal would supersede.
 */
export function refusalOf(
  { signals, minimum, cooldown }: SignalFilter,
  input = '',
  sinceLastMs?: number,
): string | undefined {
  if (signals === 'ignore') return 'the policy ignores signals'
  const { words: leastWords = 0, characters: leastCharacters = 0 } = minimum ?? {}
  const [hasWords, hasCharacters] = [countWords(input), [...input.trim()].length]
  if (hasWords < leastWords) return `${counted(hasWords, 'word')}, and the policy wants ${leastWords} or more`
  if (hasCharacters < leastCharacters)
    return `${counted(hasCharacters, 'character')}, and the policy wants ${leastCharacters} or more`
  if (cooldown !== undefined && sinceLastMs !== undefined && sinceLastMs < cooldown) {
    return `${Math.round(sinceLastMs)} ms after the one before, within the cooldown of ${cooldown} ms`
  }
  return undefined
}
