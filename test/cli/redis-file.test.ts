import { beforeAll, describe, expect, it, vi } from 'vitest'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const PASSWORD = 'hidden-from-ps'

const fleet = withFleetProcesses({ password: PASSWORD })
let url: string
beforeAll(() => {
  url = `redis://:${PASSWORD}@127.0.0.1:${fleet.redis.port}`
})

describe('the password of a Redis', () => {
  it('is read from a file, which goes before the environment; a verb of this machine is then about the fleet', async () => {
    const file = fleet.file('redis.txt', `${url}\n`)
    const runs = await fleet.run('run', fleet.pipeline, '--redis-file', file, '--detach', '--input', 'i', '--json')
    expect([runs.status, runs.stderr.includes('ps')]).toEqual([0, false])
    const { runId } = JSON.parse(runs.stdout) as { runId: string }
    const elsewhere = fleet.file('elsewhere.txt', 'redis://127.0.0.1:9')
    const [listed, other] = await Promise.all([
      fleet.json<{ runs: { runId: string }[] }>('runs', '--redis-file', file),
      fleet.run('runs', '--redis-file', elsewhere, '--json'),
    ])
    expect(listed.runs.map((run) => run.runId)).toContain(runId)
    expect([other.status, JSON.parse(other.stdout).error.code]).toEqual([3, 'CAESURA_E_REDIS'])
  })

  it('is warned of on the command line, and told nowhere', async () => {
    const shown = await fleet.run('nodes', '--redis', url, '--json')
    expect(shown.status).toBe(0)
    expect(shown.stderr).toContain('--redis-file')
    const quiet = await fleet.run('nodes', '--json')
    expect([quiet.status, quiet.stderr]).toEqual([0, ''])
    for (const { stdout, stderr } of [shown, quiet]) expect(stdout + stderr).not.toContain(PASSWORD)
  })

  it.each([
    ['a wrong one', `redis://:wrong-secret@127.0.0.1:PORT`, 3, 'CAESURA_E_REDIS', 'refuses the user or the password'],
    ['none', 'redis://127.0.0.1:PORT', 3, 'CAESURA_E_REDIS', 'asks for a password'],
    ['no URL', 'wrong-secret', 2, 'CAESURA_E_USAGE', 'no address'],
    ['two lines', `redis://127.0.0.1:PORT\nwrong-secret`, 2, 'CAESURA_E_USAGE', 'no address'],
  ])('%s in the file is told as such', async (_, text, status, code, words) => {
    const file = fleet.file('wrong.txt', text.replace('PORT', String(fleet.redis.port)))
    const ended = await fleet.run('nodes', '--redis-file', file, '--json')
    expect([ended.status, JSON.parse(ended.stdout).error.code]).toEqual([status, code])
    expect(ended.stdout).toContain(words)
    expect(ended.stdout + ended.stderr).not.toContain('wrong-secret')
  })

  it('a file that is not there, and both', async () => {
    const gone = await fleet.run('nodes', '--redis-file', 'nowhere', '--json')
    expect([gone.status, JSON.parse(gone.stdout).error]).toMatchObject([2, { code: 'CAESURA_E_FILE', file: 'nowhere' }])
    const both = await fleet.run(
      'nodes',
      '--redis-file',
      fleet.file('r.txt', url),
      '--redis',
      'redis://127.0.0.1',
      '--json',
    )
    expect([both.status, JSON.parse(both.stdout).error.code]).toEqual([2, 'CAESURA_E_USAGE'])
  })
})
