import { Option } from 'commander'
import { CaesuraError } from '../core/errors.ts'
import { paceSchema } from '../core/speaking.ts'

/** `--pace N`: reads as a number from 0.1 to 10,000, else throws `CAESURA_E_USAGE`. */
export const paceOption = (): Option =>
  new Option(
    '--pace <n>',
    'tokens a second that are handed to the reader, in place of what the pipeline says',
  ).argParser(paceOf)

function paceOf(value: string): number {
  const pace = paceSchema.safeParse(value.trim() === '' ? undefined : Number(value))
  if (pace.success) return pace.data
  throw new CaesuraError('CAESURA_E_USAGE', '--pace cannot be read', {
    received: value,
    expected: 'tokens a second, a number from 0.1 to 10000',
  })
}
