import type { Catalogue } from '../core/catalogue.ts'
import type { TriggerDefinition } from '../core/policy.ts'
import { checkCatalogue } from '../policies/reading/catalogue-check.ts'
import { anyOf } from '../policies/triggers/any.ts'
import { catalogue } from './catalogue.ts'

/** What a catalogue may be given beside what it has. */
export type CatalogueExtension = Partial<
  Pick<Catalogue, 'backends' | 'steps' | 'triggers' | 'responses' | 'carries' | 'presets'>
>

/**
 * A catalogue with kinds of backends and steps, triggers, responses, carries and presets of your own beside those of `base`, by default the ones that ship. Own triggers
 * may stand in `any: [..]` too. Throws `CAESURA_E_CONFIG` for what is no definition, and for a name that is taken.
 */
export function extendCatalogue(more: CatalogueExtension, base: Catalogue = catalogue): Catalogue {
  const { backends = [], steps = [], triggers = [], responses = [], carries = [], presets = [] } = more
  const together: TriggerDefinition[] = []
  // `any` finds its members among all of them.
  const any = anyOf((name) => together.find((trigger) => trigger.name === name)!)
  together.push(...base.triggers.map((trigger) => (trigger.name === any.name ? any : trigger)), ...triggers)
  const extended: Catalogue = {
    ...base,
    backends: [...base.backends, ...backends],
    steps: [...base.steps, ...steps],
    triggers: together,
    responses: [...base.responses, ...responses],
    carries: [...base.carries, ...carries],
    presets: [...base.presets, ...presets],
  }
  return checkCatalogue(extended)
}
