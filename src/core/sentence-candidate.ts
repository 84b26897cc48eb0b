import type { WordKind } from './abbreviations.ts'
import { type Kind, kinds } from './sentence-characters.ts'

/** So many characters behind a mark that say nothing (no letter, no digit) are waited for. */
const MOST_SKIPPED = 64

type Mark = typeof kinds.terminal | typeof kinds.exclamation | typeof kinds.stop | typeof kinds.ellipsis

/** A mark that may have ended a sentence, and what came behind it so far. */
export interface Candidate {
  kind: Mark
  /** Of the character before the mark. */
  readonly before: Kind
  readonly word: WordKind
  /** Where the sentence would end: behind the mark and what closes behind it. */
  end: number
  closed: boolean
  spaced: boolean
  /** Something came that belongs to the next sentence, and does not tell whether there is one. */
  opened: boolean
  skipped: number
}

export type Decision = 'wait' | 'ends' | 'goes on'

export const isMark = (kind: Kind): kind is Mark => kind >= kinds.terminal && kind <= kinds.ellipsis
const isWeak = (kind: Kind): boolean => kind === kinds.stop || kind === kinds.ellipsis

/** What the next character makes of a mark. `at`: the length of the text with it; `isAddress`: the mark stands in an address. */
export function decide(candidate: Candidate, kind: Kind, at: number, isAddress: boolean): Decision {
  const { spaced, opened } = candidate
  if (kind >= kinds.lower && kind <= kinds.digit) return decideByLetter(candidate, kind, isAddress)
  if (kind === kinds.space) {
    candidate.spaced = true
    return 'wait'
  }
  if (opened) return skip(candidate)
  if (kind === kinds.comma) return 'goes on'
  // A full stop behind a space begins a word (`.NET`).
  if (isMark(kind)) return spaced && isWeak(kind) ? skip(candidate) : merge(candidate, kind, at)
  if (kind === kinds.close || (kind === kinds.emphasis && !spaced)) {
    candidate.closed = true
    candidate.end = at
    return 'wait'
  }
  // Straight behind a mark, what is no letter makes it a part of code or of an address: `f!(x)`, `a?[0]`, `./b`.
  const isSign = kind === kinds.open || kind === kinds.other
  const isInner = isSign && !spaced && !candidate.closed && candidate.kind !== kinds.terminal
  if (isInner && (kind === kinds.other || candidate.kind === kinds.exclamation)) return 'goes on'
  return isWeak(candidate.kind) || candidate.closed ? skip(candidate) : 'ends'
}

function decideByLetter(candidate: Candidate, letter: Kind, isAddress: boolean): Decision {
  const { kind, before, word, closed, spaced, opened } = candidate
  // `"Stop!" she said.`
  const goesOnSmall = letter === kinds.lower && closed
  if (kind === kinds.terminal) return goesOnSmall ? 'goes on' : 'ends'
  if (!spaced && !opened) {
    if (isAddress || kind === kinds.ellipsis) return 'goes on'
    // Korean and Chinese are written without a space here, and an address in Latin letters is not.
    const isLetter = letter === kinds.letter
    const wasLetter = before === kinds.letter
    return (kind === kinds.stop ? isLetter && wasLetter : isLetter || wasLetter) ? 'ends' : 'goes on'
  }
  if (kind === kinds.exclamation) return goesOnSmall ? 'goes on' : 'ends'
  if (letter === kinds.lower) return 'goes on'
  if (kind === kinds.ellipsis) return letter === kinds.upper ? 'ends' : 'goes on'
  return word === 'abbreviation' || (word === 'number' && letter === kinds.digit) ? 'goes on' : 'ends'
}

/** Marks in a row are one: `?!`, `...`. */
function merge(candidate: Candidate, kind: Mark, at: number): Decision {
  if (!isWeak(kind) && (isWeak(candidate.kind) || kind === kinds.terminal)) candidate.kind = kind
  else if (isWeak(kind) && isWeak(candidate.kind)) candidate.kind = kinds.ellipsis
  candidate.end = at
  candidate.closed = false
  candidate.spaced = false
  return 'wait'
}

/** Passes over a character behind a mark that does not tell whether the sentence is over. */
function skip(candidate: Candidate): Decision {
  candidate.opened = true
  candidate.skipped += 1
  return candidate.skipped > MOST_SKIPPED ? 'ends' : 'wait'
}
