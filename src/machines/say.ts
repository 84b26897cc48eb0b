import type { Executor } from '../core/ports.ts'

/**
 * Says a fixed text as one piece, in this process: there is nothing to wait for, so it has no node, no slot and no marks. Whoever takes the run
 * over says it again, and readers are told once.
 */
export const speakerOf = (text: string): Pick<Executor, 'execute'> => ({
  async execute(_, { signal, observer }) {
    if (signal.aborted) return { end: 'cancelled' }
    if (text !== '') observer.token(text)
    return { end: 'completed' }
  },
})
