import { CaesuraError } from '../../core/errors.ts'

/** On top of twice what is expected, ms. */
const PATIENCE_MS = 3_000

/** ms within which a call after an abort has to begin; after that the server counts as wedged. */
export const patience = (expectedMs: number): number => 2 * expectedMs + PATIENCE_MS

/** Some Ollama versions lose a slot when a client leaves (ollama#17131): every later call waits for ever. */
export const wedged = (waitedMs: number): CaesuraError =>
  new CaesuraError(
    'CAESURA_E_SERVER_WEDGED',
    `an abort wedged the server: a call sent after it got nothing within ${Math.round(waitedMs)} ms`,
    { hint: 'Unload the model to end it (`ollama stop MODEL`), or restart the server.' },
  )

export const isWedge = (error: unknown): boolean =>
  error instanceof CaesuraError && error.code === 'CAESURA_E_SERVER_WEDGED'
