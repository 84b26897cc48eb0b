import { dirname, isAbsolute, join } from 'node:path'
import type { Catalogue } from '../core/catalogue.ts'
import type { Experiment } from '../core/experiment.ts'
import { oneOrMany } from '../core/problems.ts'
import type { ExperimentFiles } from '../lab/design/experiment-files.ts'
import { readExperiment } from '../lab/design/experiment-schema.ts'
import { styledRemark } from './output.ts'
import { readDocumentFile, readTextFile } from './read-file.ts'
import { warningText } from './show-error.ts'

/** Files that an experiment names are looked for from its folder. */
export const filesBeside = (file: string): ExperimentFiles => {
  const at = (path: string) => (isAbsolute(path) ? path : join(dirname(file), path))
  return { document: (path) => readDocumentFile(at(path)), text: (path) => readTextFile(at(path)) }
}

/** Reads and checks an experiment file. Warnings go to stderr. Throws every problem at once. */
export async function loadExperiment(file: string, catalogue: Catalogue): Promise<Experiment> {
  const document = await readDocumentFile(file)
  const { value, errors, warnings } = await readExperiment(catalogue, document.value, document, filesBeside(file))
  if (value === undefined) throw oneOrMany(errors)
  for (const warning of warnings) styledRemark(warningText(warning))
  return value
}
