import type { Catalogue } from '../core/catalogue.ts'
import { backends } from '../nodes/backends/kinds/catalogue.ts'
import { policies } from '../policies/catalogue.ts'
import { steps } from '../steps/catalogue.ts'

/** All that ships, of which pipelines and configurations are made. */
export const catalogue: Catalogue = { steps, ...policies, backends }
