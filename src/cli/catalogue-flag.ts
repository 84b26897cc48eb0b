import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Option } from 'commander'
import { catalogue } from '../app/compose.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import { checkCatalogue } from '../policies/reading/catalogue-check.ts'

export interface CatalogueFlag {
  readonly catalogue?: string
}

export const catalogueOption = (): Option =>
  new Option('--catalogue <file>', 'a module that exports `catalogue`: policies, steps and backends of your own')

const EXPECTED = 'a module that exports `catalogue`'

/**
 * What pipelines and configurations may name: the catalogue of a module, which the flag or `CAESURA_CATALOGUE` names, or the one that ships. Throws `CAESURA_E_FILE` where no module is there, and
 * `CAESURA_E_CONFIG` where it cannot be loaded or exports something else.
 */
export async function catalogueOf(flags: CatalogueFlag): Promise<Catalogue> {
  const file = flags.catalogue ?? (process.env.CAESURA_CATALOGUE || undefined)
  const from = flags.catalogue === undefined ? 'CAESURA_CATALOGUE' : '--catalogue'
  if (file === undefined) return catalogue
  const path = resolve(file)
  const status = await stat(path).catch(() => undefined)
  if (!status?.isFile())
    throw new CaesuraError('CAESURA_E_FILE', `${from} is no file`, { file, received: file, expected: EXPECTED })
  const loaded: Record<string, unknown> = await import(pathToFileURL(path).href).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CaesuraError('CAESURA_E_CONFIG', `${from} cannot be loaded: ${reason}`, {
      file,
      expected: EXPECTED,
      cause,
    })
  })
  if (loaded.catalogue === undefined)
    throw new CaesuraError('CAESURA_E_CONFIG', `${from} exports no catalogue`, {
      file,
      received: Object.keys(loaded).join(', ') || 'no export',
      expected: EXPECTED,
    })
  try {
    return checkCatalogue(loaded.catalogue)
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    throw new CaesuraError(error.code, error.message, { ...error.place, file })
  }
}
