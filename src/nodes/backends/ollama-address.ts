import { CaesuraError } from '../../core/errors.ts'
import { ollamaUrl } from './ollama-url.ts'

/** Where an Ollama may be named. */
interface Names {
  readonly url?: string
  /** What `OLLAMA_HOST` holds. */
  readonly ollamaHost?: string
  /** Where it is looked for when nobody named it; http://127.0.0.1:11434 by default. */
  readonly usualUrl?: string
}

/** Whether `OLLAMA_HOST` says where the Ollama is. */
export const namesHost = ({ ollamaHost = '' }: Names): boolean => ollamaHost.trim() !== ''

/** The URL of the Ollama to use. Throws `CAESURA_E_USAGE` with where it was named, and nothing of a password in it. */
export function ollamaAddress({ url, ollamaHost, usualUrl }: Names): string {
  try {
    return ollamaUrl(url ?? (ollamaHost?.trim() ? ollamaHost : usualUrl))
  } catch (cause) {
    if (!(cause instanceof CaesuraError)) throw cause
    const from = url === undefined ? 'OLLAMA_HOST' : '--url'
    throw new CaesuraError('CAESURA_E_USAGE', `${from} is ${cause.message}`, cause.place)
  }
}
