import { fileURLToPath } from 'node:url'

/** The small model that comes with the package, whose folder is one up from `src` and from `dist`. */
export const bundledModel = fileURLToPath(new URL('../../../models/caesura-demo-3m.q8_0.gguf', import.meta.url))

/** The name of a model file as stages write it: the file's name up to the first dot. */
export function modelNameOf(file: string): string {
  const name = file.replace(/^.*[/\\]/, '')
  return name.replace(/\..*$/, '') || name
}
