import { styleText } from 'node:util'
import type { CaesuraError, ErrorPlace } from '../core/errors.ts'
import { visible, visibleLines } from '../core/unsafe-text.ts'
import { asTyped } from './as-typed.ts'

/** `file:line:column`, as far as it is known; editors and terminals make a link of it. */
export const placeText = ({ file, line, column }: ErrorPlace): string =>
  [file, ...(line === undefined ? [] : [line, column])].filter((part) => part !== undefined).join(':')

/** An error for people: `file:line:column: message`, then received, expected and what to do, with nothing in it that a terminal obeys. Styled for stderr where that is a terminal. */
export function errorText(error: CaesuraError): string {
  const { received, expected, hint } = error.place
  return problemText(error.place, `${visibleLines(error.message)} ${dim(error.code)}`, {
    received,
    expected,
    hint: hint && asTyped(hint),
  })
}

/** A warning in the form of `errorText`. */
export function warningText(warning: ErrorPlace & { readonly message: string }): string {
  return problemText(warning, `warning: ${visibleLines(warning.message)}`, {
    hint: warning.hint && asTyped(warning.hint),
  })
}

function problemText(place: ErrorPlace, sentence: string, details: Record<string, string | undefined>): string {
  const at = visible(placeText(place))
  const lines = Object.entries(details).filter(([, text]) => text !== undefined)
  const rest = lines.map(([name, text]) => `  ${dim(`${name}:`.padEnd(9))} ${visibleLines(text ?? '')}`)
  return [`${at === '' ? '' : `${styleText('bold', at, { stream: process.stderr })}: `}${sentence}`, ...rest].join('\n')
}

const dim = (text: string): string => styleText('dim', text, { stream: process.stderr })
