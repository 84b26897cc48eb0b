import type { Document } from '../../core/document.ts'
import { CaesuraError, CaesuraErrors } from '../../core/errors.ts'
import { present } from '../../core/present.ts'
import type { Path, Problem } from '../../core/problems.ts'

/** How the files are read that an experiment names, by their paths as it writes them. Both throw what reading a file does. */
export interface ExperimentFiles {
  document(path: string): Promise<Document>
  text(path: string): Promise<string>
}

/** A file that is not there is a fault of what names it; what is wrong in a file is told by its own lines. */
export function fileFault(
  error: unknown,
  written: string,
  path: Path,
): { problem: Problem } | { errors: CaesuraError[]; warnings: [] } {
  if (error instanceof CaesuraErrors) return { errors: error.errors, warnings: [] }
  if (!(error instanceof CaesuraError)) throw error
  if (error.code !== 'CAESURA_E_FILE') return { errors: [error], warnings: [] }
  const { expected = 'a readable file', hint } = error.place
  const params = { code: error.code, expected, ...present({ hint }) }
  return {
    problem: {
      path,
      input: written,
      message: `names a file that cannot be used: ${error.message.replace(/\.$/, '')}`,
      params,
    },
  }
}
