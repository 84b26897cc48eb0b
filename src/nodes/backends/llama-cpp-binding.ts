import type { Llama } from 'node-llama-cpp'
import { CaesuraError } from '../../core/errors.ts'

/** The package with its native part loaded. */
export interface Binding {
  readonly library: typeof import('node-llama-cpp')
  readonly llama: Llama
  readonly version: string
  /** What llama.cpp reported first as an error since the last time that it was asked: the ones behind it only follow from that. */
  takeError(): string | undefined
}

/** How the package is loaded. */
export type ImportLibrary = () => Promise<typeof import('node-llama-cpp')>

export interface BindingSettings {
  readonly gpu: boolean
  /** `import('node-llama-cpp')` by default. */
  readonly importLibrary?: ImportLibrary
}

/**
 * The native part has one logger for the whole process, and disposing one `Llama` takes it from the others. So all engines
 * share one, which stays until the process ends; alone it takes a few MB and keeps nothing running. By `gpu`.
 */
const shared = new Map<boolean, Promise<Binding>>()

/**
 * Loads node-llama-cpp with a binary that came with its package: nothing is compiled and nothing is downloaded. Throws
 * `CAESURA_E_NO_BACKEND` when the package is missing or has no binary for this machine; the next time it tries again.
 */
export function loadBinding(settings: BindingSettings): Promise<Binding> {
  if (settings.importLibrary !== undefined) return load(settings)
  const { gpu } = settings
  const loading = shared.get(gpu) ?? load(settings)
  shared.set(gpu, loading)
  loading.catch(() => shared.delete(gpu))
  return loading
}

async function load({ gpu, importLibrary }: BindingSettings): Promise<Binding> {
  let library: typeof import('node-llama-cpp')
  try {
    library = await (importLibrary ?? (() => import('node-llama-cpp')))()
  } catch (cause) {
    throw new CaesuraError(
      'CAESURA_E_NO_BACKEND',
      'node-llama-cpp is not installed: models cannot run in this process',
      {
        hint: 'npm install node-llama-cpp',
        cause,
      },
    )
  }
  const { getLlama, getModuleVersion, LlamaLogLevel } = library
  let firstError: string | undefined
  try {
    const llama = await getLlama({
      gpu: gpu ? 'auto' : false,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      logLevel: LlamaLogLevel.error,
      // llama.cpp explains a failed load only in its log, and a log on stderr is not ours to write.
      logger: (_level, line) => {
        firstError ??= line.trim()
      },
    })
    const takeError = () => {
      const error = firstError
      firstError = undefined
      return error
    }
    return { library, llama, version: await getModuleVersion(), takeError }
  } catch (cause) {
    const machine = `${process.platform}-${process.arch}`
    throw new CaesuraError(
      'CAESURA_E_NO_BACKEND',
      `node-llama-cpp has no build that runs on this machine (${machine})`,
      {
        hint: 'npm install node-llama-cpp',
        cause,
      },
    )
  }
}
