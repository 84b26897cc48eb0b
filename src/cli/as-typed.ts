import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Environment } from '../core/environment.ts'

/** From where this command line runs, as far as it decides what a person types to run it once more. */
export interface Calling {
  /** The folder of the package. */
  readonly root: string
  /** Whether it runs from the sources, as in a checkout. */
  readonly fromSources: boolean
  readonly folder: string
  readonly environment: Environment
}

const SCRIPTS = ['caesura', 'start']

/**
 * What a person types for `caesura` to run this command line again: the script of a checkout, `npx caesura-engine` where npx started it
 * (the package, for npm's `caesura` is somebody else's), else the command that npm has installed.
 */
export function typedHere({ root, fromSources, folder, environment }: Calling): string {
  const { npm_package_name: of, npm_lifecycle_event: script = '', npm_command: npm } = environment
  if (fromSources && ((of === 'caesura-engine' && SCRIPTS.includes(script)) || folder === root))
    return 'npm run -s caesura --'
  return !fromSources && npm === 'exec' ? 'npx caesura-engine' : 'caesura'
}

let typed: string | undefined

/** A sentence of ours with each `caesura VERB` in it as a person types it here. Not for texts of a model or a server. */
export const asTyped = (sentence: string): string =>
  sentence.replaceAll(/(?<![\w./-])caesura (?=--help|VERB|[a-z])/g, () => {
    typed ??= typedHere(thisProcess())
    return `${typed} `
  })

const thisProcess = (): Calling => ({
  root: realpathSync(fileURLToPath(new URL('../../', import.meta.url))),
  fromSources: import.meta.url.endsWith('.ts'),
  folder: process.cwd(),
  environment: process.env,
})
