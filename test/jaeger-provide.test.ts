import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { provideJaeger } from '../scripts/jaeger/provide.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caesura-jaeger-'))
  await mkdir(join(folder, 'bin'))
  vi.stubEnv('PATH', join(folder, 'bin'))
  vi.stubEnv('XDG_CACHE_HOME', folder)
  vi.stubEnv('JAEGER_QUERY_URL', '')
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', '')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

async function program(path: string, script: string): Promise<string> {
  const file = join(folder, path)
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  return file
}
const provided = () => provideJaeger(() => {})
const CACHED = 'caesura-test/jaeger-2.13.0/jaeger'

describe('a Jaeger for tests is', () => {
  it('the one that runs already, with port 4318 for OTLP unless it is told', async () => {
    vi.stubEnv('JAEGER_QUERY_URL', 'http://j:16686')
    expect(await provided()).toEqual({ kind: 'running', queryUrl: 'http://j:16686', otlpUrl: 'http://127.0.0.1:4318' })
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://j:4318')
    expect(await provided()).toMatchObject({ otlpUrl: 'http://j:4318' })
  })

  it.each(['jaeger', 'jaeger-all-in-one'])('%s on the PATH, if it is version 2', async (name) => {
    await program(CACHED, '')
    const path = await program(`bin/${name}`, 'echo "      --config file   Locations"')
    expect(await provided()).toEqual({ kind: 'binary', path })
    await program(`bin/${name}`, 'echo "      --config-file string   Jaeger 1"')
    expect(await provided()).toEqual({ kind: 'binary', path: join(folder, CACHED) })
  })

  it('one that was built before', async () => {
    const path = await program(CACHED, '')
    expect(await provided()).toEqual({ kind: 'binary', path })
  })

  it('one that Go builds, in the folder of the module', async () => {
    const go = `case "$1" in mod) echo '{"Dir": "/module"}';; *) [ "$3" = /module ] && echo built > "$7";; esac`
    await program('bin/go', go)
    const lines: string[] = []
    const first = await provideJaeger((line) => lines.push(line))
    expect(first).toEqual({ kind: 'binary', path: join(folder, CACHED) })
    expect(lines).toEqual([expect.stringContaining('this takes some minutes, once')])
  })

  it('none, for a reason in one line', async () => {
    expect(await provided()).toEqual({ kind: 'none', reason: expect.stringMatching(/^no JAEGER_QUERY_URL, .* Go .*$/) })
    await program('bin/go', 'echo "go: no network" >&2; exit 1')
    expect(await provided()).toEqual({
      kind: 'none',
      reason: expect.stringMatching(/^building Jaeger failed: .*: go: no network$/),
    })
  })
})
