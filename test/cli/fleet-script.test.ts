import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { caesura, startNode } from './caesura.ts'

const script = fileURLToPath(new URL('../../scripts/fleet.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'caesura-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

it('npm run fleet: starts a fleet, runs a pipeline through it, and at SIGINT leaves nothing behind', async () => {
  const running = startNode(folder, [script])
  await running.printed('Ctrl-C here')
  running.child.kill('SIGINT')
  const { status, stdout } = await running.ended
  expect(status).toBe(0)
  for (const name of ['Redis', 'model server', 'stage worker', 'pipeline worker', 'API', 'gpu-1', 'gpu-2'])
    expect(stdout).toContain(name)
  expect(stdout).toContain('interrupt: I have no vinegar. → abort')
  expect(stdout).toMatch(/^ {2}total .* to the first token of refine$/m)
  expect(stdout).toMatch(/^completed in /m)
  const pids = [...stdout.matchAll(/pid (\d+)/g)].map((match) => Number(match[1]))
  expect(pids).toHaveLength(3)
  expect(pids.filter(isAlive)).toEqual([])
  const [url] = /redis:\/\/[\d.:]+/.exec(stdout) ?? []
  expect(await caesura(folder, ['nodes'], { REDIS_URL: url })).toMatchObject({ status: 3 })
}, 120_000)

it('npm run fleet -- --once: stops by itself after the run', async () => {
  const { status, stdout } = await startNode(folder, [script, '--once']).ended
  expect(status).toBe(0)
  expect(stdout).toMatch(/^completed in /m)
  expect(stdout).toContain('Stopping the fleet')
}, 120_000)
