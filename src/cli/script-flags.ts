import type { Command } from 'commander'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'

const LARGEST = 1_000_000

/** When a scripted backend says how much. */
export interface ScriptFlags {
  readonly backend?: string
  readonly tokens?: number
  readonly firstTokenMs?: number
  readonly tokenMs?: number
}

export const withScriptFlags = (command: Command): Command =>
  command
    .option('--tokens <n>', 'with --backend scripted: pieces of an answer', whole('--tokens', 1, LARGEST))
    .option('--first-token-ms <n>', '… from a request to the first piece', whole('--first-token-ms', 0, LARGEST))
    .option('--token-ms <n>', '… between two pieces', whole('--token-ms', 0, LARGEST))

/** What the flags of `withScriptFlags` say; undefined without `--backend scripted`. Throws `CAESURA_E_USAGE` where they stand without it. */
export function scriptOf({ backend, tokens, firstTokenMs, tokenMs }: ScriptFlags) {
  const times = present({ tokens, firstTokenMs, tokenMs })
  if (backend === 'scripted') return times
  if (Object.keys(times).length === 0) return undefined
  throw new CaesuraError(
    'CAESURA_E_USAGE',
    '--tokens, --first-token-ms and --token-ms are of use with --backend scripted only',
  )
}

/** Reads a whole number from `min` to `max`. Throws `CAESURA_E_USAGE`. */
export const whole = (flag: string, min: number, max: number) => (value: string) => {
  const count = Number(value)
  if (/^\d+$/.test(value) && count >= min && count <= max) return count
  throw new CaesuraError('CAESURA_E_USAGE', `${flag} cannot be read`, {
    received: value,
    expected: `a whole number from ${min} to ${max}`,
  })
}
