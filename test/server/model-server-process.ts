import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { startCaesura } from '../cli/caesura.ts'

const announced = z.object({ url: z.string(), model: z.string(), slots: z.int(), pid: z.int() })

export interface ModelServerProcess extends z.infer<typeof announced> {
  /** Tells it to stop, and resolves to how it ended. */
  stop(signal?: NodeJS.Signals): Promise<{ status: number | null; stderr: string }>
}

/** `caesura model-server` on a free port in a process of its own, listening. */
export async function startModelServerProcess(...flags: string[]): Promise<ModelServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'caesura-model-server-'))
  let stdout = ''
  // A test that ran out of time has stopped nothing.
  const leaveNothing = () => started.child.kill('SIGKILL')
  process.once('exit', leaveNothing)
  const started = startCaesura(folder, ['model-server', '--port', '0', '--json', '--log-level', 'warn', ...flags])
  started.child.stdout?.on('data', (text) => {
    stdout += text
  })
  await started.printed('}\n')
  return {
    ...announced.parse(JSON.parse(stdout)),
    async stop(signal = 'SIGTERM') {
      started.child.kill(signal)
      const ended = await started.ended
      process.off('exit', leaveNothing)
      rmSync(folder, { recursive: true, force: true })
      return ended
    },
  }
}
