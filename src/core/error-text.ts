import { CaesuraError, CaesuraErrors } from './errors.ts'
import { present } from './present.ts'
import { visibleLines } from './unsafe-text.ts'

/** All that an error knows in one text: the sentence, then what was received, what is allowed, and what to do. */
export function wholeMessage({ message, place: { received, expected, hint } }: CaesuraError): string {
  const lines = Object.entries({ received, expected, hint }).filter(([, text]) => text !== undefined)
  return [message, ...lines.map(([name, text]) => `  ${`${name}:`.padEnd(9)} ${visibleLines(text ?? '')}`)].join('\n')
}

/**
 * An error for whoever called `thrower`: its message is enough alone, and its stack begins at that call. Of several errors `errors` has each as
 * it was. What is no error of ours comes back as it is.
 */
export function toldWholly(error: unknown, thrower: (...all: never[]) => unknown): unknown {
  if (!(error instanceof CaesuraErrors || error instanceof CaesuraError)) return error
  const told = error instanceof CaesuraErrors ? severalTold(error) : oneTold(error)
  Error.captureStackTrace(told, thrower)
  return told
}

function severalTold({ errors }: CaesuraErrors): CaesuraErrors {
  const told = new CaesuraErrors(errors)
  told.message = errors.map(wholeMessage).join('\n')
  for (const error of errors) {
    // Node shows each of them below the message: a line is enough there.
    error.stack = ''
    keepQuiet(error, 'code')
    keepQuiet(error, 'place')
  }
  return told
}

function oneTold(error: CaesuraError): CaesuraError {
  const { code, place, cause } = error
  const told = new CaesuraError(code, wholeMessage(error), { ...place, ...present({ cause }) })
  return keepQuiet(told, 'place')
}

/** It is there, but not shown by Node and `console`: the message has it. */
const keepQuiet = (error: CaesuraError, key: 'code' | 'place'): CaesuraError =>
  Object.defineProperty(error, key, { enumerable: false })
