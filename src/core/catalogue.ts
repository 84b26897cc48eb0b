import type { BackendKind } from './backend-kind.ts'
import type { CarryDefinition, ChoiceDefinition, Preset, ResponseDefinition, TriggerDefinition } from './policy.ts'
import type { StepKind } from './step.ts'

/**
 * All that a pipeline and a configuration can be made of: kinds of steps, the parts of policies, kinds of backends. `src/app/catalogue.ts` is the one that
 * ships.
 */
export interface Catalogue {
  readonly steps: readonly StepKind[]
  readonly triggers: readonly TriggerDefinition[]
  readonly responses: readonly ResponseDefinition[]
  readonly carries: readonly CarryDefinition[]
  readonly warms: readonly ChoiceDefinition[]
  readonly placements: readonly ChoiceDefinition[]
  readonly thens: readonly ChoiceDefinition[]
  readonly presets: readonly Preset[]
  readonly backends: readonly BackendKind[]
}
