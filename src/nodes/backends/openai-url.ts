import { readServerUrl, withoutPassword } from '../../core/address.ts'
import { CaesuraError } from '../../core/errors.ts'
import { show } from '../../core/problems.ts'

/**
 * The base of an OpenAI-compatible API, with the path as it is given, or `/v1` where there is none: `http://127.0.0.1:8080`
 * becomes `http://127.0.0.1:8080/v1`. Ends without a slash. Throws `CAESURA_E_CONFIG`, for credentials in the URL too: they
 * would show up wherever an address does.
 */
export function openaiUrl(text: string): string {
  const { url, fault, credentials } = readServerUrl(text.trim())
  if (url === undefined) {
    const shown = show(withoutPassword(text, '…@'))
    throw new CaesuraError('CAESURA_E_CONFIG', `not an address of an OpenAI-compatible server: ${shown} ${fault}`, {
      received: shown,
      expected: 'an http or https URL without credentials, such as http://127.0.0.1:8080/v1',
      ...(credentials && {
        hint: 'Give the key as apiKey, or other credentials as headers (in a configuration: apiKeyEnv, headers).',
      }),
    })
  }
  if (url.pathname === '/') url.pathname = '/v1'
  return url.href.replace(/\/+$/, '')
}

/** What stands above the API: where llama.cpp's server has its own routes. */
export const serverRoot = (base: string): string => base.replace(/\/v1$/, '')
