import { describe, expect, it, vi } from 'vitest'
import { nodeLines } from '../../src/cli/nodes.ts'
import { plain } from '../../src/cli/screen.ts'
import type { FleetNode } from '../../src/core/fleet.ts'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'
import { caesura } from './caesura.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const fleet = withFleetProcesses()

describe('nodes', () => {
  it('tells who is there, in a table and as JSON; doctor too', async () => {
    expect((await fleet.run('nodes')).stdout).toContain('No node serves this fleet.')
    await fleet.scripted('gpu-1', 3, 0, '--slots', '2')
    await fleet.scripted('gpu-2', 3, 0, '--pool', 'slow')
    const { nodes } = await fleet.json<{ nodes: FleetNode[] }>('nodes')
    expect(nodes).toMatchObject([
      { name: 'gpu-1', pool: 'default', slots: 2, busy: 0, backend: 'scripted', state: 'up', models: [] },
      { name: 'gpu-2', pool: 'slow', slots: 1, busy: 0, backend: 'scripted', state: 'up', models: [] },
    ])
    const { stdout } = await fleet.run('nodes')
    expect(stdout).toMatch(/^gpu-1 +up +0 of 2 +default +scripted +[\d.]+ m?s ago +\d+\.\d+\.\d+$/m)
    const { checks } = await fleet.json<{ checks: { name: string; detail: string }[] }>('doctor')
    expect(checks).toContainEqual(
      expect.objectContaining({ name: 'Redis', detail: expect.stringMatching(/^\d+\.\d+/) }),
    )
    expect(checks).toContainEqual(expect.objectContaining({ name: 'fleet', detail: 'nodes: gpu-1, gpu-2' }))
  })

  it('says so with exit code 3 where no Redis answers; doctor too', async () => {
    const { status, stdout } = await fleet.run('nodes', '--redis', 'redis://127.0.0.1:9', '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error.code).toBe('CAESURA_E_REDIS')
    const file = fleet.file('elsewhere.yaml', 'redis: "redis://127.0.0.1:9"\n')
    const unnamed = { OLLAMA_HOST: '' }
    const doctor = await caesura(fleet.folder, ['doctor', '--config', file], unnamed)
    expect(doctor.status).toBe(3)
    expect(doctor.stdout).toMatch(/^missing +Redis /m)
    expect(doctor.stdout).toContain('A pipeline can run here, but not on the fleet.')
    // REDIS_URL is stronger than the configuration.
    const here = await caesura(fleet.folder, ['doctor', '--config', file], { ...unnamed, REDIS_URL: fleet.redis.url })
    expect(here.status).toBe(0)
  })
})

const node: FleetNode = {
  name: 'gpu-1',
  worker: 'w',
  pool: 'default',
  backend: 'ollama',
  address: '127.0.0.1:11434',
  slots: 2,
  busy: 1,
  models: ['gemma3:1b', 'gemma3:4b', 'llama3.2:3b-instruct-q8_0', 'qwen3:8b-q4_K_M'],
  version: '0.1.0',
  state: 'up',
  seen: 10_000,
}

describe('the table of nodes', () => {
  const nodes: FleetNode[] = [
    node,
    { ...node, name: `node-${'x'.repeat(80)}`, state: 'down', reason: `it is wedged ${'and '.repeat(40)}gone` },
  ]

  it.each([40, 80, 120])('is at most %i columns wide', (width) => {
    const lines = nodeLines(nodes, 10_350, { width, paint: plain })
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
  })

  it('has a row a node, what it has below it, and why it takes no calls', () => {
    expect(
      nodeLines([node, { ...node, name: 'b', state: 'down', reason: 'no answer' }], 10_350, {
        width: 80,
        paint: plain,
      }),
    ).toEqual([
      'node   state  busy    pool     backend  seen        version',
      'gpu-1  up     1 of 2  default  ollama   350 ms ago  0.1.0',
      '  127.0.0.1:11434: gemma3:1b, gemma3:4b, llama3.2:3b-instruct-q8_0,',
      '  qwen3:8b-q4_K_M',
      'b      down   1 of 2  default  ollama   350 ms ago  0.1.0',
      '  127.0.0.1:11434: gemma3:1b, gemma3:4b, llama3.2:3b-instruct-q8_0,',
      '  qwen3:8b-q4_K_M',
      '  no answer',
    ])
  })

  it('says `any model` of a node that takes all, and never that it was seen in the future', () => {
    const { address: _, ...anywhere } = { ...node, models: [], seen: 20_000 }
    const lines = nodeLines([anywhere], 10_000, { width: 80, paint: plain })
    expect(lines[1]).toContain('0 ms ago')
    expect(lines[2]).toBe('  any model')
  })
})
