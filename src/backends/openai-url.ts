import { CaesuraError } from '../core/errors.ts'
import { show } from '../core/problems.ts'

/**
 * The base of an OpenAI-compatible API, with the path as it is given, or `/v1` where there is none: `http://127.0.0.1:8080`
 * becomes `http://127.0.0.1:8080/v1`. Ends without a slash. Throws `CAESURA_E_CONFIG`, for credentials in the URL too: they
 * would show up wherever an address does.
 */
export function openaiUrl(text: string): string {
  const url = URL.parse(text.trim())
  const place = {
    received: show(text),
    expected: 'an http or https URL without credentials, such as http://127.0.0.1:8080/v1',
  }
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new CaesuraError('CAESURA_E_CONFIG', `not an address of an OpenAI-compatible server: ${show(text)}`, place)
  if (url.username !== '' || url.password !== '')
    throw new CaesuraError('CAESURA_E_CONFIG', 'the URL of an OpenAI-compatible server has credentials in it', {
      ...place,
      hint: 'Give the key as apiKey (in a configuration: apiKeyEnv).',
    })
  url.search = ''
  url.hash = ''
  if (url.pathname === '/') url.pathname = '/v1'
  return url.href.replace(/\/+$/, '')
}

/** What stands above the API: where llama.cpp's server has its own routes. */
export const serverRoot = (base: string): string => base.replace(/\/v1$/, '')
