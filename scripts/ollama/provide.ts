import { access, cp, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isExecutable, onPath, run } from '../processes.ts'

/** An Ollama for tests: one that runs already, a binary to start, or the reason why there is none. */
export type Provided =
  | { readonly kind: 'running'; readonly host: string }
  | { readonly kind: 'binary'; readonly path: string }
  | { readonly kind: 'none'; readonly reason: string }

const VERSION = '0.24.0'
/** The module that carries `miniaudio.h`. */
const MALGO = 'github.com/gen2brain/malgo@v0.11.24'

const cacheFolder = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'caesura-test', `ollama-${VERSION}`)

/**
 * Looks for an Ollama: `OLLAMA_HOST`, the PATH, the cache folder; else builds one into the cache folder where a Go toolchain
 * is present (about 7 minutes on two cores, once). `tell` gets progress lines.
 */
export async function provideOllama(tell: (line: string) => void): Promise<Provided> {
  const host = process.env.OLLAMA_HOST
  if (host !== undefined && host !== '') return { kind: 'running', host }
  const installed = await onPath('ollama')
  if (installed !== undefined) return { kind: 'binary', path: installed }
  const cached = join(cacheFolder(), 'bin', 'ollama')
  if (await isExecutable(cached)) return { kind: 'binary', path: cached }
  const go = await onPath('go')
  if (go === undefined) {
    return { kind: 'none', reason: 'no OLLAMA_HOST, no ollama on the PATH, and no Go toolchain to build one' }
  }
  try {
    await build(go, cached, tell)
    return { kind: 'binary', path: cached }
  } catch (error) {
    return { kind: 'none', reason: `building Ollama failed: ${error instanceof Error ? error.message : error}` }
  }
}

/**
 * `go install` alone fails: a Go module leaves out folders named `vendor`, and with them three C++ headers. And without the
 * flags for the CPU the build is 4 to 7 times slower at run time.
 */
async function build(go: string, target: string, tell: (line: string) => void): Promise<void> {
  tell(`building Ollama ${VERSION} into ${cacheFolder()}; this takes some minutes, once`)
  await provideSystemHeaders(tell)
  const work = join(cacheFolder(), `build-${process.pid}`)
  try {
    const headers = join(work, 'headers')
    await mkdir(join(headers, 'miniaudio'), { recursive: true })
    const malgo = JSON.parse(await run(go, ['mod', 'download', '-json', MALGO], {}))
    await cp(join(malgo.Dir, 'miniaudio.h'), join(headers, 'miniaudio', 'miniaudio.h'))
    const cpu = (await hasAvx2()) ? '-O3 -mavx2 -mfma -mf16c -mbmi2' : '-O3'
    const stamp = `-s -w -X github.com/ollama/ollama/version.Version=${VERSION}`
    await run(go, ['install', '-ldflags', stamp, `github.com/ollama/ollama@v${VERSION}`], {
      CGO_ENABLED: '1',
      GOBIN: join(work, 'bin'),
      CGO_CFLAGS: cpu,
      CGO_CXXFLAGS: `${cpu} -I${headers}`,
    })
    await mkdir(join(target, '..'), { recursive: true })
    await rename(join(work, 'bin', 'ollama'), target)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const systemHeaders = [
  { file: '/usr/include/nlohmann/json_fwd.hpp', debian: 'nlohmann-json3-dev' },
  { file: '/usr/include/stb/stb_image.h', debian: 'libstb-dev' },
]

/** Installs the headers that are missing where that needs no password. */
async function provideSystemHeaders(tell: (line: string) => void): Promise<void> {
  const missing: string[] = []
  for (const { file, debian } of systemHeaders) if (!(await exists(file))) missing.push(debian)
  if (missing.length === 0) return
  const apt = await onPath('apt-get')
  if (apt === undefined || process.getuid?.() !== 0) throw new Error(`install ${missing.join(' and ')} first`)
  tell(`installing ${missing.join(' and ')}`)
  await run(apt, ['update', '-qq'], {})
  await run(apt, ['install', '-y', '-qq', '--no-install-recommends', ...missing], {})
}

async function hasAvx2(): Promise<boolean> {
  if (process.arch !== 'x64') return false
  return / avx2 /.test(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''))
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
