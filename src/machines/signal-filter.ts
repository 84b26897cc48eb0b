import type { SignalFilter } from '../core/policy.ts'

const words = new Intl.Segmenter('und', { granularity: 'word' })

/** Where its words are looked for, UTF-16 units: a million marks take longer than a call may wait. */
const WORDS_WITHIN = 20_000

/** Words as a reader counts them, in any script; not more than `most`. */
function countWords(text: string, most: number): number {
  let count = 0
  for (const { isWordLike } of words.segment(text.slice(0, WORDS_WITHIN))) {
    if (isWordLike) count += 1
    if (count >= most) break
  }
  return count
}

function countCharacters(text: string, most: number): number {
  let count = 0
  for (const _ of text) {
    if (count >= most) break
    count += 1
  }
  return count
}

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
  const said = input.trim()
  const hasWords = leastWords > 0 ? countWords(said, leastWords) : 0
  const hasCharacters = leastCharacters > 0 ? countCharacters(said, leastCharacters) : 0
  if (hasWords < leastWords) return `${counted(hasWords, 'word')}, and the policy wants ${leastWords} or more`
  if (hasCharacters < leastCharacters)
    return `${counted(hasCharacters, 'character')}, and the policy wants ${leastCharacters} or more`
  if (cooldown !== undefined && sinceLastMs !== undefined && sinceLastMs < cooldown) {
    return `${Math.round(sinceLastMs)} ms after the one before, within the cooldown of ${cooldown} ms`
  }
  return undefined
}
