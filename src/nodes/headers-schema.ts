import { z } from 'zod'
import { isRecord } from '../core/problems.ts'
import { headerFault, repeatedNames } from './request-headers.ts'

/** The place and the fault of a value that is never shown: it may be a secret, in the right place or in a wrong one. */
const hidden = (path: readonly string[], message: string, expected: string) => ({
  code: 'custom' as const,
  input: '…',
  path: [...path],
  message,
  params: { expected },
})

/** Headers by their names. What is wrong is told with its place and without its value. */
export const headersSchema: z.ZodType<Readonly<Record<string, string>>, Readonly<Record<string, string>>> = z
  .any()
  .meta({ type: 'object', additionalProperties: { type: 'string', minLength: 1 } })
  .transform((value: unknown, { issues }) => {
    if (!isRecord(value)) {
      issues.push(hidden([], 'is no mapping', 'a mapping of names to texts'))
      return z.NEVER
    }
    for (const name of repeatedNames(Object.keys(value)))
      issues.push(hidden([name], 'stands there twice', 'each header once, whatever its case'))
    const headers: Record<string, string> = {}
    for (const [name, text] of Object.entries(value)) {
      const fault = headerFault(name, text)
      if (fault !== undefined) issues.push(hidden(fault.showName ? [name] : [], fault.message, fault.expected))
      else headers[name] = String(text)
    }
    return headers
  })
