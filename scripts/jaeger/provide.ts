import { mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isExecutable, onPath, run } from '../processes.ts'

/** A Jaeger for tests: one that runs already, a binary to start, or the reason why there is none. */
export type Provided =
  | { readonly kind: 'running'; readonly queryUrl: string; readonly otlpUrl: string }
  | { readonly kind: 'binary'; readonly path: string }
  | { readonly kind: 'none'; readonly reason: string }

const VERSION = '2.13.0'
/** It is Jaeger 2.13.0 too. Later releases are tagged 2.x alone, which Go does not take for a path without `/v2`. */
const MODULE = 'github.com/jaegertracing/jaeger@v1.76.0'
const STAMP = `-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion=v${VERSION}`
const OTLP_URL = 'http://127.0.0.1:4318'

const cacheFolder = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'caesura-test', `jaeger-${VERSION}`)

/**
 * Looks for a Jaeger 2: `JAEGER_QUERY_URL` (and `OTEL_EXPORTER_OTLP_ENDPOINT`, else port 4318 of this machine), the PATH, the
 * cache folder; else builds one into the cache folder where a Go toolchain is present (about 12 minutes on two cores, once).
 * `tell` gets progress lines.
 */
export async function provideJaeger(tell: (line: string) => void): Promise<Provided> {
  const { JAEGER_QUERY_URL: queryUrl = '', OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl = '' } = process.env
  if (queryUrl !== '') return { kind: 'running', queryUrl, otlpUrl: otlpUrl === '' ? OTLP_URL : otlpUrl }
  for (const name of ['jaeger', 'jaeger-all-in-one']) {
    const installed = await onPath(name)
    if (installed !== undefined && (await isJaeger2(installed))) return { kind: 'binary', path: installed }
  }
  const cached = join(cacheFolder(), 'jaeger')
  if (await isExecutable(cached)) return { kind: 'binary', path: cached }
  const go = await onPath('go')
  if (go === undefined) {
    return { kind: 'none', reason: 'no JAEGER_QUERY_URL, no Jaeger 2 on the PATH, and no Go toolchain to build one' }
  }
  try {
    await build(go, cached, tell)
    return { kind: 'binary', path: cached }
  } catch (error) {
    return { kind: 'none', reason: `building Jaeger failed: ${error instanceof Error ? error.message : error}` }
  }
}

/** Jaeger 1, which ended in 2025, has `--config-file` instead. */
const isJaeger2 = (path: string): Promise<boolean> =>
  run(path, ['--help'], {}).then(
    (help) => /--config\s/.test(help),
    () => false,
  )

/** `go install MODULE` refuses a module with replace directives; built in its own folder they hold. */
async function build(go: string, target: string, tell: (line: string) => void): Promise<void> {
  tell(`building Jaeger ${VERSION} into ${cacheFolder()}; this takes some minutes, once`)
  const work = join(cacheFolder(), `build-${process.pid}`)
  try {
    await mkdir(work, { recursive: true })
    const { Dir } = JSON.parse(await run(go, ['mod', 'download', '-json', MODULE], {}))
    await run(go, ['build', '-C', Dir, '-ldflags', STAMP, '-o', join(work, 'jaeger'), './cmd/jaeger'], {})
    await rename(join(work, 'jaeger'), target)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
