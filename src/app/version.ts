import { readFileSync } from 'node:fs'

/** Of this software, from its package.json, which is one up from `src` and from `dist`. */
export const version: string = String(
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version,
)
