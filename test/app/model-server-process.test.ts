import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startModelServerProcess } from '../../src/app/model-server-process.ts'
import { bundledModel } from '../../src/nodes/backends/model-file.ts'
import { startNode } from '../cli/caesura.ts'

const module = new URL('../../src/app/model-server-process.ts', import.meta.url)

/** Starts a server and stays. */
const owner = `
import { startModelServerProcess } from ${JSON.stringify(module.href)}
const { pid } = await startModelServerProcess({ model: ${JSON.stringify(bundledModel)}, slots: 1 })
console.log('server ' + pid + ' is there')
setInterval(() => {}, 1000)
`

async function isGone(pid: number): Promise<boolean> {
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(20)) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
  }
  return false
}

describe('a model server in a process of its own', () => {
  it('ends with the process that started it, even where that is killed', async () => {
    const started = startNode(tmpdir(), ['--input-type=module', '-e', owner])
    const pid = Number(/server (\d+) is there/.exec(await started.printed('is there'))?.[1])
    expect(await Promise.race([isGone(pid), sleep(100, 'there')])).toBe('there')
    started.child.kill('SIGKILL')
    expect(await isGone(pid)).toBe(true)
  }, 60_000)

  it('says why it did not start, with the code of the server', async () => {
    const starting = startModelServerProcess({ model: '/nowhere/model.gguf', slots: 1 })
    await expect(starting).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
  })
})
