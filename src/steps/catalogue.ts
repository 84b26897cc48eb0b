import type { StepKind } from '../core/step.ts'
import { model } from './model.ts'
import { say } from './say.ts'

/** All that a stage can do. A new kind is its own file, its test and its name in this list. */
export const steps: readonly StepKind[] = [model, say]
