import { ollamaUrl } from './backends/ollama-url.ts'
import { CaesuraError } from './core/errors.ts'
import type { Wishes } from './wishes.ts'

/** Whether `OLLAMA_HOST` says where the Ollama is. */
export const namesHost = ({ ollamaHost = '' }: Pick<Wishes, 'ollamaHost'>): boolean => ollamaHost.trim() !== ''

/** The URL of the Ollama to use. Throws `CAESURA_E_USAGE` with where it was named, and nothing of a password in it. */
export function ollamaAddress({ url, ollamaHost, usualUrl }: Pick<Wishes, 'url' | 'ollamaHost' | 'usualUrl'>): string {
  try {
    return ollamaUrl(url ?? (ollamaHost?.trim() ? ollamaHost : usualUrl))
  } catch (cause) {
    if (!(cause instanceof CaesuraError)) throw cause
    const from = url === undefined ? 'OLLAMA_HOST' : '--url'
    throw new CaesuraError('CAESURA_E_USAGE', `${from} is ${cause.message}`, cause.place)
  }
}
