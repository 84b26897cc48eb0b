import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Looks, looked } from './looks.ts'
import { type Batch, type Measured, measure } from './measure.ts'
import { performUnequal, type UnequalDone, type UnequalTask } from './unequal-study.ts'

export type Task =
  | { readonly kind: 'measure'; readonly batch: Batch }
  | { readonly kind: 'looks'; readonly looks: Looks }
  | UnequalTask
export type Done = Measured | UnequalDone

export function perform(task: Task): Done {
  if (task.kind === 'measure') return measure(task.batch)
  return task.kind === 'looks' ? looked(task.looks) : performUnequal(task)
}

/** Performs the tasks on all cores; results in the tasks' order. Each thread takes the next one when it is done. */
export async function performAll(tasks: readonly Task[], told: (done: number) => void): Promise<Done[]> {
  const results = new Array<Done>(tasks.length)
  let next = 0
  let done = 0
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url))
      let place = -1
      const give = () => {
        place = next++
        if (place < tasks.length) worker.postMessage(tasks[place])
        else void worker.terminate().then(() => resolve())
      }
      worker.on('message', (result: Done) => {
        results[place] = result
        told(++done)
        give()
      })
      worker.on('error', reject)
      give()
    })
  await Promise.all(Array.from({ length: availableParallelism() }, one))
  return results
}
